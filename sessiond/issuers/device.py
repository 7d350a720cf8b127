"""Signs a user in by a device code (RFC 8628): the issuer shows its pages to him, elsewhere."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from sessiond.clock import Clock
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    SessiondError,
    SignInRefused,
    UnusableAnswer,
)
from sessiond.core.password import is_sendable
from sessiond.core.printable import escaped
from sessiond.core.secret import Secret
from sessiond.issuers.client import Client
from sessiond.issuers.discovery import Endpoint, Place, metadata_at
from sessiond.issuers.http import IssuerHttp, Reply
from sessiond.issuers.pkce import challenge_of
from sessiond.issuers.token_endpoint import NO_BEARER, tokens_of
from sessiond.issuers.url import url_fault
from sessiond.refresher import Tokens

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
AUTHORIZATION = "device_authorization_endpoint"  # RFC 8628, 4
INTERVAL = 5.0  # seconds between two questions, where the issuer does not say (3.2)
SLOWER = 5.0  # seconds more after each slow_down (3.5)
MAX_INTERVAL = 60.0  # seconds
MAX_LIFE = 1800.0  # seconds; nobody sits there for longer
MAX_SHOWN = 1024  # characters of a URL, or a code, to be shown to a person


@dataclass(frozen=True, slots=True)
class DeviceEndpoints:
    """Where a device code is asked for, and then the token."""

    authorization: Place
    token: Place
    takes_pkce: bool  # S256 (RFC 7636)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What a user is shown, and what only we know."""

    user_code: str
    url: str  # where he enters it
    complete_url: str  # where it is entered already; empty where there is no such
    expires_in: float  # seconds
    interval: float  # seconds
    code: Secret
    proof: Mapping[str, str] = field(repr=False)  # PKCE's part of the token request


async def device_endpoints(
    http: IssuerHttp, *, issuer: str, url: str, token_endpoint: str = ""
) -> DeviceEndpoints | None:
    """Return where device codes are had, or None where the metadata has no such endpoint.

    Args:
        http: Asks the issuer.
        issuer: What the metadata must call itself.
        url: Where the metadata is.
        token_endpoint: Overrides what it says; empty text overrides nothing.

    Raises:
        IssuerUnavailable: The metadata cannot be had.
        UnusableAnswer: It is another issuer's, or not in order.
    """
    metadata = await metadata_at(http, url)
    if metadata.get("issuer") != issuer:
        raise UnusableAnswer(
            "the metadata is not this issuer's: its `issuer` differs, wanted the same: mend issuer"
        )
    if AUTHORIZATION not in metadata:
        return None
    methods = metadata.get("code_challenge_methods_supported")
    return DeviceEndpoints(
        authorization=_place(http, AUTHORIZATION, metadata[AUTHORIZATION]),
        token=_place(http, Endpoint.TOKEN, token_endpoint or metadata.get(Endpoint.TOKEN)),
        takes_pkce=isinstance(methods, list) and "S256" in methods,
    )


class DeviceGrant:
    """One client's way of signing users in."""

    def __init__(
        self, *, http: IssuerHttp, endpoints: DeviceEndpoints, client: Client, clock: Clock
    ) -> None:
        self._http = http
        self._endpoints = endpoints
        self._client = client
        self._clock = clock

    async def begin(self, asked: Mapping[str, str]) -> DeviceCode:
        """Return a new code; `asked` is the scope, and whatever else the issuer wants to hear.

        Raises:
            SignInRefused: This client, or this scope, gets none.
            IssuerUnavailable: No answer, or none that can be used.
        """
        proof, challenge = _pkce() if self._endpoints.takes_pkce else ({}, {})
        # The id stands in the form also where a client proves itself in a header (3.1).
        form = {"client_id": self._client.id, **asked, **challenge}
        reply = await self._client.post(self._http, self._endpoints.authorization, form)
        if not reply.is_success:
            raise _refusal(reply)
        return _code(reply, proof, insecure_http=self._http.insecure_http)

    async def finish(self, code: DeviceCode) -> Tokens:
        """Wait until the user has signed in, asking no more often than the issuer allows (3.5).

        Raises:
            SignInRefused: He refused, or nobody came in time.
            IssuerUnavailable: An answer that cannot be used.
        """
        form = {
            "grant_type": GRANT,
            "device_code": code.code.reveal(),
            "client_id": self._client.id,
            **code.proof,
        }
        interval = code.interval
        ends_at = self._clock.monotonic() + code.expires_in
        while self._clock.monotonic() < ends_at:
            await self._clock.sleep(interval)
            try:
                reply = await self._client.post(self._http, self._endpoints.token, form)
                if reply.is_success:
                    return _tokens(reply)
                raise _refusal(reply)
            except SignInRefused as refused:
                if refused.error == "slow_down":
                    interval = min(interval + SLOWER, MAX_INTERVAL)
                elif refused.error != "authorization_pending":
                    raise
            except IssuerThrottled as throttled:
                interval = min(max(interval, throttled.retry_after), MAX_INTERVAL)
            except UnusableAnswer:
                raise
            except IssuerUnavailable:  # a connection that timed out: again, less often (3.5)
                interval = min(2 * interval, MAX_INTERVAL)
        raise SignInRefused("expired_token")


def _place(http: IssuerHttp, name: str, url: object) -> Place:
    if not isinstance(url, str):
        raise UnusableAnswer(
            f"the metadata's {name} is missing, or not text, wanted its URL: sign in elsewhere"
        )
    fault = url_fault(url, insecure_http=http.insecure_http)
    if fault is not None:
        raise UnusableAnswer(
            f"the metadata's {name} {fault}, wanted where a token may be sent: sign in elsewhere"
        )
    return Place(url)


def _pkce() -> tuple[dict[str, str], dict[str, str]]:
    """Return what proves later that it was we who asked, and what is sent ahead of it."""
    verifier = secrets.token_urlsafe(48)
    return {"code_verifier": verifier}, challenge_of(verifier)


def _code(reply: Reply, proof: Mapping[str, str], *, insecure_http: bool) -> DeviceCode:
    answer = reply.read()
    code, user_code = answer.get("device_code"), answer.get("user_code")
    url = answer.get("verification_uri", answer.get("verification_url"))  # the draft's name, too
    if not (isinstance(code, str) and is_sendable(code)):
        raise reply.trouble(
            "the device authorization's answer has no device_code, wanted one (RFC 8628, 3.2): see "
            "whether the client may use device codes"
        )
    if not (_is_shown(user_code) and _is_shown(url)):
        raise reply.trouble(
            "the device authorization's answer has nothing to show to a user, wanted user_code and "
            "verification_uri (RFC 8628, 3.2): sign in elsewhere"
        )
    fault = _page_fault(str(url), insecure_http=insecure_http)
    if fault is not None:
        raise reply.trouble(
            f"the device authorization's verification_uri {fault}, wanted the https:// page that "
            "users sign in at: sign in elsewhere"
        )
    complete = answer.get("verification_uri_complete")
    has_complete = (
        _is_shown(complete) and _page_fault(str(complete), insecure_http=insecure_http) is None
    )
    return DeviceCode(
        user_code=str(user_code),
        url=str(url),
        complete_url=str(complete) if has_complete else "",
        expires_in=_seconds(answer.get("expires_in"), otherwise=MAX_LIFE, most=MAX_LIFE),
        interval=_seconds(answer.get("interval"), otherwise=INTERVAL, most=MAX_INTERVAL),
        code=Secret(code),
        proof=proof,
    )


def _page_fault(url: str, *, insecure_http: bool) -> str | None:
    """Return why nobody is to be sent there to sign in: a browser runs javascript: too."""
    return url_fault(url.partition("#")[0], insecure_http=insecure_http)


def _is_shown(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_SHOWN and value.isprintable()


def _seconds(value: object, *, otherwise: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return most if value > most else max(float(value), 1.0)  # an int may be more than any float


def _tokens(reply: Reply) -> Tokens:
    tokens = tokens_of(reply.read())
    if tokens is None:
        raise reply.trouble(NO_BEARER)
    return tokens


def _refusal(reply: Reply) -> SessiondError:
    """Return what an answer other than 2xx amounts to; its words are for the person there."""
    answer = reply.read()
    error, description = answer.get("error"), answer.get("error_description")
    if not (_is_shown(error) and isinstance(error, str)):
        return reply.trouble(
            f"the issuer answered {reply.status} without an error code, wanted one (RFC 6749, "
            "5.2): see the client at the issuer"
        )
    words = " ".join(description.split())[:300] if isinstance(description, str) else ""
    return SignInRefused(error, escaped(words))
