"""An issuer of some shape, answering where that issuer's own metadata says."""

import base64
from urllib.parse import parse_qsl, unquote_plus

import httpx

from sessiond.config import IssuerConfig
from sessiond.core.secret import Secret
from sessiond.issuers.build import Issuer, RefreshLimits, build_issuer
from sessiond.issuers.discovery import SUFFIX
from sessiond.issuers.our_clients import ClientSecrets
from tests.shapes.shape import Shape
from tests.unit.issuers.fake import TLS, FakeNetwork, HandClock

SECRET = "s3cret of a client"


class StandIn:
    """Discovery, keys, introspection, userinfo and refresh, in the shape's own words."""

    def __init__(self, shape: Shape, config: IssuerConfig) -> None:
        self._shape = shape
        self._config = config
        self._documents = {
            shape.discovery or config.issuer.rstrip("/") + SUFFIX: {
                "issuer": config.issuer,
                **shape.metadata,
            },
            self._place("jwks_uri"): {"keys": list(shape.keys)},
        }
        self._answers = {token.text.reveal(): token for token in shape.tokens}
        self.is_spent = False  # whether the refresh token was used up
        self.refreshed_by: str | None = None  # the client that did, as it named itself
        self.proved = False  # whether it showed its secret
        self.scope = frozenset[str]()  # that it asked for

    def connected(self) -> Issuer:
        """Return what the daemon makes of the table, connected to this issuer."""
        refresh_secret = self._config.refresh_client_secret_file
        if not self._config.refresh_client_id:
            refresh_secret = self._config.client_secret_file
        return build_issuer(
            self._config,
            leeway=30.0,
            refresh=RefreshLimits(timeout=10.0, concurrency=1),
            secrets=ClientSecrets(
                client=_secret(self._config.client_secret_file), refresh=_secret(refresh_secret)
            ),
            clock=HandClock(),
            tls=TLS,
            network=FakeNetwork(self._answer),
        )

    def _place(self, endpoint: str) -> str:
        return str(getattr(self._config, endpoint) or self._shape.metadata.get(endpoint, ""))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        if url in self._documents:
            return _reply(200, self._documents[url])
        if url == self._place("introspection_endpoint"):
            return self._asked(_form(request).get("token", ""), {"active": False})
        if url == self._place("userinfo_endpoint"):
            bearer = request.headers["authorization"].removeprefix("Bearer ")
            return self._asked(bearer, {"error": "invalid_token"}, status=401)
        if url.split("?")[0] == self._place("token_endpoint"):
            return self._refreshed(request)
        return _reply(404, {})

    def _asked(
        self, token: str, unknown: dict[str, object], *, status: int = 200
    ) -> httpx.Response:
        found = self._answers.get(token)
        if found is None or not found.answer:
            return _reply(status, unknown)
        return _reply(found.status, found.answer)

    def _refreshed(self, request: httpx.Request) -> httpx.Response:
        refresh, form = self._shape.refresh, _form(request)
        assert form["grant_type"] == "refresh_token"
        assert form["refresh_token"] == refresh.token.reveal()
        self.refreshed_by, secret = _client(request)
        self.proved = secret == SECRET
        self.scope = frozenset(form.get("scope", "").split())
        if self.is_spent:
            return _reply(refresh.spent_status, refresh.spent)
        return _reply(200, refresh.answer)


def _secret(file: str) -> Secret | None:
    return Secret(SECRET) if file else None


def _client(request: httpx.Request) -> tuple[str, str]:
    """Return the id and the secret by which a client is known (RFC 6749, 2.3.1)."""
    kind, _, pair = request.headers.get("authorization", "").partition(" ")
    if kind == "Basic":
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)
    form = _form(request)
    return form["client_id"], form.get("client_secret", "")


def _form(request: httpx.Request) -> dict[str, str]:
    return dict(parse_qsl(request.content.decode(), keep_blank_values=True))


def _reply(status: int, content: object) -> httpx.Response:
    # Unread, as from a network.
    whole = httpx.Response(status, json=content)
    return httpx.Response(status, headers=whole.headers, stream=httpx.ByteStream(whole.content))
