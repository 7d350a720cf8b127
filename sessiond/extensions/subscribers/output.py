"""What a subscriber prints and logs, as lines of the daemon's log: bounded, whatever it floods."""

import anyio
import structlog
from anyio.abc import ByteReceiveStream

from sessiond.clock import Clock

MAX_LINE = 1000  # bytes; the rest of a longer line is left out
LINES_A_SECOND = 20  # further ones are counted
READ_A_SECOND = 65_536  # bytes; who writes more waits until they are read
AT_ONCE = 8192  # bytes: nobody who logs in waits for these

log = structlog.get_logger()


class Output:
    """Reads one process's standard output and error."""

    def __init__(self, subscriber: str, clock: Clock) -> None:
        self._subscriber = subscriber
        self._clock = clock
        self._line = bytearray()
        self._is_cut = False  # the line's rest is left out
        self._began = clock.monotonic()  # of the second that is being counted
        self._read, self._lines = 0, 0  # in this second
        self._left_out = 0  # lines

    async def read(self, stream: ByteReceiveStream) -> None:
        """Read until the end."""
        while True:
            try:
                chunk = await stream.receive(AT_ONCE)
            except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
                break
            self._begin_second_when_over()
            self._take(chunk)
            self._read += len(chunk)
            if self._read >= READ_A_SECOND:
                await self._clock.sleep(self._began + 1.0 - self._clock.monotonic())
        if self._line:
            self._end_line()
        self._tell_left_out()

    def _begin_second_when_over(self) -> None:
        if self._clock.monotonic() - self._began >= 1.0:
            self._tell_left_out()
            self._began, self._read, self._lines = self._clock.monotonic(), 0, 0

    def _take(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part)
            self._end_line()
        self._add(rest)

    def _add(self, part: bytes) -> None:
        room = MAX_LINE - len(self._line)
        self._is_cut = self._is_cut or len(part) > room
        self._line += part[:room]

    def _end_line(self) -> None:
        line = self._line.decode("utf-8", "backslashreplace").rstrip()
        if self._is_cut:
            line += "…"
        self._line.clear()
        self._is_cut = False
        if not line:
            return
        if self._lines >= LINES_A_SECOND:
            self._left_out += 1
            return
        self._lines += 1
        log.info("subscriber says", subscriber=self._subscriber, line=line)

    def _tell_left_out(self) -> None:
        if self._left_out:
            log.warning(
                "subscriber's lines left out", subscriber=self._subscriber, lines=self._left_out
            )
        self._left_out = 0
