"""An OAuth issuer that does what a test says, well or badly."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import anyio
import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from sessiond.api import Secret
from sessiond.clock import Clock, SystemClock
from sessiond.testing.answer import Answer, Asked
from sessiond.testing.faults import Fault, Faults
from sessiond.testing.issued import Issued
from sessiond.testing.loopback import Loopback

URL = "https://issuer.example.com"
CLIENT = "qstudio"  # whose tokens they are (RFC 9068, 2.2)
PATHS = {
    "/.well-known/openid-configuration": "discovery",
    "/keys": "keys",
    "/token": "token",
    "/introspection": "introspection",
    "/userinfo": "userinfo",
    "/revocation": "revocation",
}
INACTIVE = {"active": False}
UNAUTHORIZED = Answer(401, {"error": "invalid_token"}, {"WWW-Authenticate": "Bearer"})


@dataclass(slots=True, kw_only=True)
class _Grant:
    claims: dict[str, Any]  # of the user
    expires_in: float
    is_opaque: bool
    refresh: str = ""  # the one that is good
    is_over: bool = False


class FakeIssuer:
    """Discovery, keys, refresh (rotating), introspection, userinfo and revocation of tokens.

    In process it is asked through `client()`, on loopback inside `with issuer.serve():`, which a
    whole daemon can be given as its issuer with `insecure_http = true`. Whoever asks is believed
    to be a client; what was asked is in `asked`.
    """

    def __init__(
        self, url: str = URL, *, clock: Clock | None = None, audience: str = "api://kdb"
    ) -> None:
        """Begin with one key (ES256) and no faults.

        Args:
            url: What it calls itself, as `iss`; `serve` changes it.
            clock: For the times of tokens and for being slow; else the machine's.
            audience: The `aud` of its tokens.
        """
        self.url = url
        self.asked: list[Asked] = []
        self._clock = clock or SystemClock()
        self._audience = audience
        self._faults = Faults()
        self._keys: list[ECKey] = []
        self._grants: dict[str, _Grant] = {}  # by every token there ever was
        self._claims: dict[str, dict[str, Any]] = {}  # by access token
        self._lock = threading.Lock()  # calls on loopback come in threads
        self.rotate_keys()

    def issue(
        self,
        user: str = "alice",
        *,
        roles: tuple[str, ...] = ("reader",),
        expires_in: float = 3600.0,
        is_opaque: bool = False,
        by_stranger: bool = False,
        **claims: Any,
    ) -> Secret:
        """Return an access token.

        Args:
            user: `preferred_username`; `sub` depends on it.
            roles: The claim of that name.
            expires_in: Seconds from now; negative for one that is over.
            is_opaque: A random text, which introspection and userinfo know.
            by_stranger: Signed with a key that is not ours, under our key's name.
            claims: More of them, or others instead; None leaves one out.
        """
        of_user = {**_of(user), "roles": list(roles), **claims}
        grant = _Grant(claims=of_user, expires_in=expires_in, is_opaque=is_opaque)
        return self._access(grant, by_stranger=by_stranger)

    def sign_in(
        self,
        user: str = "alice",
        *,
        roles: tuple[str, ...] = ("reader",),
        expires_in: float = 3600.0,
        is_opaque: bool = False,
        **claims: Any,
    ) -> Issued:
        """Return an access token and a refresh token, which the token endpoint takes once."""
        of_user = {**_of(user), "roles": list(roles), **claims}
        return self._issued(_Grant(claims=of_user, expires_in=expires_in, is_opaque=is_opaque))

    def revoke(self, token: Secret) -> None:
        """End the grant that a token belongs to: introspection, userinfo and refresh say so."""
        grant = self._grants.get(token.reveal())
        if grant is not None:
            grant.is_over = True

    def rotate_keys(self, *, withdraw: bool = True) -> None:
        """Sign with a new key from now on; the earlier ones are withdrawn, or stay known."""
        key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig"})
        self._keys = [key] if withdraw else [key, *self._keys]

    def fail(
        self,
        endpoint: str,
        *,
        times: int | None = None,
        delay: float = 0.0,
        hang: bool = False,
        status: int | None = None,
        error: str = "",
        retry_after: float | None = None,
        body: bytes | None = None,
    ) -> None:
        """Answer badly from now on; what is not said stays well.

        Args:
            endpoint: discovery, keys, token, introspection, userinfo or revocation.
            times: So often, then well again; None = until `mend`.
            delay: Seconds before the answer.
            hang: Never answer.
            status: This one, such as 500; where only `error` is said, 400.
            error: An OAuth error code, such as invalid_grant (RFC 6749, 5.2).
            retry_after: Seconds, in the header of a 429 or 503 (RFC 9110, 10.2.3).
            body: These bytes instead of JSON.
        """
        if endpoint not in PATHS.values():
            raise ValueError(f"no endpoint {endpoint!r}; there are: {', '.join(PATHS.values())}")
        fault = Fault(
            delay=delay,
            hang=hang,
            status=status,
            error=error,
            retry_after=retry_after,
            body=body,
        )
        self._faults.begin(endpoint, fault, times=times)

    def mend(self) -> None:
        """Answer well again, everywhere."""
        self._faults.end()

    def client(self) -> httpx.AsyncClient:
        """Return a client that reaches this issuer alone, without any network.

        A fault's delay is slept on the clock; httpx's timeouts do not count here.
        """
        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    @contextmanager
    def serve(self, *, port: int = 0) -> Iterator[str]:
        """Be there on loopback while the block runs; `url` is its address from then on.

        Args:
            port: 0 = any that is free.
        """
        with Loopback(self._respond, port=port) as served:
            self.url = served.url
            yield served.url

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        asked = Asked(
            method=request.method,
            path=request.url.path,
            headers=dict(request.headers),
            content=request.content,
        )
        fault = self._faults.take(PATHS.get(asked.path, ""))
        if fault is not None:
            if fault.hang:
                await anyio.sleep_forever()
            await self._clock.sleep(fault.delay)
        answer = self._answer(asked)
        answer = answer if fault is None else fault.on(answer)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.content)

    def _respond(self, asked: Asked, wait: Callable[[float], None]) -> Answer:
        with self._lock:
            fault = self._faults.take(PATHS.get(asked.path, ""))
        if fault is not None:
            wait(fault.seconds)
        with self._lock:
            answer = self._answer(asked)
        return answer if fault is None else fault.on(answer)

    def _answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        token = asked.form.get("token", "")
        match asked.method, PATHS.get(asked.path):
            case "GET", "discovery":
                return Answer(200, self._metadata())
            case "GET", "keys":
                return Answer(200, dict(KeySet([*self._keys]).as_dict(private=False)))
            case "POST", "token":
                return self._refreshed(asked.form)
            case "POST", "introspection":
                return Answer(200, self._introspected(token))
            case "GET" | "POST", "userinfo":
                token = asked.headers.get("authorization", "").removeprefix("Bearer ")
                return Answer(200, self._user(token)) if self._is_good(token) else UNAUTHORIZED
            case "POST", "revocation":
                self.revoke(Secret(token))
                return Answer(200, {})  # also for a token that nobody knows (RFC 7009, 2.2)
            case _:
                return Answer(404, {"error": "not_found"})

    def _metadata(self) -> dict[str, Any]:
        """Return what OpenID Connect Discovery 1.0, section 3, asks for."""
        ends = {name: f"{self.url}{path}" for path, name in PATHS.items()}
        return {
            "issuer": self.url,
            "jwks_uri": ends["keys"],
            "token_endpoint": ends["token"],
            "introspection_endpoint": ends["introspection"],
            "userinfo_endpoint": ends["userinfo"],
            "revocation_endpoint": ends["revocation"],
        }

    def _refreshed(self, form: Mapping[str, str]) -> Answer:
        if form.get("grant_type") != "refresh_token":
            return Answer(400, {"error": "unsupported_grant_type"})
        token = form.get("refresh_token", "")
        grant = self._grants.get(token)
        if grant is None or grant.is_over or grant.refresh != token:
            return Answer(400, {"error": "invalid_grant"})
        issued = self._issued(grant)
        return Answer(
            200,
            {
                "token_type": "Bearer",
                "access_token": issued.access.reveal(),
                "refresh_token": issued.refresh.reveal(),
                "expires_in": issued.expires_in,
            },
        )

    def _issued(self, grant: _Grant) -> Issued:
        grant.refresh = f"refresh-{secrets.token_urlsafe(24)}"
        self._grants[grant.refresh] = grant
        return Issued(
            access=self._access(grant),
            refresh=Secret(grant.refresh),
            expires_in=grant.expires_in,
        )

    def _access(self, grant: _Grant, *, by_stranger: bool = False) -> Secret:
        now = int(self._clock.now().timestamp())
        plain = {
            "iss": self.url,
            "aud": self._audience,
            "client_id": CLIENT,
            "iat": now,
            "exp": now + int(grant.expires_in),
            "jti": str(uuid4()),
        }
        claims = {k: v for k, v in {**plain, **grant.claims}.items() if v is not None}
        token = f"opaque-{secrets.token_urlsafe(24)}"
        if not grant.is_opaque:
            key = ECKey.generate_key("P-256") if by_stranger else self._keys[0]
            header = {"alg": "ES256", "typ": "at+jwt", "kid": self._keys[0].kid}
            token = jwt.encode(header, claims, key)
        self._grants[token], self._claims[token] = grant, claims
        return Secret(token)

    def _is_good(self, token: str) -> bool:
        if token not in self._claims or self._grants[token].is_over:
            return False
        return bool(self._claims[token].get("exp", 0) > self._clock.now().timestamp())

    def _introspected(self, token: str) -> dict[str, Any]:
        """Return what RFC 7662, 2.2, asks for."""
        if not self._is_good(token):
            return INACTIVE
        return {"active": True, "token_type": "Bearer", **self._claims[token]}

    def _user(self, token: str) -> dict[str, Any]:
        about_token = ("iss", "aud", "client_id", "iat", "exp", "jti")
        return {k: v for k, v in self._claims[token].items() if k not in about_token}


def _of(user: str) -> dict[str, Any]:
    return {"preferred_username": user, "sub": str(uuid5(NAMESPACE_URL, user))}
