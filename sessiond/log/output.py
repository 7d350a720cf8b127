"""Where lines go, without ever waiting for whoever reads them."""

import os
import select
from collections import Counter
from typing import Protocol, TextIO

PIECE = 4096  # bytes: what a pipe or socket that says it is ready takes without waiting (PIPE_BUF)
MOST_PENDING = 1 << 20  # bytes that wait for a reader; beyond it whole lines are dropped
LAST_WORDS = 1000  # milliseconds that a reader is given at the end

lost = Counter(output=0, journal=0)  # lines not taken since the start, by where they went


class Output(Protocol):
    """Takes finished lines."""

    @property
    def is_behind(self) -> bool:
        """Whether lines wait for their reader."""
        ...

    def put(self, line: bytes) -> None:
        """Take a line. Never waits; what cannot be taken is counted in `lost`."""
        ...

    def flush(self, wait: int = 0) -> None:
        """Try again to write what waits.

        Args:
            wait: Milliseconds that each piece may wait for the reader.
        """
        ...


class TextOutput:
    """A stream of Python's: in memory, or whatever stands in for standard output in a test."""

    is_behind = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def put(self, line: bytes) -> None:
        self._stream.write(line.decode() + "\n")
        self._stream.flush()

    def flush(self, wait: int = 0) -> None:
        """Do nothing: all is written."""


class DescriptorOutput:
    """A descriptor, say standard output's.

    It is not made non-blocking: that would be so for everybody who shares it, such as the shell.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._pending = bytearray()
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)

    @property
    def is_behind(self) -> bool:
        return bool(self._pending)

    def put(self, line: bytes) -> None:
        if not self._pending and len(line) < PIECE and self._ready.poll(0):
            self._write(line + b"\n")
            return
        if len(self._pending) + len(line) > MOST_PENDING:
            self.flush()
            if len(self._pending) + len(line) > MOST_PENDING:
                lost["output"] += 1
                return
        self._pending += line
        self._pending += b"\n"
        self.flush()

    def flush(self, wait: int = 0) -> None:
        while self._pending and self._ready.poll(wait):
            piece = bytes(self._pending[:PIECE])
            del self._pending[:PIECE]
            self._write(piece)

    def _write(self, piece: bytes) -> None:
        try:
            written = os.write(self.descriptor, piece)
        except OSError:  # nobody will ever read it
            lost["output"] += (piece + self._pending).count(b"\n")
            self._pending.clear()
        else:
            self._pending[:0] = piece[written:]
