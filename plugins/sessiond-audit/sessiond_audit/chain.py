"""The chain of lines over a log's files: what is written, what comes next, when a file is full."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from sessiond_audit.file import AuditError, AuditFile, sync_directory
from sessiond_audit.lines import (
    MAX_LINE,
    START,
    Begin,
    Line,
    LineError,
    Repaired,
    digest,
    event_line,
    event_part,
    note_line,
    read_line,
)
from sessiond_audit.names import next_rotated, rotated
from sessiond_audit.settings import AuditSettings

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_LOOK_BACK: Final = (1 << 20, 1 << 24)  # bytes in which an event that comes again is looked for


@dataclass(frozen=True, slots=True)
class End:
    """Where the chain ends: all that is needed to go on."""

    digest: str = START
    sequence: int = 0  # highest of its events
    at: datetime = _NEVER  # of the last line


class Chain:
    """An open log. After an AuditError it must be closed and opened again."""

    def __init__(self, settings: AuditSettings, file: AuditFile, end: End) -> None:
        self.end = end  # of what is written
        self._settings = settings
        self._file = file
        self._begin: Begin | None = None  # of this file; None while it has no line
        self._pending = bytearray()  # lines that are written with the next flush
        self._next = end  # of what is pending too

    @classmethod
    def open(cls, settings: AuditSettings, known: End | None = None) -> Self:
        """Open the log where it ends, and cut off what a stopped process left torn.

        Args:
            settings: As configured.
            known: Where this process has left the chain; counts where the file is gone.

        Raises:
            AuditError: It cannot be opened, or does not end as a log does.
        """
        path = Path(settings.path)
        file = AuditFile.open(path)
        with ExitStack() as on_failure:
            on_failure.callback(file.close)
            line, torn = file.last_line()
            chain = cls(settings, file, _end(path, line) if line else known or _end_before(path))
            if line:
                chain._begin = _read(path, file.first_line()).begin
            if torn:
                chain._repair(torn)
            chain.sync()
            on_failure.pop_all()
        return chain

    def add(self, event: bytes, sequence: int, at: datetime) -> None:
        """Take an event to be written with the next flush, unless it was written before."""
        if sequence <= self._next.sequence and self._holds(event):
            return
        reached = self._next.sequence
        late_after = reached if sequence <= reached else 0
        if self._is_due(at, len(event_line(START, event, late_after))):
            self._rotate()
        if self._begin is None:
            self._begin_file(at)
        line = event_line(self._next.digest, event, late_after)
        self._put(line, max(sequence, reached), at)

    def flush(self) -> None:
        """Write what was added, to disk where the settings say `each`."""
        self._write(sync=self._settings.fsync == "each")

    def sync(self) -> None:
        """Return when all that is written is on disk, unless the settings say `never`."""
        if self._settings.fsync != "never":
            self._file.sync()

    def close(self) -> None:
        """Let go of the file; what was added and not flushed is dropped."""
        self._file.close()

    def _write(self, *, sync: bool) -> None:
        if not self._file.is_in_place():
            raise AuditError(f"{self._settings.path} was moved or replaced; it is opened again")
        if self._pending:
            self._file.append(bytes(self._pending), sync=sync)
            self._pending.clear()
            self.end = self._next

    def _put(self, line: bytes, sequence: int, at: datetime) -> None:
        self._pending += line
        self._next = End(digest(line), sequence, at)

    def _note(self, line: Line) -> None:
        self._put(note_line(line), line.sequence, line.at)

    def _begin_file(self, at: datetime) -> None:
        self._begin = Begin(at=at, after=self._next.sequence)
        self._note(Line(previous=self._next.digest, begin=self._begin))

    def _repair(self, torn: int) -> None:
        at = self._file.cut(torn)
        if self._begin is None:
            self._begin_file(at)
        repaired = Repaired(at=at, after=self._next.sequence, cut=torn)
        self._note(Line(previous=self._next.digest, repaired=repaired))
        self.flush()

    def _holds(self, event: bytes) -> bool:
        """Say whether this very event was written before; it would be among the last.

        Its number alone does not tell: an event that was set aside may come at last, and a daemon
        with a new store counts from 1 again.
        """
        part = event_part(event)
        if part in self._pending:
            return True
        if any(part in self._file.recent(length) for length in _LOOK_BACK):
            return True
        left = _LOOK_BACK[-1]
        for before in reversed(rotated(self._file.path)):
            recent = _recent(before, left)
            if part in recent:
                return True
            left -= len(recent)
            if left <= 0:
                break
        return False

    def _is_due(self, at: datetime, size: int) -> bool:
        """Say whether the file is full, or old by the times of its events, and has some."""
        if self._begin is None or self._next.sequence == self._begin.after:
            return False
        full = self._file.size + len(self._pending) + size
        age = timedelta(seconds=self._settings.max_age)
        return bool(
            (self._settings.max_size and full > self._settings.max_size)
            or (age and at - self._begin.at >= age)
        )

    def _rotate(self) -> None:
        """Give the file its lasting name and begin the next. Stopped anywhere, `open` goes on."""
        self._write(sync=False)
        self._file.sync()
        path = self._file.path
        try:
            name = next_rotated(path, self._next.at, self._next.sequence)
            if name.exists():  # which a rename would replace
                raise AuditError(f"{name} is there already: move it away")
            path.rename(name)
            sync_directory(path.parent)
            if self._settings.keep:
                for surplus in rotated(path)[: -self._settings.keep]:
                    surplus.unlink()
        except OSError as error:
            raise AuditError(f"{path} cannot be rotated: {error.strerror}") from error
        fresh = AuditFile.open(path)
        self._file.close()
        self._file, self._begin = fresh, None


def _end_before(path: Path) -> End:
    """Return where the newest rotated file ends; the very start where there is none."""
    before = rotated(path)
    if not before:
        return End()
    try:
        line = _recent(before[-1], MAX_LINE).splitlines(keepends=True)[-1:]
    except OSError as error:
        raise AuditError(f"{before[-1]} cannot be read: {error.strerror}") from error
    return _end(before[-1], b"".join(line))


def _end(path: Path, line: bytes) -> End:
    last = _read(path, line)
    return End(digest(line), last.sequence, last.at)


def _read(path: Path, line: bytes) -> Line:
    try:
        return read_line(line)
    except LineError as error:
        raise AuditError(
            f"{path} does not end, or begin, as an audit log: see `sessiond-audit verify {path}`, "
            "then move the file away"
        ) from error


def _recent(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - length))
        return file.read()
