"""How a source gets its next token: a class for each way, and the source knows none of them."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from sessiond.core.grant import GrantId
from sessiond.refresher.refresh_issuer import Tokens
from sessiond.sources.source_client import SourceClient

Key = GrantId | None  # whose token it is: None is the source's own, a grant its user's
# Asks the issuer, with the source's breaker looking on.
Call = Callable[[Callable[[], Awaitable[Tokens]]], Awaitable[Tokens]]


class Fetching(Protocol):
    """Gets tokens. Called for one key by one task at a time."""

    @property
    def must_finish(self) -> bool:
        """Whether a call that is begun spends something: what comes of it is to be kept."""
        ...

    async def tokens(self, key: Key, call: Call) -> Tokens:
        """Return the next; whatever of it must last is on disk by then.

        Raises:
            SourceRefused, RefreshRefused: The issuer gives none.
            IssuerUnavailable: Nothing is known, or there is nothing to ask with yet.
            StoreError: Nothing could be written.
        """
        ...


class OwnStanding:
    """By client credentials, or by a password: nothing has to be known from before."""

    must_finish = False

    def __init__(self, client: SourceClient) -> None:
        self._client = client

    async def tokens(self, key: Key, call: Call) -> Tokens:
        """Return the next; see `Fetching`."""
        return await call(self._client.fetch)
