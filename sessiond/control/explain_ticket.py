"""What a login with a ticket would come to, check by check. The ticket is not spent by it."""

from dataclasses import replace

from msgspec import structs

from sessiond.control.access_steps import NOWHERE, steps_of
from sessiond.control.bodies import CheckName, ExplainProcess, Explanation
from sessiond.control.trial import Failed, Trial
from sessiond.control.view import View
from sessiond.core.access import AccessRules, Denied, stepup_of
from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.listing import find_session
from sessiond.core.passing_on import passed_on
from sessiond.core.queries import CheckAdmission
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout
from sessiond.core.ticket import Ticket
from sessiond.core.verdict import PresentedTokens
from sessiond.tickets.checking import CheckedTicket
from sessiond.tickets.reading import CHECKS, TicketCheck

TICKET_CHECKS: tuple[CheckName, ...] = (*CHECKS, "admission")


async def explain_ticket(
    view: View, *, user: str, password: Secret, process: ExplainProcess | None
) -> Explanation:
    """Return what the login would come to now, at a process where one is named.

    Raises:
        StoreError: The table could not be asked.
    """
    trial = Trial(TICKET_CHECKS)
    about = None
    if process is not None:
        about = ProcessAbout(name=process.name, type=process.type, host="", pid=0)
    try:
        checked = _checked(view, trial, user=user, password=password, about=about)
        if checked.presented is None:
            found = await _of_parent(view, checked.ticket, about)
        else:
            found = await _of_token(view, checked.ticket, checked.presented, about)
    except Failed as failed:
        trial.failed(failed)
        reason = failed.reason.value
        return Explanation(accepted=False, reason=reason, checks=trial.checks, process=process)
    trial.passed("a login would spend it")
    return structs.replace(found, checks=trial.checks, process=process)


def _checked(
    view: View, trial: Trial, *, user: str, password: Secret, about: ProcessAbout | None
) -> CheckedTicket:
    passed: list[TicketCheck] = []
    try:
        return view.tickets.checking.check(
            password, process=None if about is None else about.name, typed=user, passed=passed
        )
    except TokenRejected as rejected:
        raise Failed(rejected.reason, rejected.detail) from None
    finally:
        for each in passed:
            is_unjudged = each == "audience" and about is None
            trial.passed(
                "not judged, nor is a ceiling: name the process (explain --process NAME)"
                if is_unjudged
                else ""
            )


async def _check_unspent(view: View, ticket: Ticket) -> None:
    if ticket.id in (await view.table.rows()).spent_tickets:
        raise Failed(
            Refusal.REVOKED, "the ticket is spent, wanted one for each login: ask for another"
        )


async def _of_parent(view: View, ticket: Ticket, about: ProcessAbout | None) -> Explanation:
    """Return what the session that the ticket was made for passes on."""
    await _check_unspent(view, ticket)
    rows, now = await view.table.rows(), view.clock.now()
    found = None if ticket.parent is None else find_session(rows, ticket.parent)
    if found is None or found.expires_at <= now:
        raise Failed(
            Refusal.REVOKED,
            "the session that the ticket was made for has ended, wanted a live one: sign in there",
        )
    parent, (rules, at) = found.session, _where(view, about)
    access = passed_on(rules, at, parent)
    if isinstance(access, Denied):
        raise Failed(access.reason, access.detail)
    short = stepup_of(rules, at, parent, now=now)
    if short is not None:
        raise Failed(short.reason, short.detail)
    principal = parent.principal
    return Explanation(
        accepted=True,
        reason="",
        checks=[],
        user=principal.name,
        subject=principal.subject,
        issuer=principal.issuer,
        roles=access.roles,
        attributes=dict(parent.attributes),
        expires_at=found.expires_at,
    )


async def _of_token(
    view: View, ticket: Ticket, presented: PresentedTokens, about: ProcessAbout | None
) -> Explanation:
    """Return what the token comes to that the ticket was given for."""
    await _check_unspent(view, ticket)
    refusal = await view.table.ask(CheckAdmission(presented=presented, is_proof_due=True))
    if refusal is not None:
        raise Failed(refusal.reason, refusal.detail)
    verdict = presented.verdict
    steps = steps_of(view.settings().access, about, verdict, now=view.clock.now())
    if steps.denied is not None:
        raise Failed(steps.denied.reason, steps.denied.detail)
    return Explanation(
        accepted=True,
        reason="",
        checks=[],
        access=steps.steps,
        user=verdict.principal.name,
        subject=verdict.principal.subject,
        issuer=verdict.principal.issuer,
        roles=steps.steps.roles,
        attributes=dict(verdict.attributes),
        expires_at=verdict.lease.expires_at,
    )


def _where(view: View, about: ProcessAbout | None) -> tuple[AccessRules, ProcessAbout]:
    """Return by which rules a process is judged; without one under no ceiling."""
    rules = view.settings().access
    return (replace(rules, ceilings=()), NOWHERE) if about is None else (rules, about)
