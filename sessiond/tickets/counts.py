"""How many tickets were made, spent and refused since the start: for status and metrics."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Way = Literal["call", "exchange"]  # how a ticket is asked for
Place = Literal["call", "exchange", "login"]  # where one is refused


@dataclass(slots=True)
class TicketCounts:
    """One for the daemon."""

    issued: Counter[Way] = field(default_factory=Counter)
    spent: int = 0
    refused: Counter[tuple[Place, str]] = field(default_factory=Counter)  # by the reason's word

    def refuse(self, at: Place, reason: str) -> None:
        """Count one that was not made, or not taken."""
        self.refused[at, reason] += 1
