"""Gets the next access token from Microsoft Entra ID, through MSAL.

MSAL is synchronous, so it runs in worker threads; what it sends goes through the same IssuerHttp
as everything else, which alone decides on time, size, trust and what an answer is worth.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import anyio
import anyio.from_thread
import anyio.to_thread
import msal

from sessiond.clock import Clock
from sessiond.config.entra import MICROSOFT_HOSTS
from sessiond.core.errors import ConfigError, UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.issuers.cached_document import Kept
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.issuers.token_endpoint import (
    FINAL,
    NO_BEARER,
    error_fault,
    guards_fault,
    tokens_of,
)
from sessiond.refresher import Tokens

# What MSAL adds by itself, and refuses to be given.
RESERVED_SCOPES = frozenset({"openid", "profile", "offline_access"})
# All that MSAL is shown of a token endpoint's answer (RFC 6749, 5). It reads more where there is
# more, and what is wrong there would lose us a refresh token that has just been rotated.
_MEMBERS = frozenset(
    {
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "scope",
        "error",
        "suberror",
        "error_codes",
    }
)
T = TypeVar("T")


class EntraTokens:
    """A TokenSource (sessiond.refresher), for one client in one tenant."""

    def __init__(
        self,
        *,
        http: IssuerHttp,
        clock: Clock,
        issuer: str,
        client_id: str,
        client_secret: Secret | None,
        scope: str,
        threads: int,
    ) -> None:
        """Ask nothing yet: MSAL looks its tenant up when it is first needed.

        Args:
            http: Asks the issuer.
            clock: Dates the building of MSAL's client, which is then kept.
            issuer: `https://HOST/TENANT/v2.0`.
            client_id: The one the user signed in with: a refresh token is bound to it.
            client_secret: None for a public client.
            scope: What the access token is for; without it, Entra answers with one for Graph.
            threads: Refreshes at once.

        Raises:
            ConfigError: The secret is a private key, which would be sent as it is.
        """
        if client_secret is not None and client_secret.reveal().lstrip().startswith("-----BEGIN"):
            raise ConfigError(
                "an Entra client is refreshed with a key, must be with a secret: name its file"
            )
        self._http = http
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = [word for word in scope.split() if word not in RESERVED_SCOPES]
        self._threads = anyio.CapacityLimiter(threads)
        self._application = Kept(partial(self._run, self._build), max_age=math.inf, clock=clock)

    async def refresh(self, token: Secret) -> Tokens:
        """Spend a refresh token; see `sessiond.refresher.TokenSource`."""
        if not self._scopes:
            raise UnusableAnswer(
                "no refresh: refresh_scope is empty, wanted the API's scope: set it for this issuer"
            )
        application = await self._application.get()
        answer = await self._run(
            partial(application.acquire_token_by_refresh_token, token.reveal(), self._scopes)
        )
        if not isinstance(answer, dict):
            raise UnusableAnswer(
                "no refresh: MSAL has no answer, wanted the token endpoint's: see this issuer's "
                "tenant"
            )
        if "error" in answer:
            raise error_fault(answer)
        tokens = tokens_of(answer)
        if tokens is None:
            raise UnusableAnswer(NO_BEARER)
        return tokens

    async def revoke(self, token: Secret) -> bool:
        """Say False: Entra has no RFC 7009."""
        return False

    def _build(self) -> msal.ClientApplication:
        """Return MSAL's client, which asks for the tenant's metadata."""
        kind = msal.PublicClientApplication
        if self._client_secret is not None:
            kind = partial(
                msal.ConfidentialClientApplication, client_credential=self._client_secret.reveal()
            )
        host = urlsplit(self._issuer).hostname
        return kind(
            self._client_id,
            authority=self._issuer.removesuffix("/").removesuffix("/v2.0"),
            # MSAL would ask Microsoft about any other host, which need not know it either.
            instance_discovery=None if host in MICROSOFT_HOSTS else False,
            http_client=_MsalHttp(self._http),
            token_cache=NoCache(),
        )

    async def _run(self, call: Callable[[], T]) -> T:
        """Return what MSAL returns, in a thread.

        Cancelling cancels the request that the thread waits for, and so ends the thread. What
        MSAL raises carries what was sent or answered, so nothing of that is kept.
        """
        try:
            return await anyio.to_thread.run_sync(call, limiter=self._threads)
        except (
            ValueError, TypeError, AttributeError, LookupError, RuntimeError, AssertionError,
            msal.exceptions.MsalError,
        ) as error:  # fmt: skip
            fault = type(error).__name__
        raise UnusableAnswer(
            f"no refresh: MSAL gave up ({fault}), wanted an answer: see this issuer's tenant"
        )


class NoCache(msal.TokenCache):  # type: ignore[misc]  # msal has no types
    """Keeps no token: MSAL's own cache would mix the sessions of one user."""

    def add(self, event: object, now: object = None) -> None:
        """Keep nothing."""


class _MsalHttp:
    """The HTTP client MSAL is given. Called in worker threads."""

    def __init__(self, http: IssuerHttp) -> None:
        self._http = http

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> "_MsalReply":
        call = partial(self._http.get, _with(url, params), headers=_texts(headers))
        reply = anyio.from_thread.run(call)
        return _MsalReply(reply.status, reply.read())

    def post(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> "_MsalReply":
        call = partial(
            self._http.post_form, _with(url, params), _texts(data), headers=_texts(headers)
        )
        reply = anyio.from_thread.run(call)
        return _MsalReply(reply.status, _judged(reply))

    def close(self) -> None:
        """Close nothing: the IssuerHttp is not ours."""


class _MsalReply:
    def __init__(self, status: int, content: Mapping[str, object]) -> None:
        self.status_code = status
        self.headers: dict[str, str] = {}
        self.text = json.dumps(content)

    def raise_for_status(self) -> None:
        """Raise nothing: what would be raised for has been."""


def _judged(reply: Reply) -> dict[str, object]:
    """Return what MSAL is to see of a token endpoint's answer.

    A Retry-After is obeyed here, since MSAL does not hand it on; a final refusal comes first. A 200
    refuses nothing (RFC 6749, 5.2), whatever else it says.
    """
    answer, fault = reply.read(), guards_fault(reply)
    if fault is not None:
        raise fault
    if (
        reply.retry_after is not None
        and not reply.is_success
        and answer.get("error") not in tuple(FINAL)
    ):
        raise reply.trouble(
            f"the token endpoint answered {reply.status} with Retry-After, wanted 200: wait, it is "
            "asked again then"
        )
    shown = _MEMBERS - {"error"} if reply.is_success else _MEMBERS
    return {name: value for name, value in answer.items() if name in shown}


def _with(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url


def _texts(fields: Mapping[str, object] | None) -> dict[str, str]:
    """Return form fields or headers as text, whatever MSAL has made of them."""
    return {name: str(value) for name, value in (fields or {}).items()}
