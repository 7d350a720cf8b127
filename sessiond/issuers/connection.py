"""One connection to an issuer: a request at a time, and its answer (RFC 9112)."""

import asyncio  # noqa: TID251 - the loop calls a protocol itself: no stream and no task in between
import select
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import h11

from sessiond.issuers.url import Origin, Target

MAX_BODY_SIZE = 512 * 1024  # bytes
MAX_HEAD_SIZE = 32 * 1024  # bytes of a status line with its header
MAX_PIECES = 1000  # chunks and promises (1xx) of one answer, those not counted that came alone
_SLICE = 16 * 1024  # bytes parsed at a time, so that the limit of a head counts
_PLAIN = b"identity"
_CLOSED = "it closed the connection"
_CUT_OFF = "it closed the connection within its answer"
_BOTH_DONE = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}


class BadAnswer(Exception):  # noqa: N818 - it is one
    """What came is no answer; its text says why, and repeats nothing of it."""


class Unanswered(BadAnswer):
    """The connection was closed before a byte of the answer: the request may have been read."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send."""

    method: str
    target: Target
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)
    is_repeatable: bool = True  # sent twice it does what it does once (RFC 9110, 9.2.2)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever it means."""

    status: int
    headers: Mapping[bytes, bytes]  # by names in lower case
    fault: str | None  # why there is no body
    body: bytes = field(repr=False)  # it may hold a token

    def header(self, name: bytes) -> str | None:
        """Return a header's value, or None: it has none."""
        found = self.headers.get(name)
        return None if found is None else found.decode("latin-1")


class Connection(asyncio.Protocol):
    """Sends one request after the other. What comes without a request ends it."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle_since = 0.0  # monotonic
        self._transport: asyncio.Transport | None = None
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_SIZE)
        self._came: asyncio.Future[Answer | BadAnswer] | None = None
        self._status = 0
        self._headers: Mapping[bytes, bytes] = {}
        self._body = bytearray()
        self._has_begun = False  # the answer
        self._pieces = 0

    @property
    def is_free(self) -> bool:
        """Whether the next request may be sent."""
        if self._transport is None or self._transport.is_closing() or self._came is not None:
            return False
        return self._http.our_state is h11.IDLE

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come since that the loop has not read yet: no bytes, and no end."""
        if self._transport is None:
            return False
        coming = select.poll()
        coming.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not coming.poll(0)

    def close(self) -> None:
        """Close at once. A request under way is over by then."""
        if self._transport is not None:
            self._transport.abort()  # TLS would wait half a minute for the other side to say bye

    async def exchange(self, request: Request) -> Answer:
        """Return the answer; may be cancelled, which closes.

        Raises:
            BadAnswer: What came is none.
            Unanswered: Nothing came.
            h11.LocalProtocolError, ValueError: A header cannot be sent. The error may hold it.
        """
        sent = self._sent(request)
        self._body, self._has_begun, self._pieces = bytearray(), False, 0
        self._came = asyncio.get_running_loop().create_future()
        try:
            if self._transport is None:
                raise Unanswered(_CLOSED)
            self._transport.write(sent)
            came = await self._came
        finally:
            self._came = None
            if not self.is_free:
                self.close()
        if isinstance(came, BadAnswer):
            raise came
        return came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._pieces = max(self._pieces - 1, -1)
        for at in range(0, len(data), _SLICE):
            if not self._is_waited_for:  # it would be taken for the next one's answer
                self.close()
                return
            self._has_begun = True
            self._receive(data[at : at + _SLICE])

    def eof_received(self) -> None:
        if self._has_begun:
            self._receive(b"")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        lost = BadAnswer(_CUT_OFF) if self._has_begun else Unanswered(_CLOSED)
        lost.__cause__ = error
        self._settle(lost)

    @property
    def _is_waited_for(self) -> bool:
        return self._came is not None and not self._came.done()

    def _settle(self, came: Answer | BadAnswer) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(came)

    def _sent(self, request: Request) -> bytes:
        headers = [("host", request.target.authority), *request.headers.items()]
        content = request.content
        if content is not None:
            headers.append(("content-length", str(len(content))))
        head = h11.Request(method=request.method, target=request.target.path, headers=headers)
        sent = self._http.send(head) or b""
        if content:
            sent += self._http.send(h11.Data(data=content)) or b""
        return sent + (self._http.send(h11.EndOfMessage()) or b"")

    def _receive(self, data: bytes) -> None:
        """Read what came, nothing at the end, for as long as somebody waits for it."""
        if not self._is_waited_for:
            return
        try:
            self._http.receive_data(data)
            while self._took(self._http.next_event()) and self._is_waited_for:
                pass
        except h11.RemoteProtocolError:
            self._settle(BadAnswer("its answer is not HTTP" if data else _CUT_OFF))

    def _took(self, event: object) -> bool:
        """Take one part of the answer; say whether there may be more at hand."""
        match event:
            case h11.Response():
                self._status, self._headers = event.status_code, _joined(event.headers)
                if self._headers.get(b"content-encoding", _PLAIN) != _PLAIN:
                    self._end("compressed its answer without being asked")
            case h11.Data():
                self._count()
                self._body += event.data
                if len(self._body) > MAX_BODY_SIZE:
                    self._end(f"answered more than {MAX_BODY_SIZE} bytes")
            case h11.EndOfMessage():
                self._end(None)
                rest, _ = self._http.trailing_data  # that nobody has asked for
                if not rest and self._http.states == _BOTH_DONE:
                    self._http.start_next_cycle()
            case h11.InformationalResponse():
                self._count()
            case _:
                return False
        return True

    def _count(self) -> None:
        self._pieces += 1
        if self._pieces > MAX_PIECES:
            self._settle(BadAnswer(f"its answer comes in more than {MAX_PIECES} pieces"))

    def _end(self, fault: str | None) -> None:
        body = b"" if fault else bytes(self._body)
        self._settle(Answer(self._status, self._headers, fault, body))


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name; one that comes again is a list (RFC 9110, 5.3)."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = b"%b, %b" % (joined[name], value) if name in joined else value
    return joined
