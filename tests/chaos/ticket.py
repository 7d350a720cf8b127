"""A ticket of a chaos run, as whoever asked for it has it."""

import base64
import json
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Ticket:
    """For one process, to be brought there, or somewhere else, once or again."""

    text: str
    parent: UUID
    audience: str
    user: str
    token: int  # what the journal calls what the parent brought

    @property
    def password(self) -> str:
        return self.text if self.text.startswith("ticket:") else f"ticket:{self.text}"

    @property
    def jti(self) -> str:
        """What it calls itself (RFC 7519, 4.1.7)."""
        payload = self.text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["jti"])

    @property
    def secret(self) -> str:
        """A part of it that nobody else may have: its signature."""
        return self.text.rpartition(".")[2]
