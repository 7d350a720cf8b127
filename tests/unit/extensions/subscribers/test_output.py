"""What a subscriber prints becomes lines of the log, and no more of them than are bearable."""

from collections.abc import MutableMapping
from typing import Any, cast

import anyio
import pytest
from anyio.abc import ByteReceiveStream
from structlog.testing import capture_logs

from sessiond.extensions.subscribers.output import (
    LINES_A_SECOND,
    MAX_LINE,
    READ_A_SECOND,
    Output,
)
from tests.fakes import FakeClock, idle

pytestmark = pytest.mark.anyio


class Printed:
    """A pipe of which a test decides what is in it."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[bytes](1000)
        self.taken = 0  # bytes

    async def receive(self, max_bytes: int = 65536) -> bytes:
        chunk = await self._receive.receive()
        assert len(chunk) <= max_bytes
        self.taken += len(chunk)
        return chunk

    def print(self, data: bytes) -> None:
        for start in range(0, len(data), 4096):
            self._send.send_nowait(data[start : start + 4096])

    def end(self) -> None:
        self._send.close()

    def close(self) -> None:
        self._send.close()
        self._receive.close()


async def logged(*data: bytes) -> list[MutableMapping[str, Any]]:
    printed = Printed()
    for each in data:
        printed.print(each)
    printed.end()
    with capture_logs() as logs:
        await Output("audit", FakeClock()).read(cast("ByteReceiveStream", printed))
    printed.close()
    return logs


async def test_each_line_is_one_of_the_log_however_it_was_cut() -> None:
    logs = await logged(b"one\ntw", b"o\r\n", b"\n\nthree")
    assert [each["line"] for each in logs] == ["one", "two", "three"]
    assert {(each["event"], each["subscriber"]) for each in logs} == {("subscriber says", "audit")}


async def test_what_is_no_text_is_shown_all_the_same() -> None:
    (line,) = await logged(b"\xff\xfe!\n")
    assert line["line"] == "\\xff\\xfe!"


async def test_a_long_line_is_cut() -> None:
    one, two = await logged(b"x" * 10_000 + b"\nnext\n")
    assert one["line"] == "x" * MAX_LINE + "…"
    assert two["line"] == "next"


async def test_too_many_lines_are_counted_instead() -> None:
    logs = await logged(b"line\n" * (LINES_A_SECOND + 7))
    assert len(logs) == LINES_A_SECOND + 1
    assert (logs[-1]["event"], logs[-1]["lines"]) == ("subscriber's lines left out", 7)


async def test_a_flood_is_read_no_faster_than_so_many_bytes_a_second() -> None:
    printed, clock = Printed(), FakeClock()
    printed.print(b"x" * (3 * READ_A_SECOND))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Output("audit", clock).read, cast("ByteReceiveStream", printed))
        await idle()
        assert printed.taken == READ_A_SECOND
        await clock.advance(0.9)
        assert printed.taken == READ_A_SECOND
        await clock.advance(0.2)
        assert printed.taken == 2 * READ_A_SECOND
        await clock.advance(1)
        printed.end()
        await clock.advance(2)
    printed.close()


async def test_every_second_has_room_for_lines_again() -> None:
    printed, clock = Printed(), FakeClock()
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Output("audit", clock).read, cast("ByteReceiveStream", printed))
            printed.print(b"early\n" * (LINES_A_SECOND + 1))
            await idle()
            await clock.advance(1)
            printed.print(b"late\n")
            printed.end()
    printed.close()
    assert [each.get("line", "") for each in logs[-2:]] == ["", "late"]


@pytest.mark.parametrize("error", [ConnectionResetError(), anyio.BrokenResourceError()])
async def test_a_pipe_that_breaks_is_an_end(error: Exception) -> None:
    class Broken:
        async def receive(self, max_bytes: int = 65536) -> bytes:
            raise error

    with capture_logs() as logs:
        await Output("audit", FakeClock()).read(cast("ByteReceiveStream", Broken()))
    assert logs == []
