"""Token stores over the control socket: values, and the locks under which they are written."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.responses import Response

from sessiond.control import sourcing, stores_listing
from sessiond.control.access import Right, admit
from sessiond.control.operation import ANY_MEDIA_TYPE, Admit, Asked, Operation
from sessiond.control.problem import Problem
from sessiond.control.stores_listing import Label
from sessiond.control.view import View
from sessiond.system.peer import Peer
from sessiond.tokenstores.lock import LONGEST_WAIT
from sessiond.tokenstores.source_lines import NOT_HERE, PREFIX, lines_of
from sessiond.tokenstores.stores import MAX_VALUE, Asker, Place, Refused

TOKEN, LOCK = "/v1/stores/token", "/v1/stores/lock"
OCTETS = "application/octet-stream"
ONLY_FOR = "stores.users"
LONGEST_FENCE = 16  # digits of a number below 2^53

WaitMs = Annotated[int, Meta(ge=-(2**31), le=2**53)]

_NOTHING = "there is no value of this name in this context: take its lock, and write one"
_UNKEPT = {"cache-control": "no-store"}
_FENCE = {
    "Lock": {
        "type": "string",
        "pattern": "[^ \\t]",  # a blank one is as if it were not there
        "description": "The fence with which the lock's taking was answered",
    }
}
_TOLD = {
    Refused.UNLOCKED: (
        HTTPStatus.PRECONDITION_REQUIRED,
        "there is no Lock header, wanted the fence of the lock: take it with POST /v1/stores/lock "
        "and send its fence as `Lock: FENCE`",
    ),
    Refused.DEAD: (
        HTTPStatus.CONFLICT,
        "the fence in the Lock header does not hold the lock (any more), wanted that of its "
        "holder: take the lock anew, and read again before you write",
    ),
    Refused.NOTOWNER: (
        HTTPStatus.FORBIDDEN,
        "the context is another user's, who wrote it first, wanted one of yours: choose another "
        "name for it, or have stores.shared set",
    ),
    Refused.FULL: (
        HTTPStatus.INSUFFICIENT_STORAGE,
        "there is no room for another value, wanted less: remove values that nobody needs "
        "(sessionctl stores drop), or raise stores.max_contexts",
    ),
    Refused.OVER: (
        HTTPStatus.REQUEST_TIMEOUT,
        f"the lock did not come free within {LONGEST_WAIT:g} s: ask again",
    ),
}


class PlaceQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which value."""

    context: Label
    name: Label


class LockRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a lock may be without progress before it is taken over; below 250 is as 250."""

    wait_ms: WaitMs


class Locked(Struct, frozen=True, kw_only=True):
    """What writes and releases under the lock are sent with, as `Lock`."""

    fence: int


async def _read(view: View, asked: Asked) -> Response:
    query: PlaceQuery = asked.query
    if query.context.startswith(PREFIX):
        return await _read_source(view, asked.peer, query)
    _admit(view, asked.peer, asked.path)  # who is a reader of a source may be nobody here
    found = await view.stores.read(_asker(asked), _place(asked))
    if isinstance(found, Refused):
        raise _problem(found)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, _NOTHING)
    return Response(found, media_type=OCTETS, headers=_UNKEPT)


async def _read_source(view: View, peer: Peer, query: PlaceQuery) -> Response:
    source = query.context.removeprefix(PREFIX)
    sourcing.admit_reader(view, peer, source, path=TOKEN)
    if query.name == NOT_HERE:
        raise Problem(HTTPStatus.NOT_FOUND, _NOTHING)
    token = await sourcing.token_of(view, peer, source)
    return Response(lines_of(token, now=view.clock.now()), media_type=OCTETS, headers=_UNKEPT)


async def _write(view: View, asked: Asked) -> None:
    _check_writable(asked)
    fence = _fence(asked)
    answer = await view.stores.write(_asker(asked), _place(asked), asked.content, fence)
    if answer is not None:
        raise _problem(answer)


async def _lock(view: View, asked: Asked) -> Locked:
    _check_writable(asked)
    request: LockRequest = asked.body
    answer = await view.stores.lock(_asker(asked), _place(asked), request.wait_ms, asked.hung_up)
    if isinstance(answer, Refused):
        raise _problem(answer)
    return Locked(fence=answer)


async def _release(view: View, asked: Asked) -> None:
    answer = await view.stores.release(_asker(asked), _place(asked), _fence(asked))
    if answer is not None:
        raise _problem(answer)


async def _listed(view: View, asked: Asked) -> stores_listing.Stores:
    return await stores_listing.listed(view, asked.query)


async def _drop(view: View, asked: Asked) -> stores_listing.Dropped:
    return await stores_listing.drop(view, asked.query.context, asked.peer)


def _check_writable(asked: Asked) -> None:
    if asked.query.context.startswith(PREFIX):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"the context is a data source's, which is read only, wanted one without {PREFIX} "
            "before it: sessiond fetches that token itself",
        )


def _fence(asked: Asked) -> int | None:
    """Return the fence that a request is sent with; None: none is. What is no number is dead."""
    told = asked.headers.get("lock", "").strip(" \t")
    if not told:
        return None
    return int(told) if told.isascii() and told.isdigit() and len(told) <= LONGEST_FENCE else 0


def _problem(why: Refused) -> Problem:
    if why is Refused.CROWDED:
        told = "too many locks of yours are held, or waited for"
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, told, retry_after=1)
    return Problem(*_TOLD[why])


def _asker(asked: Asked) -> Asker:
    return Asker(asked.peer.uid, asked.peer.pid)


def _place(asked: Asked) -> Place:
    return Place(asked.query.context, asked.query.name)


def _admit_to_read(view: View, peer: Peer, path: Mapping[str, str]) -> None:
    """See that the peer may read something: which context it is, is looked at afterwards."""
    if not sourcing.is_reader(view, peer):
        _admit(view, peer, path)


def _admit(view: View, peer: Peer, _: Mapping[str, str]) -> None:
    """See that there are token stores, and that they are for the peer."""
    allowed = view.settings().stores.allowed
    if allowed is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "token stores are switched off, wanted [stores] in the configuration: name there who "
            "may use them",
        )
    admit(peer, allowed, key=ONLY_FOR, path=TOKEN)


def _of_store(
    method: str,
    path: str,
    summary: str,
    *,
    admitted: Admit = _admit,
    only_for: str = ONLY_FOR,
    **more: Any,
) -> Operation:
    """Return an operation for those who may use token stores."""
    return Operation(
        method=method,
        path=path,
        summary=summary,
        right=Right.CONNECT,
        admit=admitted,
        only_for=only_for,
        query=PlaceQuery,
        is_brisk=True,
        **more,
    )


OPERATIONS = (
    _of_store(
        "GET",
        TOKEN,
        "A value, byte for byte; 404 where there is none",
        admitted=_admit_to_read,
        only_for=f"{ONLY_FOR}, or in a source's readers",
        carry_out=_read,
        lane="stored",
        answer=OCTETS,
    ),
    _of_store(
        "PUT",
        TOKEN,
        "Write a value under its lock, empty: remove it; answered when it is on disk",
        carry_out=_write,
        lane="storing",
        content=frozenset({ANY_MEDIA_TYPE}),
        content_limit=MAX_VALUE,
        headers=_FENCE,
        answer=None,
    ),
    _of_store(
        "POST",
        LOCK,
        "Wait for a value's lock; 408 after a minute: ask again",
        carry_out=_lock,
        lane=None,
        body=LockRequest,
        content=frozenset({ANY_MEDIA_TYPE}),
        answer=Locked,
    ),
    _of_store(
        "DELETE",
        LOCK,
        "Give a lock back",
        carry_out=_release,
        lane="storing",
        headers=_FENCE,
        answer=None,
    ),
    Operation(
        method="GET",
        path="/v1/stores",
        summary="What is kept in the token stores, without a value, and who holds locks",
        carry_out=_listed,
        query=stores_listing.StoresQuery,
        answer=stores_listing.Stores,
    ),
    Operation(
        method="DELETE",
        path="/v1/stores",
        summary="Drop a context: break its locks and remove its values",
        carry_out=_drop,
        right=Right.ADMINISTER,
        query=stores_listing.ContextQuery,
        answer=stores_listing.Dropped,
    ),
)
