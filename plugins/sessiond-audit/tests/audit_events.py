"""Events to write, and what a log then holds."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sessiond_audit.names import rotated
from sessiond_audit.verify import Findings, verify

from sessiond.api import Event, Gap, SessionOpened

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def event(sequence: int, *, seconds: float | None = None, user: str = "alice") -> Event:
    """Return an event; each number has its own second."""
    at = AT + timedelta(seconds=sequence if seconds is None else seconds)
    return SessionOpened(sequence=sequence, at=at, user=user, issuer="corp", roles=("trader",))


def events(first: int, last: int) -> list[Event]:
    """Return the events of so many numbers, both ends included."""
    return [event(sequence) for sequence in range(first, last + 1)]


def gap(after: int, before: int) -> Event:
    """Return the event that tells of a gap, as sessiond numbers it."""
    return Gap(sequence=before - 1, at=AT, after=after, before=before)


def files(path: Path) -> list[Path]:
    """Return the files of a log in order."""
    return [*rotated(path), path]


def whole(path: Path) -> Findings:
    """Return what a log holds; an error where its chain is broken."""
    return verify(files(path))


def written(path: Path) -> list[int]:
    """Return the sequences of the events in a log, in the order they stand there."""
    lines = (line for file in files(path) for line in file.read_text().splitlines())
    return [line["event"]["sequence"] for line in map(json.loads, lines) if "event" in line]


def kinds(path: Path) -> list[str]:
    """Return what each line of one file is."""
    lines: Iterable[dict[str, object]] = map(json.loads, path.read_text().splitlines())
    return [next(key for key in line if key not in ("previous", "reached")) for line in lines]
