"""Subscribers for tests: one that tells the test what it receives, and ones that misbehave.

They tell over a Unix socket on which the test listens, a JSON object on each line.
"""

import json
import os
import resource
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec

from sessiond.api import Event, settings_of


class TellerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the test listens."""

    path: str


class Teller:
    """Tells every event it receives; well-behaved, and plain."""

    def __init__(self, **keys: Any) -> None:
        self._path = settings_of(TellerSettings, keys).path
        self._socket = socket.socket(socket.AF_UNIX)

    def start(self) -> None:
        self._socket.connect(self._path)
        self.tell(state="started")

    def stop(self) -> None:
        self.tell(state="stopped")

    def receive(self, event: Event) -> None:
        self.tell(sequence=event.sequence, kind=event.kind, user=event.user, at=time.monotonic())

    def tell(self, **what: Any) -> None:
        self._socket.sendall(json.dumps(what).encode() + b"\n")


class BatchTeller(Teller):
    """The same with many at a time, and async."""

    batch = 100

    async def receive_batch(self, events: Sequence[Event]) -> None:
        await anyio.lowlevel.checkpoint()
        self.tell(batch=[event.sequence for event in events])


class Naughty(Teller):
    """Misbehaves `how` at each event, until there is a file `until`; tells it before."""

    def __init__(self, *, how: str, path: str, until: str = "/nowhere") -> None:
        super().__init__(path=path)
        self._how = how
        self._until = Path(until)

    def receive(self, event: Event) -> None:
        if not self._until.exists():
            self.tell(tried=event.sequence)
            getattr(self, f"_{self._how}")()
        super().receive(event)

    def _raises(self) -> None:
        raise ValueError("not\ntoday")

    def _blocks(self) -> None:
        while True:
            time.sleep(1)

    def _floods(self) -> None:
        for number in range(20_000):
            print(f"flood {number}", "x" * 80, file=sys.stderr)

    def _leaks(self) -> None:
        hoard = []
        while True:
            hoard.append(bytearray(1 << 22))

    def _crashes(self) -> None:
        os._exit(3)

    def _babbles(self) -> None:
        os.write(3, b"\0\0\0\x09nonsense!")
        time.sleep(60)

    def _lies(self) -> None:
        body = b'{"message":"received","sequence":9000000000}'
        os.write(3, len(body).to_bytes(4, "big") + body)
        time.sleep(60)

    def _boasts(self) -> None:
        os.write(3, b"\x7f\xff\xff\xff" + b"x" * 1000)
        time.sleep(60)


class Deaf(Teller):
    """Waits for ever, as async plugins do."""

    async def receive(self, event: Event) -> None:  # type: ignore[override]  # either is allowed
        self.tell(tried=event.sequence)
        await anyio.sleep_forever()


class Onlooker(Teller):
    """Tells what its process can see."""

    def receive(self, event: Event) -> None:
        nothing = sys.stdin.read()
        descriptors = {}
        for each in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # what listed them
                descriptors[int(each.name)] = str(each.readlink())
        status = Path("/proc/self/status").read_text()
        self.tell(
            environment=dict(os.environ),
            descriptors=descriptors,
            stdin=nothing,
            core=resource.getrlimit(resource.RLIMIT_CORE),
            memory=resource.getrlimit(resource.RLIMIT_AS),
            is_leader=os.getsid(0) == os.getpid(),
            no_new_privs="NoNewPrivs:\t1" in status,
            size=int(next(line for line in status.splitlines() if "VmPeak" in line).split()[1]),
            arguments=sys.argv,
        )


def stubborn(**_: Any) -> None:
    """Accept settings and never come back."""
    time.sleep(600)


def dying(**_: Any) -> None:
    """End the process while it is being made."""
    os._exit(7)
