"""What a login would come to, check by check. Nobody is let in, and no refresh token is spent."""

from dataclasses import dataclass
from typing import get_args

import anyio

from sessiond.control.access_steps import Steps, claims_used, steps_of
from sessiond.control.bodies import CheckName, ExplainProcess, Explanation, TokenCheck
from sessiond.control.explain_ticket import explain_ticket
from sessiond.control.trial import Failed, Trial
from sessiond.control.view import View
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.password import Presented, is_ticket, read_password, stated_claims
from sessiond.core.queries import CheckAdmission
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey
from sessiond.core.verdict import PresentedTokens
from sessiond.gate import VerifiedLogin
from sessiond.gate.route import check_typed, find_issuer
from sessiond.system.peer import Peer

CHECKS: tuple[CheckName, ...] = get_args(TokenCheck)
PROOF_LATER = "a login would refresh at once, which shows whether the token is our client's"


@dataclass(slots=True)
class _Found:
    """What was found on the way."""

    verified_login: VerifiedLogin | None = None
    access: Steps | None = None


async def explain(
    view: View, *, user: str, password: Secret, process: ExplainProcess | None, peer: Peer
) -> Explanation:
    """Return what the login would come to now, at a process where one is named.

    The issuer is asked exactly what the login would ask it, through the same gate, and what it
    said a moment ago counts here too.

    Raises:
        StoreError: The table could not be asked.
    """
    if is_ticket(password.reveal()):
        return await explain_ticket(view, user=user, password=password, process=process)
    tried, found, reason = Trial(CHECKS), _Found(), ""
    try:
        await _try(view, tried, found, user=user, password=password, process=process, peer=peer)
    except Failed as failed:
        tried.failed(failed)
        reason = failed.reason.value
    if found.verified_login is None or found.access is None:
        return Explanation(accepted=not reason, reason=reason, checks=tried.checks, process=process)
    verdict, steps = found.verified_login.verdict, found.access.steps
    return Explanation(
        accepted=not reason,
        reason=reason,
        checks=tried.checks,
        process=process,
        claims=claims_used(view.issuers[verdict.principal.issuer].claims, steps.ceiling),
        access=steps,
        user=verdict.principal.name,
        subject=verdict.principal.subject,
        issuer=verdict.principal.issuer,
        roles=() if found.access.denied is not None else steps.roles,
        attributes=dict(verdict.attributes),
        expires_at=verdict.lease.expires_at,
    )


async def _try(
    view: View,
    tried: Trial,
    found: _Found,
    *,
    user: str,
    password: Secret,
    process: ExplainProcess | None,
    peer: Peer,
) -> None:
    presented_at = view.clock.now()
    try:
        presented = read_password(password.reveal())
    except TokenRejected as rejected:
        raise Failed(rejected.reason, rejected.detail) from None
    tried.passed(_kind(presented))
    try:
        check_typed(user)
        tried.passed()
        issuer = find_issuer([each.route for each in view.issuers.values()], presented, user=user)
    except TokenRejected as rejected:
        raise Failed(rejected.reason, rejected.detail) from None
    tried.passed(f"issuer {issuer}")
    try:
        verified_login = await _admitted(view, tried, user=user, password=password, peer=peer)
    except Failed as failed:
        hint = _hint(failed.reason, presented, view.issuers[issuer].introspects_as)
        raise Failed(failed.reason, failed.detail + hint) from None
    found.verified_login = verified_login
    found.access = access = _steps(view, process, verified_login)
    tried.passed()
    tokens = PresentedTokens(
        verdict=verified_login.verdict,
        access=view.hashed(presented.access),
        refresh=None if presented.refresh is None else view.hashed(presented.refresh),
        refresh_token=None,
        client=verified_login.client,
        draw=0.5,
        presented_at=presented_at,
    )
    refusal = await view.table.ask(CheckAdmission(presented=tokens, is_proof_due=False))
    if refusal is not None:
        raise Failed(refusal.reason, refusal.detail)
    if access.denied is not None:
        raise Failed(access.denied.reason, access.denied.detail)
    tried.passed()
    await _prove(view, tried, tokens)


async def _admitted(
    view: View, tried: Trial, *, user: str, password: Secret, peer: Peer
) -> VerifiedLogin:
    """Return what the gate says, in the time that a login has."""
    owner = ProcessKey(uid=peer.uid, pid=peer.pid, started=peer.started, label="explain")
    deadline = view.settings().deadline
    try:
        with anyio.fail_after(deadline):
            verified_login = await view.gate.admit(
                user=user, password=password.reveal(), owner=owner
            )
    except TokenRejected as rejected:
        if rejected.reason is Refusal.USERMISMATCH:  # verified, but another user's
            tried.passed()
        raise Failed(rejected.reason, rejected.detail) from None
    except IssuerUnavailable as unavailable:
        raise Failed(Refusal.UNAVAILABLE, str(unavailable)) from None
    except TimeoutError:
        raise Failed(
            Refusal.DEADLINE,
            f"the issuer took longer than {deadline:g} s, wanted a verdict by then: see its "
            "trouble in sessionctl status, or raise login.deadline",
        ) from None
    tried.passed()
    return verified_login


def _steps(view: View, process: ExplainProcess | None, verified_login: VerifiedLogin) -> Steps:
    about = (
        None
        if process is None
        else ProcessAbout(name=process.name, type=process.type, host="", pid=0)
    )
    rules, verdict = view.settings().access, verified_login.verdict
    return steps_of(rules, about, verdict, now=view.clock.now())


def _hint(reason: Refusal, presented: Presented, client: str) -> str:
    """Return what may be why an issuer calls a token inactive that is not over by its own word."""
    if reason is not Refusal.INACTIVE or not client or not presented.is_jwt:
        return ""
    stated = (stated_claims(presented.access) or {}).get("aud")
    if client in (stated if isinstance(stated, list) else [stated]):
        return ""
    return (
        f". Its aud does not name our client {client!r}: issuers such as Keycloak call a token "
        "inactive to a client that is not in its aud. Have the issuer put that client into aud, "
        "beside the audience for kdb+ (docs/issuers.md)"
    )


async def _prove(view: View, tried: Trial, tokens: PresentedTokens) -> None:
    if tokens.verdict.principal.issuer not in view.settings().proved:
        tried.skipped("this issuer's tokens need no proof by refresh")
        return
    refusal = await view.table.ask(CheckAdmission(presented=tokens, is_proof_due=True))
    if refusal is None:
        tried.passed("a refresh has proved it before")
    elif tokens.refresh is not None:
        tried.skipped(PROOF_LATER)
    else:
        raise Failed(refusal.reason, refusal.detail)


def _kind(presented: Presented) -> str:
    kind = "a JWT" if presented.is_jwt else "an opaque access token"
    return kind if presented.refresh is None else f"{kind} and a refresh token"
