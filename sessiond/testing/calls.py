"""What a q process asks of the daemon, as the hook (plugins/torq) sends it."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from sessiond import __version__
from sessiond.qipc import QType, Value, Vector, call, dictionary, guid, int_, string, symbol

NONCE: Final = "0123456789abcdef"  # of a test: it proves nothing
PING: Final = string("")  # answered in its turn, so all that was sent before has had its own
SESSIONS: Final = call("sessions")


def hello_call(
    name: str = "gw1", *, host: str = "host1", pid: int = 4711, nonce: str = NONCE
) -> Value:
    """Return what a process says of itself, which the daemon shows and does not believe."""
    about: dict[str, Value] = {
        "name": symbol(name),
        "type": symbol("gateway"),
        "host": string(host),
        "pid": int_(pid),
        "nonce": string(nonce),
        "version": string(__version__),  # as the hook that belongs to this daemon
    }
    return call("hello", dictionary(about))


def connect_call(user: str, password: str, handle: int = 5) -> Value:
    """Return the login of a user, whose password has tokens in it."""
    login: dict[str, Value] = {
        "user": symbol(user),
        "password": string(password),
        "handle": int_(handle),
        "address": int_(0),
    }
    return call("connect", dictionary(login))


def opened_call(session: UUID, handle: int) -> Value:
    """Return that an accepted login's handle is open."""
    return call("opened", guid(session), int_(handle))


def disconnect_call(handle: int, session: UUID | None = None) -> Value:
    """Return that a user has left; where the session is named, it is that one."""
    named = () if session is None else (guid(session),)
    return call("disconnect", int_(handle), *named)


def renew_call(session: UUID, password: str) -> Value:
    """Return that a user brings other tokens for a live session."""
    return call("renew", guid(session), string(password))


def ticket_call(session: UUID, audience: str) -> Value:
    """Return that one of a process's sessions is to be let in at another process."""
    return call("ticket", dictionary({"session": guid(session), "audience": string(audience)}))


def token_call(name: str, session: UUID | None = None) -> Value:
    """Return that a data source's token is asked for, maybe on behalf of a session's user."""
    whose = {} if session is None else {"session": guid(session)}
    return call("token", dictionary({"name": string(name), **whose}))


def web_call(
    target: str = "/",
    *,
    bearer: str = "",
    cookie: str = "",
    accept: str = "*/*",
    origin: str = "",
    host: str = "localhost",
    **more: str,
) -> Value:
    """Return what came over HTTP; the answer says what q does with it."""
    request: dict[str, Value] = {
        "target": string(target),
        "bearer": string(bearer),
        "cookie": string(cookie),
        "accept": string(accept),
        "origin": string(origin),
        "host": string(host),
        "address": int_(0),
    }
    return call("web", dictionary(request | {name: string(text) for name, text in more.items()}))


def reconcile_call(held: Mapping[int, UUID]) -> Value:
    """Return which sessions are held by which handles; the answer is the handles to close."""
    handles = Vector(QType.INT, tuple(held))
    return call("reconcile", handles, Vector(QType.GUID, tuple(held.values())))
