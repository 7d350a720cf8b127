"""A reader that is slow or gone never holds the daemon."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from sessiond.log.output import MOST_PENDING, DescriptorOutput, lost


@dataclass
class Pipe:
    reading: int
    writing: int

    def all_of(self, output: DescriptorOutput) -> bytes:
        """Read and have more written until there is nothing left."""
        found = b""
        while more := self.drained():
            found += more
            output.flush()
        return found

    def drained(self) -> bytes:
        """Return what is in it."""
        found = b""
        while True:
            try:
                found += os.read(self.reading, 1 << 20)
            except BlockingIOError:
                return found


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reading, False)
    yield Pipe(reading, writing)
    for each in (reading, writing):
        with suppress(OSError):  # the test has closed it
            os.close(each)


def test_a_line_is_written_at_once_and_the_descriptor_stays_as_it_was(pipe: Pipe) -> None:
    flags = fcntl.fcntl(pipe.writing, fcntl.F_GETFL)
    DescriptorOutput(pipe.writing).put(b"line")
    assert pipe.drained() == b"line\n"
    assert fcntl.fcntl(pipe.writing, fcntl.F_GETFL) == flags


def test_what_a_slow_reader_has_not_taken_waits_in_order(pipe: Pipe) -> None:
    output, lines = DescriptorOutput(pipe.writing), [b"%08d" % n + b"x" * 999 for n in range(200)]
    before = lost["output"]
    for line in lines:
        output.put(line)
    first = pipe.drained()
    assert len(first) < sum(map(len, lines))
    output.flush()
    assert (first + pipe.all_of(output)).splitlines() == lines
    assert lost["output"] == before


def test_beyond_the_bound_whole_lines_are_dropped_and_counted(pipe: Pipe) -> None:
    output, line, before = DescriptorOutput(pipe.writing), b"x" * 9999, lost["output"]
    for _ in range(2 * MOST_PENDING // 10_000):
        output.put(line)
    dropped = lost["output"] - before
    assert dropped > 0
    assert pipe.all_of(output).splitlines() == [line] * (2 * MOST_PENDING // 10_000 - dropped)
    output.put(b"heard again")
    assert pipe.drained() == b"heard again\n"


def test_a_reader_that_is_gone_costs_its_lines_and_nothing_else(pipe: Pipe) -> None:
    output, before = DescriptorOutput(pipe.writing), lost["output"]
    os.close(pipe.reading)
    output.put(b"one")
    output.put(b"two")
    assert lost["output"] == before + 2
