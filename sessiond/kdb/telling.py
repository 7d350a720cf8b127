"""What operators are told of a login, a renewal or a request over HTTP as it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.session import ActiveSession
from sessiond.gate import LoginTimings
from sessiond.kdb.login_services import LoginServices, Owner
from sessiond.web.answer import Answer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nobody was let in: a word for the process, and what to do for the log."""

    reason: Refusal
    detail: str

    @classmethod
    def by(cls, error: TokenRejected | IssuerUnavailable) -> "Refused":
        """Return what the gate's error says."""
        if isinstance(error, TokenRejected):
            return cls(error.reason, error.detail)
        return cls(Refusal.UNAVAILABLE, str(error))

    @classmethod
    def late(cls, took: float, timings: LoginTimings, *, is_submitted: bool) -> "Refused":
        """Return what is said after the deadline: who was waited for."""
        if is_submitted:
            return cls(
                Refusal.DEADLINE,
                f"not on disk after {took:.2f} s, wanted it there by then: see whether the disk is "
                "slow (commit_ms), or raise login.deadline",
            )
        what = "its turn at" if timings.called is None and timings.queued else "an answer of"
        return cls(
            Refusal.DEADLINE,
            f"{took:.2f} s went to {what} issuer {timings.issuer!r}, wanted a verdict by then: see "
            "the issuer in sessionctl status, or raise login.deadline",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is said of one, whatever came of it."""

    call: str  # as q calls it: connect, renew, web
    user: str  # fit to be shown
    took: float  # seconds from its first byte on
    commit: float | None  # seconds, the wait for its turn included
    timings: LoginTimings
    facts: Mapping[str, str] = field(default_factory=dict)  # what else the log has


def tell(
    services: LoginServices, owner: Owner, told: Told, outcome: ActiveSession | Refused
) -> None:
    """Log and measure an answer, with what its time went to; have a refusal told as an event."""
    if isinstance(outcome, Refused):
        issuer, word = told.timings.issuer, "refused"
        facts = {"issuer": issuer, "reason": outcome.reason.value, "detail": outcome.detail}
    else:
        issuer, word = outcome.session.principal.issuer, "accepted"
        facts = {"issuer": issuer, "session": str(outcome.session.id)}
    log.info(
        "login" if told.call == "connect" else "renewal",
        outcome=word,
        user=told.user,
        process=owner.about.name,
        **facts,
        **told.facts,
        **_milliseconds(
            answer_ms=told.took,
            queue_ms=told.timings.queued,
            issuer_ms=told.timings.called,
            commit_ms=told.commit,
        ),
    )
    services.metrics.answered(told.call, word, told.took, told.timings)
    if isinstance(outcome, Refused):
        services.table.note_refusal(
            user=told.user, issuer=issuer, process=owner.about, reason=outcome.reason
        )


def tell_web(
    services: LoginServices,
    owner: Owner,
    told: Told,
    answer: Answer,
    refused: Refused | None = None,
) -> None:
    """Log and measure the answer about a request; where a bearer was refused, tell that too.

    Nothing of the request itself is told: what it asks for may have a code in it.
    """
    user, issuer, facts = told.user, told.timings.issuer, dict[str, str]()
    if answer.active is not None:
        session = answer.active.session
        user, issuer = session.principal.name, session.principal.issuer
        facts["session"] = str(session.id)
    if refused is not None:
        facts["detail"] = refused.detail
    log.info(
        "web request",
        outcome=answer.action,
        status=answer.status,
        reason=answer.reason,
        user=user,
        process=owner.about.name,
        issuer=issuer,
        **facts,
        **_milliseconds(
            answer_ms=told.took,
            queue_ms=told.timings.queued,
            issuer_ms=told.timings.called,
            commit_ms=told.commit,
        ),
    )
    services.metrics.answered("web", answer.action, told.took, told.timings)
    services.metrics.web_requests.labels(answer.action, answer.reason).inc()
    if refused is not None:
        services.table.note_refusal(
            user=user, issuer=issuer, process=owner.about, reason=refused.reason
        )


def _milliseconds(**seconds: float | None) -> dict[str, float]:
    """Return what happened, in the unit that the log has."""
    return {name: round(each * 1e3, 2) for name, each in seconds.items() if each is not None}
