"""What an audit log says happened: its events, in the members that questions are asked of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from sessiond_audit.lines import MAX_LINE

OPENED: Final = "session.opened"
ROLES: Final = "session.roles"
ENDS: Final = frozenset({"session.closed", "session.expired", "session.revoked"})


class Process(msgspec.Struct, frozen=True):
    """What a process said of itself."""

    name: str = ""
    type: str = ""


class Because(msgspec.Struct, frozen=True):
    """Why a session has its roles: each before the ceiling, and those that it took away."""

    roles: Mapping[str, tuple[str, ...]] = {}
    cut: tuple[str, ...] = ()


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """An event; members that its kind or its version does not have are empty."""

    kind: str
    sequence: int
    at: datetime
    session: str | None = None
    user: str = ""
    issuer: str = ""
    process: Process | None = None
    roles: tuple[str, ...] = ()
    reason: str = ""
    because: Because = Because()
    configuration: str = ""  # SHA-256 of the file that counted

    @property
    def before_ceiling(self) -> Mapping[str, tuple[str, ...]]:
        """The roles that the process's ceiling was laid over, each with why it is given.

        Events of versions that did not say why have their roles alone.
        """
        return self.because.roles or dict.fromkeys(self.roles, ("not said",))


class _Line(msgspec.Struct, frozen=True):
    event: Happened | None = None


_decoder = msgspec.json.Decoder(_Line)


def events_of(paths: Iterable[Path]) -> Iterator[Happened]:
    """Find the events in the files of one log, in the order in which they stand there."""
    for path in paths:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE):
                event = _decoder.decode(line).event
                if event is not None:
                    yield event


def by_session(events: Iterable[Happened]) -> Mapping[str, Sequence[Happened]]:
    """Return each session's events by number: one that came late is where it belongs."""
    found: dict[str, list[Happened]] = {}
    for event in events:
        if event.session is not None and event.kind.startswith("session."):
            found.setdefault(event.session, []).append(event)
    return {key: sorted(told, key=lambda event: event.sequence) for key, told in found.items()}
