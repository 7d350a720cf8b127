"""What a sign-in leaves behind until the next: one record for each profile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

import msgspec

from sessiond_login.secret import Secret


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one profile."""

    made_for: str  # digest of the profile's issuer, client and scopes: others have no use for it
    user: str
    access: Secret
    refresh: Secret | None
    since: float  # Unix seconds by this machine's clock, when the access token came
    expires: float  # likewise
    send: Literal["pair", "access"]  # what the profile had go to q when it was signed in for
    handed_over: bool  # the refresh token was given to a client: it is not ours to spend
    in_flight: bool = False  # the refresh token was sent, and what came of it was not learnt


class Keep(Protocol):
    """Where the records are. One process at a time, inside `alone`."""

    def load(self, profile: str) -> Kept | None:
        """Return what is kept for a profile; None where nothing is, or nothing that can be read."""
        ...

    def save(self, profile: str, kept: Kept) -> None:
        """Put a record in the place of the one before.

        Raises:
            CannotKeep: There is no place for it.
        """
        ...

    def forget(self, profile: str) -> None:
        """Take a record away; that there is none is fine.

        Raises:
            CannotKeep: It is there and cannot be taken away.
        """
        ...

    @contextmanager
    def alone(self, profile: str) -> Iterator[None]:
        """Be the only process at work on this profile, waiting at most 180 s for another.

        Raises:
            NotSignedIn: The other one was not done in time.
        """
        ...
