"""Where the browser comes back to: an address of this computer, for one sign-in (RFC 8252, 7.3).

No threads: while the issuer is asked about the answer that came, others wait in the backlog.
"""

import hmac
import secrets
import selectors
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import h11

from sessiond_login.clock import Clock
from sessiond_login.errors import NotSignedIn
from sessiond_login.issuers import pages
from sessiond_login.issuers.listening import first_free
from sessiond_login.issuers.neighbours import is_strangers
from sessiond_login.issuers.pages import Page

MAX_CONNECTIONS = 64  # open at once; for one more, the oldest is closed
MAX_REQUEST_SIZE = 32_768  # bytes; a code may be some thousand, in one line with the rest
MAX_SILENCE = 10.0  # seconds until a connection has asked for something
SEND_TIMEOUT = 2.0  # seconds to take a page
LAST_PAGE = 5.0  # seconds for the tab to ask for the page it is sent to
MAX_FIELDS = 30
_TICK = 0.5  # seconds


class Loopback:
    """A server for one answer. Whoever else comes is shown a page, and changes nothing."""

    def __init__(self, redirect_uris: tuple[str, ...], *, clock: Clock, wait: float) -> None:
        """Listen at the first redirect URI that is free.

        Args:
            redirect_uris: http, of this computer; without a port, any one is taken.
            clock: Tells how long it has waited.
            wait: Seconds, from now, for the whole sign-in.

        Raises:
            ProfileRefused: One is no such URI.
            NotSignedIn: All are taken.
        """
        self._clock = clock
        self._until = clock.monotonic() + wait
        self._wait = wait
        self._open: list[_Connection] = []
        self.redirect_uri, sockets = first_free(redirect_uris)
        parts = urlsplit(self.redirect_uri)
        self._host, self._path = parts.netloc, parts.path or "/"
        self._held = ExitStack()
        self._selector = self._held.enter_context(selectors.DefaultSelector())
        for each in sockets:
            self._held.enter_context(each)
            self._selector.register(each, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in list(self._open):
            self._drop(connection)
        self._held.close()

    def answer(self, state: str) -> "Visit":
        """Return the visit whose `state` is the right one; wait for it.

        Raises:
            NotSignedIn: It did not come in time.
        """
        while True:
            visit = self._visit(self._until)
            if visit is None:
                raise NotSignedIn(
                    f"nobody signed in within {self._wait:g} s: sign in again, and finish in the "
                    "browser; where that shows an error of the issuer's own, see the profile's "
                    "client_id and redirect_uris"
                )
            if visit.path != self._path:
                visit.show(pages.NOTHING_HERE)
            elif not hmac.compare_digest(visit.params.get("state", "").encode(), state.encode()):
                visit.show(pages.NOT_THIS_ONE)
            elif is_strangers(visit.connection.socket):  # last: the system takes its time for it
                visit.show(pages.NOT_YOURS)
            else:
                return visit

    def show_last(self, visit: "Visit", page: Page) -> None:
        """Send a visitor to an address with no code in it, and show him the page there."""
        path = f"/{secrets.token_urlsafe(16)}"
        visit.lead_to(f"http://{self._host}{path}", status=303)
        until = self._clock.monotonic() + LAST_PAGE
        while (next_visit := self._visit(until)) is not None:
            if next_visit.path == path:
                next_visit.show(page)
                return
            next_visit.show(pages.NOTHING_HERE)

    def _visit(self, until: float) -> "Visit | None":
        """Return the next request that can be read; None: it is too late."""
        while (left := until - self._clock.monotonic()) > 0:
            ready = [key for key, _ in self._selector.select(min(left, _TICK))]
            # First who has asked: for each who is let in, one who has not may have to go.
            for connection in [key.data for key in ready if isinstance(key.data, _Connection)]:
                if (visit := self._read(connection)) is not None:
                    return visit
            for listener in [key.fileobj for key in ready if key.data is None]:
                self._accept(listener)
            now = self._clock.monotonic()
            for connection in [each for each in self._open if now - each.since > MAX_SILENCE]:
                self._drop(connection)
        return None

    def _accept(self, listener: object) -> None:
        assert isinstance(listener, socket.socket)  # noqa: S101 -- as was registered
        try:
            accepted, _ = listener.accept()
        except OSError:  # gone again
            return
        if len(self._open) >= MAX_CONNECTIONS:
            self._drop(self._open[0])
        connection = _Connection(accepted, since=self._clock.monotonic())
        self._open.append(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _read(self, connection: "_Connection") -> "Visit | None":
        """Return what a connection asks for, once it is whole; refuse what is not for us."""
        try:
            request = connection.request()
        except (OSError, EOFError, h11.RemoteProtocolError):
            self._drop(connection)
            return None
        if request is None:
            return None
        self._forget(connection)
        visit = Visit.of(connection, request)
        host = [value for name, value in request.headers if name == b"host"]
        if request.method != b"GET":
            visit.show(pages.NOT_ALLOWED)
        elif host != [self._host.encode()] or visit.repeats:  # by another name: DNS rebinding
            visit.show(pages.NOT_THIS_ONE)
        else:
            return visit
        return None

    def _drop(self, connection: "_Connection") -> None:
        self._forget(connection)
        connection.close()

    def _forget(self, connection: "_Connection") -> None:
        self._open.remove(connection)
        self._selector.unregister(connection.socket)


class _Connection:
    """One connection of whoever on this computer likes to make one."""

    def __init__(self, accepted: socket.socket, *, since: float) -> None:
        accepted.setblocking(False)
        self.socket = accepted
        self.since = since
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST_SIZE)

    def request(self) -> h11.Request | None:
        """Return the request, or None: it is not whole yet."""
        data = self.socket.recv(MAX_REQUEST_SIZE)
        if not data:
            raise EOFError
        self._http.receive_data(data)
        event = self._http.next_event()
        return event if isinstance(event, h11.Request) else None

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a response and close, whether or not anybody takes it."""
        length = {"Content-Length": str(len(body))}
        with suppress(OSError, h11.LocalProtocolError):
            self.socket.settimeout(SEND_TIMEOUT)
            response = h11.Response(status_code=status, headers=list({**headers, **length}.items()))
            sent = self._http.send(response) or b""
            self.socket.sendall(sent + body)
            self.socket.shutdown(socket.SHUT_WR)
        self.close()

    def close(self) -> None:
        self.socket.close()


@dataclass(frozen=True, slots=True)
class Visit:
    """A GET that waits for its page."""

    connection: _Connection
    path: str
    params: Mapping[str, str] = field(repr=False)  # the code is among them
    repeats: bool  # a parameter stands twice (RFC 6749, 3.1), or there are too many

    @classmethod
    def of(cls, connection: _Connection, request: h11.Request) -> Self:
        """Return what was asked for; never anything but that, whatever it was."""
        path, _, query = request.target.decode("ascii", "replace").partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return cls(connection, path, {}, repeats=True)
        params = dict(pairs)
        return cls(connection, path, params, repeats=len(params) < len(pairs))

    def show(self, page: Page) -> None:
        """Answer with a page."""
        self.connection.send(page.status, pages.HEADERS, page.to_bytes())

    def lead_to(self, url: str, *, status: int = 302) -> None:
        """Answer with a redirect."""
        self.connection.send(status, {**pages.HEADERS, "Location": url}, b"")
