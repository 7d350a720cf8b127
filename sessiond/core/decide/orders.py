"""What operators had done, told in the transaction that does it: who, why, and what it covers."""

from typing import Any

from sessiond.core.changes import EndSessions, LiftRevocation, RecordReload, ReleaseName, Revoke
from sessiond.core.decide.draft import Draft
from sessiond.core.events import (
    OperatorEvent,
    OperatorForgave,
    OperatorForgot,
    OperatorReloaded,
    OperatorRevoked,
)
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import NameOwner
from sessiond.core.session import Session

CONFIGURATION = "configuration"

_Order = Revoke | EndSessions | LiftRevocation | ReleaseName


def tell_revoked(draft: Draft, change: Revoke, revocation: Revocation, *, count: int) -> None:
    """Tell that what a revocation covers was taken back; its ends are told after it."""
    _tell(draft, change, OperatorRevoked, count=count, **_covered(revocation))


def tell_session_ended(draft: Draft, change: EndSessions, session: Session) -> None:
    """Tell that one session was taken back, with those that end with it."""
    _tell(
        draft,
        change,
        OperatorRevoked,
        session=session.id,
        user=session.principal.name,
        issuer=session.principal.issuer,
        process=session.about,
        handle=session.handle,
        scope="session",
        value=str(session.id),
        count=draft.rows.count_ending_with([session.id]),
    )


def tell_process_ended(draft: Draft, change: EndSessions, one: Session, *, count: int) -> None:
    """Tell that the sessions of a process were taken back, `one` of them among others."""
    value = f"{one.about.name}:{one.about.pid}"
    _tell(
        draft,
        change,
        OperatorRevoked,
        process=one.about,
        scope="process",
        value=value,
        count=count,
    )


def tell_forgiven(draft: Draft, change: LiftRevocation, revocation: Revocation) -> None:
    """Tell that a revocation was lifted."""
    _tell(draft, change, OperatorForgave, **_covered(revocation))


def tell_forgotten(draft: Draft, change: ReleaseName, owner: NameOwner) -> None:
    """Tell that a name was let go."""
    _tell(
        draft,
        change,
        OperatorForgot,
        user=owner.name,
        issuer=owner.issuer,
        scope=Scope.USER.value,
        value=owner.name,
    )


def record_reload(draft: Draft, change: RecordReload) -> None:
    """Tell that another configuration counts, also where nobody is known who wanted it."""
    draft.tell(
        OperatorReloaded(
            at=draft.now,
            by=change.by,
            reason=change.reason,
            scope=CONFIGURATION,
            value=str(change.generation),
            count=change.ended,
            configuration=draft.rules.access.configuration,
        )
    )


def _tell(draft: Draft, change: _Order, kind: type[OperatorEvent], **covered: Any) -> None:
    """Tell of an operator's order; what was nobody's order is not told of."""
    if change.by is not None:
        draft.tell(kind(at=draft.now, by=change.by, reason=change.reason, **covered))


def _covered(revocation: Revocation) -> dict[str, str]:
    scope, value = revocation.scope, revocation.value
    return {
        "user": value if scope is Scope.USER else "",
        "issuer": value if scope is Scope.ISSUER else "",
        "scope": scope.value,
        "value": value,
    }
