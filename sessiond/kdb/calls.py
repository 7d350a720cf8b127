"""The calls a process can make, read from kdb+ values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sessiond.core.errors import CallError
from sessiond.core.principal import folded
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, SessionId
from sessiond.qipc import (
    Atom,
    Value,
    guid_of,
    guids,
    integer,
    integers,
    mapping,
    password,
    string,
    text,
    texts,
    typed,
    unpack_call,
)

TABLE = "sessionevents"  # what `.u.sub` gives
MAX_TEXT = 256  # characters of what a process says of itself
MAX_FILTER = 1000  # users whose events it asks for; beyond that it may ask for all
NONCE_LENGTHS = range(16, 129)  # characters
MAX_INT = 2**31 - 1

_WEB_TEXTS = ("target", "accept", "origin", "host")
_NO_TEXT = string("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    about: ProcessAbout
    nonce: str
    hook: str = ""  # the version of the hook that it runs; empty = it does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    user: str
    password: Secret
    handle: int
    address: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    session: SessionId
    handle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    session: SessionId
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    handle: int
    session: SessionId | None = None  # None: whichever is on the handle


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    held: tuple[tuple[int, SessionId], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    users: frozenset[str] | None  # folded names; None = all


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What came over HTTP. The texts are a stranger's, of any length that a message may have."""

    target: str  # path and query
    bearer: Secret  # of an Authorization header; empty: none
    cookie: Secret  # the whole header
    accept: str
    origin: str
    host: str
    site: str  # Sec-Fetch-Site; empty: not said
    address: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketCall:
    session: SessionId
    audience: str  # NAME, or NAME@HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCall:
    name: str  # a data source's
    session: SessionId | None = None  # on whose user's behalf; None: on nobody's


Call = (
    Hello
    | Connect
    | Opened
    | Renewal
    | Disconnect
    | Reconciliation
    | Sessions
    | Subscription
    | Follow
    | Web
    | TicketCall
    | TokenCall
)


def read_call(value: Value) -> Call:
    """Return the call that a message makes.

    Raises:
        CallError: There is no such function, or its arguments are wrong; the text says which.
    """
    name, arguments = unpack_call(value)
    if name not in _READERS:
        raise CallError("unknown function")
    counts, read = _READERS[name]
    if len(arguments) not in counts:
        words = " or ".join(map(str, counts))
        raise CallError(f"{name} takes {words} argument{'' if counts == (1,) else 's'}")
    call: Call = read(*arguments)
    return call


def _hello(argument: Value) -> Hello:
    entries = _entries(argument, "hello", ("name", "type", "host", "pid", "nonce"))
    nonce = text(entries["nonce"], "nonce")
    if len(nonce) not in NONCE_LENGTHS or not nonce.isascii() or not nonce.isprintable():
        raise CallError("nonce must be 16 to 128 printable characters")
    about = ProcessAbout(
        name=_line(entries["name"], "name"),
        type=_line(entries["type"], "type"),
        host=_line(entries["host"], "host"),
        pid=_int(entries["pid"], "pid"),
    )
    return Hello(about=about, nonce=nonce, hook=_stated(entries.get("version")))


def _connect(argument: Value) -> Connect:
    entries = _entries(argument, "connect", ("user", "password", "handle", "address"))
    return Connect(
        user=typed(entries["user"], "user"),
        password=password(entries["password"]),
        handle=_int(entries["handle"], "handle"),
        address=integer(entries["address"], "address"),
    )


def _reconcile(handles: Value, held: Value) -> Reconciliation:
    numbers, sessions = integers(handles, "handles"), guids(held, "sessions")
    if len(numbers) != len(sessions):
        raise CallError("handles and sessions must be of one length")
    known = {session.int for session in sessions}  # a UUID's own hash is Python code
    if len(set(numbers)) != len(numbers) or len(known) != len(sessions):
        raise CallError("each handle and each session may be there once")
    if numbers and not 0 < min(numbers) <= max(numbers) <= MAX_INT:
        raise CallError("handles must be above 0")
    pairs = zip(numbers, map(SessionId, sessions), strict=True)
    return Reconciliation(held=tuple(pairs))


def _subscribe(name: Value, users: Value) -> Subscription:
    if text(name, "the table") != TABLE:
        raise CallError(f"there is no such table, only `{TABLE}")
    if isinstance(users, Atom) and text(users, "the filter") == "":
        return Subscription(users=None)
    names = [text(users, "the filter")] if isinstance(users, Atom) else texts(users, "the filter")
    if len(names) > MAX_FILTER or any(len(name) > MAX_TEXT for name in names):
        raise CallError(f"the filter has at most {MAX_FILTER} names of {MAX_TEXT} characters")
    return Subscription(users=frozenset(map(folded, names)))


def _follow(argument: Value) -> Follow:
    _entries(argument, "follow", ())
    return Follow()


def _web(argument: Value) -> Web:
    entries = _entries(argument, "web", (*_WEB_TEXTS, "bearer", "cookie", "address"))
    said = {name: typed(entries[name], name) for name in _WEB_TEXTS}
    return Web(
        **said,
        bearer=Secret(typed(entries["bearer"], "bearer")),
        cookie=Secret(typed(entries["cookie"], "cookie")),
        site=typed(entries.get("site", _NO_TEXT), "site"),
        address=integer(entries["address"], "address"),
    )


def _ticket(argument: Value) -> TicketCall:
    entries = _entries(argument, "ticket", ("session", "audience"))
    audience = _line(entries["audience"], "audience", at_most=2 * MAX_TEXT)
    session = SessionId(guid_of(entries["session"], "session"))
    return TicketCall(session=session, audience=audience)


def _token(argument: Value) -> TokenCall:
    entries = _entries(argument, "token", ("name",))
    named = entries.get("session")
    session = None if named is None else guid_of(named, "session")
    return TokenCall(
        name=_line(entries["name"], "name"),
        session=SessionId(session) if session is not None and session.int else None,
    )


def _entries(value: Value, name: str, keys: Sequence[str]) -> dict[str, Value]:
    entries = mapping(value, f"the argument of {name}")
    missing = [key for key in keys if key not in entries]
    if missing:
        raise CallError(f"{name} needs {', '.join(missing)}")
    return entries


def _line(value: Value, name: str, *, at_most: int = MAX_TEXT) -> str:
    """Return a text that may stand in logs and tables."""
    line = text(value, name)
    if len(line) > at_most or not line.isprintable():
        raise CallError(f"{name} must be printable, of at most {at_most} characters")
    return line


def _stated(value: Value | None) -> str:
    """Return a version for people to read; a client that means something else by it may stay."""
    try:
        return "" if value is None else _line(value, "version")
    except CallError:
        return ""


def _int(value: Value, name: str) -> int:
    """Return an int that is not negative; -1 and lower would be nulls and infinities."""
    number = integer(value, name)
    if not 0 <= number <= MAX_INT:
        raise CallError(f"{name} must be an int, 0 or above")
    return number


def _handle(value: Value) -> int:
    number = _int(value, "handle")
    if number == 0:
        raise CallError("handle must be above 0")
    return number


def _disconnect(handle: Value, session: Value | None = None) -> Disconnect:
    if session is None:
        return Disconnect(handle=_handle(handle))
    named = SessionId(guid_of(session, "session"))
    return Disconnect(handle=_int(handle, "handle"), session=named)


# How many arguments a call takes, and what reads them.
_READERS: dict[str, tuple[tuple[int, ...], Callable[..., Any]]] = {
    "hello": ((1,), _hello),
    "connect": ((1,), _connect),
    "opened": (
        (2,),
        lambda session, handle: Opened(
            session=SessionId(guid_of(session, "session")), handle=_handle(handle)
        ),
    ),
    "renew": (
        (2,),
        lambda session, secret: Renewal(
            session=SessionId(guid_of(session, "session")), password=password(secret)
        ),
    ),
    "disconnect": ((1, 2), _disconnect),
    "reconcile": ((2,), _reconcile),
    "sessions": ((0,), Sessions),
    ".u.sub": ((2,), _subscribe),
    "follow": ((1,), _follow),
    "web": ((1,), _web),
    "ticket": ((1,), _ticket),
    "token": ((1,), _token),
}
