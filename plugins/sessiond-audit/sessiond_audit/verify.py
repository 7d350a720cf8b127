"""Whether a log's lines still are those that were written, in the order they were."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sessiond_audit.lines import MAX_LINE, START, Line, LineError, digest, read_line


class BrokenChainError(Exception):
    """The log was changed, or is not whole: the text says from which line on."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Sequences after `after` and before `before` are not in the log."""

    after: int
    before: int
    is_told: bool  # sessiond itself has said so, with a gap event


@dataclass(slots=True)
class Findings:
    """What a whole chain holds."""

    files: int = 0
    events: int = 0
    first: int = 0  # sequence
    last: int = 0
    holes: list[Hole] = field(default_factory=list)
    repaired: int = 0  # torn lines that were cut off
    late: int = 0  # events that came after such of higher numbers, and fill a hole
    repeated: int = 0  # numbers that were used before: the daemon came with another store
    is_from_the_start: bool = True  # else older files are not here
    digest: str = START  # of the last line


def verify(paths: Iterable[Path], expected: str | None = None) -> Findings:
    """Return what a log holds, when every line fits the one before.

    Args:
        paths: The files of one log, oldest first.
        expected: The hash of a line that must be in it, noted down at an earlier time.

    Raises:
        BrokenChainError: The first line that does not fit.
        OSError: A file cannot be read.
    """
    chain = _Verification()
    seen = expected is None
    for path in paths:
        for number, raw in enumerate(_lines(path), 1):
            try:
                chain.take(raw, is_first=number == 1)
            except LineError as error:
                raise BrokenChainError(f"{path}, line {number}: {error}") from error
            seen = seen or chain.findings.digest == expected
        chain.findings.files += 1
    if not seen:
        raise BrokenChainError(f"no line has the expected hash {expected}: lines are missing")
    return chain.findings


class _Verification:
    def __init__(self) -> None:
        self.findings = Findings()
        self._is_new = True  # no line was taken yet
        self._reached = 0  # sequence

    def take(self, raw: bytes, *, is_first: bool) -> None:
        line = read_line(raw)
        if self._is_new:
            self._take_up(line)
        if line.previous != self.findings.digest:
            raise LineError("it does not fit the line before it, which was changed or is missing")
        if is_first != (line.begin is not None):
            raise LineError("a file begins with a `begin`, and has no other")
        self._count(line)
        self.findings.digest = digest(raw)

    def _take_up(self, line: Line) -> None:
        """Begin in the middle where older files are gone: what they ended with is not known."""
        self._is_new = False
        self.findings.digest = line.previous
        self.findings.is_from_the_start = line.previous == START
        self._reached = line.sequence

    def _count(self, line: Line) -> None:
        findings = self.findings
        if line.event is None:
            if line.sequence != self._reached:
                raise LineError(f"it goes on after {line.sequence}, the log after {self._reached}")
            findings.repaired += line.repaired is not None
        elif line.reached:
            self._count_late(line.event.sequence, line.reached)
        else:
            self._count_next(line.sequence, is_gap=line.event.kind == "gap")
        self._reached = line.sequence

    def _count_next(self, sequence: int, *, is_gap: bool) -> None:
        findings = self.findings
        if sequence <= self._reached:
            raise LineError(f"event {sequence} comes after event {self._reached}, and not as late")
        is_very_first = not findings.events and findings.is_from_the_start and not self._reached
        if sequence > self._reached + 1 and not is_very_first:
            findings.holes.append(Hole(self._reached, sequence, is_gap))
        findings.first = sequence if not findings.events else findings.first
        findings.last = sequence
        findings.events += 1

    def _count_late(self, sequence: int, reached: int) -> None:
        findings = self.findings
        if reached != self._reached or sequence > reached:
            raise LineError(f"event {sequence} is no late one: the log has reached {self._reached}")
        findings.events += 1
        for place, hole in enumerate(findings.holes):
            if hole.after < sequence < hole.before:
                parts = (
                    Hole(hole.after, sequence, False),
                    Hole(sequence, hole.before, hole.is_told),
                )
                findings.holes[place : place + 1] = [
                    part for part in parts if part.before - part.after > 1
                ]
                findings.late += 1
                return
        findings.repeated += 1


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE):
            yield line
