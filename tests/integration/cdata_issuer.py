"""An issuer of the test's own: counts who authenticates, and lets a token be used so many times."""

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Self

Fault = Callable[[int], None]  # gets the pid of who authenticates


class CountingIssuer:
    """Answers `authenticate PID` with a new token, and `use TOKEN` with `ok` or `expired`.

    A token expires by being used: how often somebody has to authenticate is then no matter of
    time. One connection a thread.
    """

    def __init__(self, uses: int) -> None:
        """Begin.

        Args:
            uses: How often a token is good.
        """
        self.uses = uses
        self.issued: list[str] = []
        self.accepted = 0  # uses, of all tokens
        self.faults: deque[tuple[int, Fault, Fault]] = deque()
        self._left: dict[str, int] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def needed(self) -> int:
        """How many tokens all uses have needed."""
        return -(-self.accepted // self.uses)

    def at(
        self, number: int, before: Fault = lambda _: None, after: Fault = lambda _: None
    ) -> None:
        """Do something at the nth authentication (in order), before its answer, and after it."""
        self.faults.append((number, before, after))

    def _accept(self) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer, peer.makefile("rw", encoding="ascii") as lines:
            for line in lines:
                word, _, what = line.strip().partition(" ")
                after: Fault | None = None
                if word == "authenticate":
                    answer, after = self._authenticated(int(what))
                else:
                    answer = self._used(what)
                lines.write(answer + "\n")
                lines.flush()
                if after is not None:
                    after(int(what))

    def _authenticated(self, pid: int) -> tuple[str, Fault | None]:
        with self._lock:
            token = f"token-{next(self._numbers)}"
            self.issued.append(token)
            self._left[token] = self.uses
            before: Fault | None = None
            after: Fault | None = None
            if self.faults and len(self.issued) == self.faults[0][0]:
                _, before, after = self.faults.popleft()
        if before is not None:
            before(pid)
        return token, after

    def _used(self, token: str) -> str:
        with self._lock:
            if not self._left.get(token):
                return "expired"
            self._left[token] -= 1
            self.accepted += 1
            return "ok"
