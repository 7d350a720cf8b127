"""How an issuer does, as all calls to it show."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from sessiond.clock import Clock
from sessiond.core.errors import (
    ClientRefused,
    IssuerUnavailable,
    RefreshRefused,
    SessiondError,
    SignInRefused,
    TokenRejected,
)
from sessiond.gate.breaker import TRIES
from sessiond.issuers.client import is_refused
from sessiond.log.redaction import harmless
from sessiond.notifier import Notifier

# By kind of call: who we are at the issuer then. Three registrations may be configured.
CLIENTS = {
    "verify": "login",
    "probe": "login",
    "refresh": "refresh",
    "revoke": "refresh",
    "redeem": "web",
}

log = structlog.get_logger()


@dataclass(slots=True)
class IssuerHealth:
    """How calls to one issuer went: fetches, logins, refreshes and trials alike."""

    clock: Clock
    name: str = ""  # the issuer's, for the log
    last_success_at: datetime | None = None  # it answered, whatever it was
    last_error: str = ""  # why it did not, or was of no use; nothing of the answer
    last_error_at: datetime | None = None
    note_call: Callable[[str, float], object] = lambda kind, seconds: None
    refreshes: Counter[str] = field(default_factory=Counter)  # ok refused throttled unavailable
    _failures: int = 0  # calls in a row that have shown it to be away
    _refused: dict[str, str] = field(default_factory=dict)  # why, by which client of ours
    _under_way: int = 0
    _idle: Notifier = field(default_factory=Notifier)  # a call ended as the last

    def successor(self) -> "IssuerHealth":
        """Return the health of the same issuer, asked another way: it goes on counting."""
        return replace(self, _refused={}, _under_way=0, _idle=Notifier())

    async def over(self) -> None:
        """Return when no call is under way."""
        await self._idle.wait_for(lambda: not self._under_way)

    @property
    def trouble(self) -> str:
        """What is wrong with it, or with our standing there; empty: nothing."""
        if self.last_success_at is None:
            return self.last_error or "it has not been asked yet"
        if self._failures >= TRIES:
            return self.last_error
        return next(iter(self._refused.values()), "")

    def heard(self, away: IssuerUnavailable | None) -> None:
        """Note what a call has shown: why the issuer is unavailable, or None, that it answered."""
        if away is None:
            self.last_success_at, self._failures = self.clock.now(), 0
        else:
            self._failures += 1
            self._failed(away)

    @contextmanager
    def call(
        self, kind: str = "verify", *, client: str = "", is_call: bool = True
    ) -> Iterator[None]:
        """Note how long a call took, and whether our client was refused.

        Args:
            kind: What it is for.
            client: Who we are, where the kind does not say.
            is_call: Whether anybody is asked.
        """
        began, client = self.clock.monotonic(), client or CLIENTS[kind]
        self._under_way += 1
        try:
            yield
        except ClientRefused as refused:
            self._note_refused(client, str(refused))
            self._failed(refused)
            raise
        except IssuerUnavailable as unavailable:
            if is_call:
                self._failed(unavailable)
            raise
        except SignInRefused as refused:
            if is_refused(refused.error):
                self._note_refused(client, str(refused))
                self._failed(refused)
            else:
                self._accepted(client, is_call)
            raise
        except (TokenRejected, RefreshRefused):
            self._accepted(client, is_call)
            raise
        else:
            self._accepted(client, is_call)
        finally:
            if is_call:
                self.note_call(kind, self.clock.monotonic() - began)
            self._under_way -= 1
            if not self._under_way:
                self._idle.notify()

    def _note_refused(self, client: str, why: str) -> None:
        if why != self._refused.get(client):  # once, not with every login
            log.error("client refused", issuer=self.name, client=client, error=why)
        self._refused[client] = why

    def _accepted(self, client: str, is_call: bool) -> None:
        if is_call:
            self._refused.pop(client, None)

    def _failed(self, error: SessiondError) -> None:
        self.last_error, self.last_error_at = harmless(str(error)), self.clock.now()
