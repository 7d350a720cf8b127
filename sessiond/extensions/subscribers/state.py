"""What operators see of a subscriber."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# waiting: for its next attempt, after a failure
Condition = Literal["starting", "running", "waiting", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberState:
    """A subscriber as it stands."""

    name: str
    plugin: str
    state: Condition
    pid: int | None  # of its process, while there is one
    place: int  # the number of the last event that is done with
    lag: int  # events after its place
    set_aside: int  # events that it refused too often
    restarts: int  # of its process, since the daemon's start
    last_error: str  # one line, empty = none since the daemon's start
    last_error_at: datetime | None
    last_received_at: datetime | None


@dataclass(slots=True, kw_only=True)
class Record:
    """The part of it that is noted as it happens."""

    state: Condition = "starting"
    pid: int | None = None
    restarts: int = 0
    last_error: str = ""
    last_error_at: datetime | None = None
    last_received_at: datetime | None = None
