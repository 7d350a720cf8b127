"""The names of a log's files: NAME, and the rotated NAME-YYYYMMDDTHHMMSSZ-SEQUENCE."""

import re
from datetime import UTC, datetime
from pathlib import Path

_ROTATED = re.compile(r"(?P<name>.+)-(?P<stamp>\d{8}T\d{6}Z)-(?P<sequence>\d+)")


def live(path: Path) -> Path:
    """Return the file that is written, for it or one of its rotated files."""
    found = _ROTATED.fullmatch(path.name)
    return path.with_name(found["name"]) if found else path


def rotated(path: Path) -> list[Path]:
    """Return the rotated files of a log, oldest first."""
    found = {}
    for entry in path.parent.iterdir():
        match = _ROTATED.fullmatch(entry.name)
        if match and match["name"] == path.name:
            found[match["stamp"], int(match["sequence"])] = entry
    return [found[key] for key in sorted(found)]


def order(path: Path) -> tuple[str, int]:
    """Return what sorts the files of one log, the live one last."""
    found = _ROTATED.fullmatch(path.name)
    return (found["stamp"], int(found["sequence"])) if found else ("~", 0)


def next_rotated(path: Path, at: datetime, sequence: int) -> Path:
    """Return the name to rotate to: by the last event, yet never before an older file's name.

    The names are the order of the chain, also where the clock was set back.
    """
    stamp = f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    if before := rotated(path):
        stamp = max(stamp, order(before[-1])[0])
    return path.with_name(f"{path.name}-{stamp}-{sequence}")
