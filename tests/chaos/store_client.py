"""A program of a chaos run that keeps a token in a store with others, over the control socket."""

import hashlib
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import h11

from tests.chaos.journal import Journal

CHUNK = 65536  # bytes
LARGEST = 65536  # bytes of a value
LARGE = 10  # of so many values one is large
OK, NOTHING, NOT_FOUND = 200, 204, 404

Answered = Callable[[int, bytes], object]


class Values:
    """What clients write: each value is another, of another size, and known by its number."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._names: dict[bytes, str] = {b"": ""}
        self.secrets: list[str] = []

    def next(self) -> tuple[str, bytes]:
        """Return the name of a new value, and the value."""
        number = len(self._names)
        secret = hashlib.sha256(f"{self._seed} {number}".encode()).hexdigest()
        size = 100 + number if number % LARGE else LARGEST - number
        value = (secret * (size // len(secret) + 1))[:size].encode()
        self._names[value] = f"v{number}"
        self.secrets.append(secret)
        return self._names[value], value

    def name_of(self, value: bytes) -> str | None:
        """Return what a value is called; None: nobody wrote it."""
        return self._names.get(value)


class StoreClient:
    """One connection, one request at a time; nothing here waits for the daemon."""

    def __init__(
        self, name: str, key: tuple[str, str], control: Path, values: Values, journal: Journal
    ) -> None:
        """Begin without a connection.

        Args:
            name: What the journal calls it.
            key: The context and the name of its token.
            control: The daemon's control socket.
            values: What it writes.
            journal: Where it says so.
        """
        self.fence: int | None = None  # of the lock that it believes to have
        self.connection: socket.socket | None = None
        self._name = name
        self._key = {"context": key[0], "name": key[1]}
        self._control = control
        self._values = values
        self._journal = journal
        self._http = h11.Connection(h11.CLIENT)
        self._answered: Answered | None = None
        self._status = 0
        self._body = b""

    @property
    def is_waiting(self) -> bool:
        return self._answered is not None

    def read(self) -> None:
        """Read the value."""
        asked_n, _ = self._note("store-reading")

        def answered(status: int, body: bytes) -> None:
            if status in (OK, NOT_FOUND):
                value = self._values.name_of(body if status == OK else b"")
                known = {"value": value or "", "is_whole": value is not None}
                self._note("store-read", asked_n=asked_n, **known)

        self._ask("GET", "token", answered, {})

    def lock(self, wait: float) -> None:
        """Ask for the lock, and wait so many seconds without anybody's progress."""
        asked_n, asked_at = self._note("store-locking", wait=wait)

        def answered(status: int, body: bytes) -> None:
            if status != OK:
                self._note("store-unlocked", status=status)
                return
            self.fence = int(json.loads(body)["fence"])
            when = {"asked_n": asked_n, "asked_at": asked_at}
            self._note("store-locked", fence=self.fence, wait=wait, **when)

        body = json.dumps({"wait_ms": round(wait * 1000)}).encode()
        self._ask("POST", "lock", answered, {"Content-Type": "application/json"}, body)

    def write(self, *, removes: bool = False) -> None:
        """Write another value, or none, by the fence that it has."""
        name, value = ("", b"") if removes else self._values.next()
        about = {"value": name, "size": len(value), "fence": self.fence or 0}
        asked_n, asked_at = self._note("store-writing", **about)

        def answered(status: int, _: bytes) -> None:
            is_written = status in (OK, NOTHING)
            when = {"asked_n": asked_n, "asked_at": asked_at}
            self._note(
                "store-written" if is_written else "store-unwritten", status=status, **when, **about
            )

        fence = {} if self.fence is None else {"Lock": str(self.fence)}
        self._ask("PUT", "token", answered, fence, value)

    def release(self) -> None:
        """Give the lock back."""
        fence, self.fence = self.fence, None
        asked_n, _ = self._note("store-releasing", fence=fence)

        def answered(status: int, _: bytes) -> None:
            if status in (OK, NOTHING):
                self._note("store-released", fence=fence, asked_n=asked_n)

        self._ask("DELETE", "lock", answered, {"Lock": str(fence)})

    def crash(self) -> None:
        """Die as kill -9 would, and start again, knowing nothing."""
        self._note("store-client-killed")
        self.fence = None
        self.drop()

    def drop(self) -> None:
        """Lose the connection, and what is not answered with it."""
        if self.connection is not None:
            self.connection.close()
        self.connection, self._answered = None, None

    def receive(self) -> None:
        """Take what the daemon has sent; to be called when the socket is readable."""
        assert self.connection is not None
        try:
            data = self.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self.drop()
            return
        self._http.receive_data(data)
        while self._answered is not None and self._take(self._http.next_event()):
            pass

    def _take(self, event: Any) -> bool:
        """Take one event of an answer; say whether there may be more."""
        match event:
            case h11.Response():
                self._status, self._body = event.status_code, b""
            case h11.Data():
                self._body += event.data
            case h11.EndOfMessage():
                answered, self._answered = self._answered, None
                if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                    self._http.start_next_cycle()
                else:
                    self.drop()
                assert answered is not None
                answered(self._status, self._body)
                return False
            case h11.NEED_DATA:
                return False
            case _:
                self.drop()
                return False
        return True

    def _ask(
        self,
        method: str,
        what: str,
        answered: Answered,
        headers: Mapping[str, str],
        body: bytes = b"",
    ) -> None:
        assert not self.is_waiting
        sent = {"Host": "sessiond", "Content-Length": str(len(body)), **headers}
        request = h11.Request(
            method=method,
            target=f"/v1/stores/{what}?{urlencode(self._key)}",
            headers=[*sent.items()],
        )
        try:
            if self.connection is None:
                self.connection = socket.socket(socket.AF_UNIX)
                self.connection.connect(str(self._control))
                self._http = h11.Connection(h11.CLIENT)
            parts = [request, h11.Data(data=body), h11.EndOfMessage()]
            data = b"".join(self._http.send(part) or b"" for part in parts)
            self._answered = answered
            self.connection.sendall(data)
        except OSError:  # the daemon has gone, or comes
            with suppress(OSError):
                self.drop()

    def _note(self, kind: str, **facts: Any) -> tuple[int, float]:
        """Write it down; return the entry's number and time."""
        at = self._journal.note(kind, client=self._name, **self._key, **facts)
        return self._journal.last, at
