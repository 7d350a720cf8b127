"""What operators had done, told in the transaction that does it: who, why, and what it covers."""

from sessiond.core.changes import EndSessions, LiftRevocation, RecordReload, ReleaseName, Revoke
from sessiond.core.decide.draft import Draft
from sessiond.core.events import OperatorForgave, OperatorForgot, OperatorReloaded, OperatorRevoked
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import NameOwner
from sessiond.core.session import Session

CONFIGURATION = "configuration"


def tell_revoked(draft: Draft, change: Revoke, revocation: Revocation, *, count: int) -> None:
    """Tell that what a revocation covers was taken back; its ends are told after it."""
    if change.by is not None:
        draft.tell(
            OperatorRevoked(
                at=draft.now,
                user=revocation.value if revocation.scope is Scope.USER else "",
                issuer=revocation.value if revocation.scope is Scope.ISSUER else "",
                by=change.by,
                reason=change.reason,
                scope=revocation.scope.value,
                value=revocation.value,
                count=count,
            )
        )


def tell_session_ended(draft: Draft, change: EndSessions, session: Session) -> None:
    """Tell that one session was taken back."""
    if change.by is not None:
        draft.tell(
            OperatorRevoked(
                at=draft.now,
                session=session.id,
                user=session.principal.name,
                issuer=session.principal.issuer,
                process=session.about,
                handle=session.handle,
                by=change.by,
                reason=change.reason,
                scope="session",
                value=str(session.id),
                count=1,
            )
        )


def tell_process_ended(draft: Draft, change: EndSessions, one: Session, *, count: int) -> None:
    """Tell that the sessions of a process were taken back, `one` of them among others."""
    if change.by is not None:
        draft.tell(
            OperatorRevoked(
                at=draft.now,
                process=one.about,
                by=change.by,
                reason=change.reason,
                scope="process",
                value=f"{one.about.name}:{one.about.pid}",
                count=count,
            )
        )


def tell_forgiven(draft: Draft, change: LiftRevocation, revocation: Revocation) -> None:
    """Tell that a revocation was lifted."""
    if change.by is not None:
        draft.tell(
            OperatorForgave(
                at=draft.now,
                user=revocation.value if revocation.scope is Scope.USER else "",
                issuer=revocation.value if revocation.scope is Scope.ISSUER else "",
                by=change.by,
                reason=change.reason,
                scope=revocation.scope.value,
                value=revocation.value,
            )
        )


def tell_forgotten(draft: Draft, change: ReleaseName, owner: NameOwner) -> None:
    """Tell that a name was let go."""
    if change.by is not None:
        draft.tell(
            OperatorForgot(
                at=draft.now,
                user=owner.name,
                issuer=owner.issuer,
                by=change.by,
                reason=change.reason,
                scope=Scope.USER.value,
                value=owner.name,
            )
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
        )
    )
