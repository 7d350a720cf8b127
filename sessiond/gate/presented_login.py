"""What a login brings to the gate, before anything of it is verified."""

from dataclasses import dataclass
from typing import NamedTuple

from sessiond.core.password import Presented


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """By whom tokens were given to sessiond itself, so that no user has presented them."""

    issuer: str  # its configured name: nobody else is asked about them
    client: str  # ours, that they were given to, and that a refresh token is bound to
    expires_in: float | None = None  # seconds, as the token endpoint stated them


class PresentedLogin(NamedTuple):
    """Tokens, and who is said to bear them."""

    user: str | None  # as it was typed; None: nobody typed one, so that it is the token's
    presented: Presented
    issued: Issued | None = None

    @property
    def expires_in(self) -> float | None:
        """Seconds from now that the access token lasts, where its giver has stated them."""
        return None if self.issued is None else self.issued.expires_in
