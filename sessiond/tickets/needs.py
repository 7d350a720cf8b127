"""What the room needs of the daemon."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from uuid import UUID

from sessiond.clock import Clock
from sessiond.core.errors import Refusal
from sessiond.core.grant import TokenHash
from sessiond.core.password import Presented
from sessiond.core.queries import Request
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey
from sessiond.core.ticket import TicketKey
from sessiond.gate import LoginTimings, VerifiedLogin
from sessiond.tickets.counts import TicketCounts
from sessiond.tickets.settings import TicketSettings

A = TypeVar("A")


class Table(Protocol):
    """Has keys kept and sessions found, as `sessiond.table.Table`."""

    async def ask(self, request: Request[A]) -> A:
        """Return the answer to a change or query.

        Raises:
            StoreError: It could not be written.
        """
        ...

    async def secret(self, row: TicketKey) -> Secret | None:
        """Return what is sealed beside a key; None: nothing that opens.

        Raises:
            StoreError: It could not be read.
        """
        ...

    def note_refusal(
        self, *, user: str, issuer: str, process: ProcessAbout | None, reason: Refusal
    ) -> None:
        """Have a refused token told."""
        ...


class Gate(Protocol):
    """Judges tokens, as `sessiond.gate.Gate`."""

    def read_bearer(self, token: str) -> Presented:
        """Return an access token that came alone.

        Raises:
            TokenRejected: It is none.
        """
        ...

    async def admit(
        self, *, user: None, password: Presented, owner: ProcessKey, timings: LoginTimings
    ) -> VerifiedLogin:
        """Return what a token proves beside which nobody typed a name.

        Raises:
            TokenRejected: It is refused.
            IssuerUnavailable: No verdict now.
        """
        ...


class Sealing(Protocol):
    """Seals for one place, as `sessiond.store.sealing.KeyRing` does."""

    def seal(
        self, plain: Secret, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> bytes:
        """Return it sealed for this place alone."""
        ...

    def unseal(
        self, sealed: bytes, *, table: str, column: str, row: str, issuer: str, subject: str
    ) -> Secret:
        """Return what was sealed for this place.

        Raises:
            SessiondError: It was not, or not by us.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketServices:
    """What to work with."""

    settings: Callable[[], TicketSettings | None]  # those of now; None: there are no tickets
    table: Table
    gate: Gate
    clock: Clock
    sealing: Callable[[], Sealing]  # with the keys of now
    hashed: Callable[[Secret], TokenHash]
    draw: Callable[[], float]  # uniform in [0, 1)
    new_id: Callable[[], UUID]
    instance: UUID  # of this run of the daemon
    counts: TicketCounts = field(default_factory=TicketCounts)
