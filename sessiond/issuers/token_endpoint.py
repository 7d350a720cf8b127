"""Gets the next access token from an issuer's token endpoint (RFC 6749, 6)."""

import re
from collections.abc import Mapping

from sessiond.core.errors import ClientRefused, RefreshRefused, UnusableAnswer
from sessiond.core.password import is_sendable
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client, is_refused
from sessiond.issuers.discovery import Discovery, Endpoint
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.refresher import Tokens

# The user must sign in again, or may not at all (docs/issuer-faults.md has the source of each).
FINAL = frozenset(
    {
        "invalid_grant",  # RFC 6749, 5.2
        "access_denied",  # RFC 6749, 4.1.2.1: Okta, of a user who is not assigned any more
        "interaction_required",  # OpenID Connect Core 1.0, 3.1.2.6, and the next three
        "login_required",
        "account_selection_required",
        "consent_required",
        "mfa_required",  # Auth0
        "invalid_token",  # Cloud Foundry's UAA, and so SAP XSUAA, of one that is over
    }
)
# Of these, what whoever guards a resource also says, with 403, of anybody whom it lets not through
# (RFC 6750, 3.1; Spring Security): a gateway before the issuer, which has seen no refresh token.
_GUARDS_WORDS = ("access_denied", "invalid_token")
# An operator must act; sessions live on until their leases end.
OURS = {
    "invalid_client": "it does not take our client's id or secret",
    "unauthorized_client": "it does not let our client refresh",
    "invalid_scope": "it does not take refresh_scope",
    "invalid_target": "it does not know what refresh_scope is for",  # RFC 8707, 2
    "invalid_resource": "it does not know what refresh_scope is for",  # Microsoft Entra
    "invalid_request": "it does not take our request",
    "unsupported_grant_type": "it refreshes nothing",
}
NO_BEARER = (
    "the token endpoint's answer is not a bearer token's, wanted access_token and token_type "
    '"Bearer" (RFC 6749, 5.1): see token_endpoint'
)
MAX_CODE = 64  # characters shown of an error code
MAX_NUMBERS = 4  # of Entra's shown
_CODE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 5.2
_SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")


class TokenEndpoint:
    """A TokenSource (sessiond.refresher), for one client of one issuer."""

    def __init__(
        self,
        *,
        http: IssuerHttp,
        discovery: Discovery,
        client: Client,
        scope: str = "",
        resource: str = "",
    ) -> None:
        """Ask nothing yet.

        Args:
            http: Asks the issuer.
            discovery: Knows the endpoints.
            client: The one the user signed in with: a refresh token is bound to it.
            scope: Sent with every refresh; empty means the scope of the grant.
            resource: Sent with it where it was for one of the grant's (RFC 8707, 2.2).
        """
        self._http = http
        self._discovery = discovery
        self._client = client
        self._more = {name: v for name, v in (("scope", scope), ("resource", resource)) if v}

    async def refresh(self, token: Secret) -> Tokens:
        """Spend a refresh token; see `sessiond.refresher.TokenSource`."""
        form = {"grant_type": "refresh_token", "refresh_token": token.reveal(), **self._more}
        place = await self._discovery.need(Endpoint.TOKEN)
        reply = await self._client.post(self._http, place, form)
        if reply.status != 200:
            raise refresh_fault(reply)
        tokens = tokens_of(reply.read())
        if tokens is None:
            raise reply.trouble(NO_BEARER)
        return tokens

    async def revoke(self, token: Secret) -> bool:
        """Take a token back at the issuer (RFC 7009): True when it says so.

        False where the issuer has no such endpoint, or cannot revoke this kind of token.

        Raises:
            IssuerUnavailable: Nothing is known.
        """
        place = await self._discovery.find(Endpoint.REVOCATION)
        if place is None:
            return False
        form = {"token": token.reveal()}
        reply = await self._client.post(self._http, place, form, is_repeatable=True)
        if reply.status == 200:
            return True
        answer = reply.read()
        if answer.get("error") == "unsupported_token_type":
            return False
        fault = (
            f"revocation answered {reply.status}: {_reason(answer)}, wanted 200: check "
            "this issuer's client"
        )
        if is_refused(answer.get("error")):
            raise ClientRefused(fault)
        raise reply.trouble(fault)


def tokens_of(answer: Mapping[str, object]) -> Tokens | None:
    """Return a token endpoint's answer (RFC 6749, 5.1), or None when it is not one.

    `expires_in` counts where it is a number or a number's text; several issuers send text. An empty
    `refresh_token` is none: the old one stays good.
    """
    access, refresh = answer.get("access_token"), answer.get("refresh_token") or None
    kind = answer.get("token_type", "Bearer")
    if not isinstance(access, str) or not is_sendable(access):
        return None
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return None
    if refresh is not None and not (isinstance(refresh, str) and is_sendable(refresh)):
        return None
    return Tokens(
        access_token=Secret(access),
        refresh_token=None if refresh is None else Secret(refresh),
        expires_in=_seconds(answer.get("expires_in")),
    )


def error_fault(
    answer: Mapping[str, object], *, retry_after: float = 0.0
) -> RefreshRefused | UnusableAnswer:
    """Return what an answer with an OAuth error code amounts to (RFC 6749, 5.2).

    The code alone decides; it is shown, and Entra's numbers beside it. Nothing else of the answer
    is repeated: descriptions change, and may hold more than a log should.

    Args:
        answer: The members `error` and, where it is Entra's, `error_codes`.
        retry_after: Seconds before which this is not to be tried again.
    """
    error = answer.get("error")
    if isinstance(error, str) and error in FINAL:
        return RefreshRefused(error, said=said_of(answer))
    kind = ClientRefused if is_refused(error) else UnusableAnswer
    return kind(
        f"no refresh: {_reason(answer)}, wanted new tokens: check this issuer's configuration",
        retry_after=retry_after,
    )


def refresh_fault(reply: Reply) -> RefreshRefused | UnusableAnswer:
    """Return what an answer other than 200 amounts to."""
    return guards_fault(reply) or error_fault(reply.read(), retry_after=reply.retry_after or 0.0)


def guards_fault(reply: Reply) -> UnusableAnswer | None:
    """Return what the answer of a guard before the issuer amounts to; None: it is none.

    Taken for the issuer's, it would end the sessions of everybody.
    """
    if reply.status != 403 or reply.read().get("error") not in _GUARDS_WORDS:
        return None
    return reply.trouble(
        f"no refresh: 403 with {reply.read()['error']}, wanted 400 of the issuer: see what stands "
        "between sessiond and its token endpoint"
    )


def _reason(answer: Mapping[str, object]) -> str:
    error, said = answer.get("error"), said_of(answer)
    if isinstance(error, str) and error in OURS:
        return f"{said}, {OURS[error]}"
    return f"the issuer says {said}" if said else "the issuer gives no error code (RFC 6749, 5.2)"


def said_of(answer: Mapping[str, object]) -> str:
    """Return the error code as it may be shown, with Entra's numbers; empty where there is none."""
    error, numbers = answer.get("error"), answer.get("error_codes")
    if not isinstance(error, str) or not _CODE.fullmatch(error):
        return ""
    listed = numbers[:MAX_NUMBERS] if isinstance(numbers, list) else []
    found = [f"AADSTS{n}" for n in listed if type(n) is int and 0 < n < 1e9]
    code = error[:MAX_CODE]
    return f"{code} ({', '.join(found)})" if found else code


def _seconds(value: object) -> float | None:
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A lease is over for 0 and below, and no issuer means more than 10 digits of seconds. Compared
    # first: an int may be larger than any float.
    return float(value) if -1e10 < value < 1e10 else None
