"""Taking back on an operator's word: what he asked, as changes to the table."""

from http import HTTPStatus
from uuid import UUID

import structlog
from msgspec import UNSET

from sessiond.control import pieces
from sessiond.control.bodies import TARGETS, RevocationRequest, Revoked
from sessiond.control.operator import check_words, operator_of
from sessiond.control.problem import Problem
from sessiond.control.view import View
from sessiond.core.changes import EndSessions, LiftRevocation, ReleaseName, Revoke
from sessiond.core.errors import StoreError, TableClosed
from sessiond.core.events import Operator
from sessiond.core.listing import Filter
from sessiond.core.principal import shown
from sessiond.core.revocation import Scope
from sessiond.core.session import SessionId
from sessiond.system.peer import Peer

log = structlog.get_logger()

NOT_ON_DISK = (
    "access was taken away, but that is not on disk, and does not last: "
    "the database refuses writes; ask again"
)


async def revoke(view: View, request: RevocationRequest, peer: Peer) -> Revoked:
    """Take back, and return when it is on disk and on the connection of each process.

    Raises:
        Problem: The request names none or several, or what is not there; or it is not on disk.
    """
    check_words(request.reason)
    what, value = _target(view, request)
    by = await operator_of(peer)
    try:
        revoked = await _carry_out(view, request, what, value, by)
    except TableClosed:
        raise  # nothing was taken away, and whoever asks is told that
    except StoreError as error:
        log.error("not revoked", uid=peer.uid, pid=peer.pid, what=what, error=str(error))
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, NOT_ON_DISK) from error
    log.warning(
        "revoked",
        uid=peer.uid,
        pid=peer.pid,
        what=what,
        value=shown(value),
        reason=request.reason,
        sessions=revoked.revoked,
        revocation=None if revoked.id is None else str(revoked.id),
    )
    await view.connected.wait_for(view.table.sequence)
    return revoked


async def forgive(view: View, revocation: UUID, peer: Peer, reason: str) -> None:
    """Lift a lasting revocation.

    Raises:
        Problem: There is none of this id, or the reason cannot be shown.
        StoreError: It still stands.
    """
    check_words(reason)
    by = await operator_of(peer)
    if not await view.table.ask(LiftRevocation(id=revocation, by=by, reason=reason)):
        raise Problem(HTTPStatus.NOT_FOUND, "no such revocation is in force")
    log.warning("forgiven", uid=peer.uid, pid=peer.pid, revocation=str(revocation))


async def forget(view: View, user: str, peer: Peer, reason: str) -> None:
    """Let a name belong to somebody else.

    Raises:
        Problem: It belongs to nobody, or the reason cannot be shown.
        StoreError: It still belongs to who had it.
    """
    check_words(reason)
    by = await operator_of(peer)
    if not await view.table.ask(ReleaseName(name=user, by=by, reason=reason)):
        raise Problem(HTTPStatus.NOT_FOUND, "this name belongs to nobody")
    log.warning("forgotten", uid=peer.uid, pid=peer.pid, user=shown(user))


def _target(view: View, request: RevocationRequest) -> tuple[str, str]:
    """Return which of the five is asked, and its value."""
    given = {name: value for name in TARGETS if (value := getattr(request, name)) is not UNSET}
    if len(given) != 1:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "exactly one of session, user, process, issuer and all"
        )
    ((what, value),) = given.items()
    if what == "user" and shown(value) != value:
        raise Problem(HTTPStatus.BAD_REQUEST, "user is no name that a user could have")
    if what == "issuer" and value not in view.issuers:
        raise Problem(HTTPStatus.BAD_REQUEST, "no issuer is configured by this name")
    return what, "" if what == "all" else str(value)


async def _carry_out(
    view: View, request: RevocationRequest, what: str, value: str, by: Operator
) -> Revoked:
    table, words = view.table, request.reason
    if what == "session":
        end = EndSessions(session=SessionId(UUID(value)), by=by, reason=words)
        return Revoked(revoked=await table.ask(end), id=None)
    if what == "process":
        held = await pieces.sessions(table, Filter(process=value))
        processes = dict.fromkeys(each.session.process for each in held)
        ended = await table.ask_all(
            EndSessions(process=process, by=by, reason=words) for process in processes
        )
        return Revoked(revoked=sum(map(_written, ended)), id=None)
    taken = await table.ask(
        Revoke(id=view.new_id(), scope=Scope(what), value=value, reason=words, by=by)
    )
    return Revoked(revoked=taken.sessions, id=taken.id)


def _written(ended: int | StoreError) -> int:
    if isinstance(ended, StoreError):
        raise ended
    return ended
