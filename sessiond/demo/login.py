"""What the story keeps of each login, and how it looks whether a step has happened."""

from dataclasses import dataclass
from datetime import datetime

from sessiond.demo.actor import Actor, StepFailedError
from sessiond.demo.client import Client


@dataclass(slots=True)
class Login:
    """A session, from both ends."""

    gateway: Actor
    client: Client  # alice's
    session: str
    handle: int
    expires: datetime
    at: float  # monotonic seconds


def check(it_holds: bool, otherwise: str) -> None:
    """Raise StepFailedError where it does not."""
    if not it_holds:
        raise StepFailedError(otherwise)


def sessions_of(gateway: Actor) -> list[str]:
    """Return the sessions that the daemon has of a q process."""
    gateway.tell(do="sessions")
    found: list[str] = gateway.expect("sessions")["sessions"]
    return found
