"""The access token of our own client for one API of the issuer's (RFC 6749, 4.4)."""

import math
from dataclasses import dataclass

from sessiond.clock import Clock
from sessiond.core.errors import ClientRefused, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.issuers.cached_document import Kept
from sessiond.issuers.client import Client, is_refused
from sessiond.issuers.discovery import Discovery, Endpoint
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.issuers.token_endpoint import NO_BEARER, said_of, tokens_of

EARLY = 300.0  # seconds before its end that another is got; at half its life where that is later
LIFE = 600.0  # seconds, where the issuer does not say
LONGEST = 86400.0  # seconds


@dataclass(frozen=True, slots=True)
class _Got:
    token: Secret
    until: float  # monotonic


class OwnToken:
    """Got once for all who need it, and kept until shortly before its end."""

    def __init__(
        self, *, http: IssuerHttp, discovery: Discovery, client: Client, scope: str, clock: Clock
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks the issuer.
            discovery: Knows the token endpoint.
            client: Ours, which is not a public one.
            scope: What the token is for.
            clock: Measures its age.
        """
        self._http = http
        self._discovery = discovery
        self._client = client
        self._scope = scope
        self._clock = clock
        self._got = Kept(self._get, max_age=math.inf, clock=clock)

    async def get(self, *, refused: Secret | None = None) -> Secret:
        """Return a token that is good for a while.

        Args:
            refused: One that was not taken: it is not returned again.

        Raises:
            IssuerUnavailable: There is none now.
            ClientRefused: The issuer does not take our client.
        """
        got = self._got.newest
        if got is None or got.token is refused or self._clock.monotonic() >= got.until:
            got = await self._got.fetch()
        return got.token

    async def _get(self) -> _Got:
        asked_at = self._clock.monotonic()
        place = await self._discovery.need(Endpoint.TOKEN)
        form = {"grant_type": "client_credentials", "scope": self._scope}
        reply = await self._client.post(self._http, place, form, is_repeatable=True)
        if reply.status != 200:
            raise _fault(reply)
        tokens = tokens_of(reply.read())
        if tokens is None:
            raise reply.trouble(NO_BEARER)
        life = min(LIFE if tokens.expires_in is None else tokens.expires_in, LONGEST)
        return _Got(tokens.access_token, asked_at + max(life - EARLY, life / 2))


def _fault(reply: Reply) -> UnusableAnswer:
    answer = reply.read()
    said = said_of(answer) or f"{reply.status} without an error code (RFC 6749, 5.2)"
    text = (
        f"no token for our own client: the token endpoint answers {said}, wanted one: check "
        "client_id, client_auth and the secret"
    )
    return ClientRefused(text) if is_refused(answer.get("error")) else reply.trouble(text)
