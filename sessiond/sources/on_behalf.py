"""Tokens on behalf of users: their own access tokens, handed on to the issuer that gave them."""

from functools import partial
from typing import Protocol

from sessiond.core.errors import IssuerUnavailable
from sessiond.core.grant import GrantId
from sessiond.core.secret import Secret
from sessiond.refresher.refresh_issuer import Tokens
from sessiond.sources.fetching import Call, Key
from sessiond.sources.source_client import SourceClient


class AccessTokens(Protocol):
    """Has users' access tokens, in memory. A `sessiond.refresher.Refresher` does."""

    def access_token(self, grant: GrantId) -> Secret | None:
        """Return the grant's, while it is good; None: it is not at hand."""
        ...

    async def refresh_for(self, grant: GrantId) -> None:
        """Have it at hand: refresh the grant now.

        Raises:
            IssuerUnavailable: That is not to be had now, or there is no refresh token.
        """
        ...


class OnBehalf:
    """By exchange of the user's access token (RFC 8693, or Entra's own way)."""

    must_finish = False

    def __init__(self, client: SourceClient, users: AccessTokens) -> None:
        self._client = client
        self._users = users

    async def tokens(self, key: Key, call: Call) -> Tokens:
        """Return the next of one grant's user; see `Fetching`."""
        subject = await self._subject(key)
        return await call(partial(self._client.exchange, subject))

    async def _subject(self, key: Key) -> Secret:
        """Return the user's access token; after a restart it is refreshed first."""
        if key is None:
            raise IssuerUnavailable("nobody is named, wanted a user's session: name one of yours")
        found = self._users.access_token(key)
        if found is None:
            await self._users.refresh_for(key)
            found = self._users.access_token(key)
        if found is None:
            raise IssuerUnavailable(
                "the user's access token is not at hand, wanted it: have the session renewed"
            )
        return found
