"""What an operation of the control socket is: what it is asked with, and what it answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import anyio
from msgspec import Struct
from starlette.responses import Response

from sessiond.control import bodies
from sessiond.control.access import Right
from sessiond.control.turns import Turns
from sessiond.control.view import View
from sessiond.system.peer import Peer

ANY_MEDIA_TYPE = "*/*"
EVENT_STREAM = "text/event-stream"
READS = "reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, read and allowed."""

    peer: Peer
    path: Mapping[str, str]  # the path's parameters
    query: Any  # what the operation's `query` says
    body: Any = field(repr=False)  # what the operation's `body` says, None where it takes none
    content: bytes = field(default=b"", repr=False)  # as it came, where it is taken so: a token
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # names in lower case
    hung_up: Callable[[], Awaitable[None]]  # returns when the peer has
    last_event_id: int | None
    closing: anyio.Event  # set when the daemon stops
    turns: Turns


Answer = Struct | Response | None
Admit = Callable[[View, Peer, Mapping[str, str]], None]  # by the path's parameters; or a Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Its body is JSON that `body` describes, also if it is said to be of a type in `content`; or it
    is bytes of one of those types; or there is none.
    """

    method: str
    path: str
    summary: str
    carry_out: Callable[[View, Asked], Awaitable[Answer]]
    right: Right = Right.READ
    admit: Admit | None = None  # with Right.CONNECT: sees who asks, before anything is read
    only_for: str = ""  # with Right.CONNECT: the key that names who may, for people to read
    lane: str | None = READS  # in which a user's requests go one at a time; None: at once
    is_brisk: bool = False  # its lane has no turns and no pauses, and is full as others are
    query: type[Struct] = bodies.NoQuery
    body: type[Struct] | None = None
    content: frozenset[str] | None = None  # media types; "*/*": any, or none told
    content_limit: int = 0  # bytes
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # that it wants: schemas
    answer: type[Struct] | str | None  # a body, a media type, or nothing: 204
    refusals: Mapping[HTTPStatus, type[Struct]] = field(default_factory=dict)  # no problem details
