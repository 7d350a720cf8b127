"""What the room needs of the daemon."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.access import AccessRules
from sessiond.core.errors import Refusal
from sessiond.core.grant import GrantId, TokenHash
from sessiond.core.password import Presented
from sessiond.core.queries import Request
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey
from sessiond.gate import Issued, VerifiedLogin
from sessiond.metrics import Metrics
from sessiond.web.base import Base
from sessiond.web.transaction import Sealing
from sessiond.web.web_client import WebClient

A = TypeVar("A")

LONGEST_KEEP = timedelta(seconds=60)  # that q may let somebody in without asking again


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """What browsers are answered by."""

    bases: tuple[Base, ...] = ()
    clients: Mapping[str, WebClient] = field(default_factory=dict)  # by issuer, as configured
    idle: timedelta = timedelta(hours=1)  # after which an unused session ends
    access: AccessRules = field(default_factory=AccessRules)  # what is asked of whom at a process

    @property
    def is_on(self) -> bool:
        """Whether browsers are signed in at all."""
        return bool(self.bases and self.clients)

    @property
    def keep(self) -> timedelta:
        """How long q may let somebody in without asking again."""
        return min(LONGEST_KEEP, self.idle / 10)


class Gate(Protocol):
    """Judges tokens, as `sessiond.gate.Gate`."""

    def read_bearer(self, token: str) -> Presented:
        """Return an access token that came alone.

        Raises:
            TokenRejected: It is none.
        """
        ...

    async def admit(
        self, *, user: None, password: Presented, owner: ProcessKey, issued: Issued
    ) -> VerifiedLogin:
        """Return what tokens prove that their issuer has given us; nobody typed a name.

        Raises:
            TokenRejected: They are refused.
            IssuerUnavailable: No verdict now.
        """
        ...


class Table(Protocol):
    """Has sessions opened, found and ended, as `sessiond.table.Table`."""

    async def ask(self, request: Request[A]) -> A:
        """Return the answer to a change or query.

        Raises:
            StoreError: It could not be written.
        """
        ...

    def note_refusal(
        self, *, user: str, issuer: str, process: ProcessAbout | None, reason: Refusal
    ) -> None:
        """Have a refused login told."""
        ...


class Refresher(Protocol):
    """Follows grants, as `sessiond.refresher.Refresher`."""

    def keep_access(self, grant: GrantId, access: Secret, *, until: datetime) -> None:
        """Keep an access token in memory until its end, where anybody may ask for it."""
        ...

    def hold(self, grant: GrantId, *, issuer: str, access: Secret) -> None:
        """Have an access token that came alone asked about again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """What to work with."""

    settings: Callable[[], WebSettings]  # those of now
    table: Table
    gate: Gate
    refresher: Refresher
    clock: Clock
    sealing: Callable[[], Sealing]  # with the keys of now
    hashed: Callable[[Secret], TokenHash]
    draw: Callable[[], float]  # uniform in [0, 1)
    new_id: Callable[[], UUID]
    random: Callable[[], str]  # 256 bits in 43 characters of base64url
    metrics: Metrics = field(default_factory=Metrics)
    containment: Containment = field(default_factory=Containment)

    def hash_of(self, purpose: str, text: str) -> TokenHash:
        """Return the HMAC of a text for one purpose: of no use for another, or as a token's."""
        return self.hashed(Secret(f"web {purpose} {text}"))
