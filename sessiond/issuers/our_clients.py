"""The clients that sessiond is at one issuer: by itself, for people's programs, and for browsers.

Several may be one registration. Tokens are bound to the client that they were given to (RFC 6749,
10.4), so each refreshes its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sessiond.clock import Clock
from sessiond.config import IssuerConfig
from sessiond.core.secret import Secret
from sessiond.extensions.verifiers import NoRefresh
from sessiond.issuers.authorization_code import RESOURCE, AuthorizationCodeGrant, WebRules
from sessiond.issuers.client import Client
from sessiond.issuers.discovery import Discovery, Endpoint
from sessiond.issuers.http import IssuerHttp
from sessiond.issuers.token_endpoint import TokenEndpoint
from sessiond.refresher import TokenSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecrets:
    """What each key of an `[[issuer]]` table names; None: nothing."""

    client: Secret | None = None
    refresh: Secret | None = None
    web: Secret | None = None


class OurClients:
    """Makes what our clients at one issuer do there."""

    def __init__(
        self, config: IssuerConfig, secrets: ClientSecrets, clock: Clock, *, threads: int = 1
    ) -> None:
        """Make nothing yet.

        Args:
            config: The issuer's table.
            secrets: The clients' own.
            clock: Dates what they sign.
            threads: Refreshes of one client at once, where each takes a thread.
        """
        self._config = config
        self._secrets = secrets
        self._clock = clock
        self._threads = threads

    def own(self) -> Client:
        """Return sessiond's own, for what it asks by itself."""
        config = self._config
        return Client(
            client_id=config.client_id,
            method=config.client_auth,
            secret=self._secrets.client,
            clock=self._clock,
        )

    def refreshing(self, http: IssuerHttp) -> TokenSource:
        """Return what refreshes the tokens of people's programs."""
        config = self._config
        if config.verify == "plugin" and not config.token_endpoint:
            return NoRefresh()
        return self._tokens(refresh_client_id(config), http, scope=config.refresh_scope)

    def web(
        self, http: IssuerHttp, refreshing: IssuerHttp, *, leeway: float
    ) -> AuthorizationCodeGrant | None:
        """Return what signs people in by the browser; None: nothing does.

        Args:
            http: Asks the issuer about codes,
            refreshing: and for the next tokens of what was granted so.
            leeway: Seconds of clock skew excused.
        """
        config, web = self._config, self._config.web
        if web is None:
            return None
        return AuthorizationCodeGrant(
            http=http,
            discovery=discovery_of(config, http=http, clock=self._clock),
            client=self._client(web.client_id),
            tokens=self._tokens(
                web.client_id,
                refreshing,
                # Of what was granted then, so without a scope; Entra would answer with Graph's.
                scope=web.scope if config.kind == "entra" else "",
                resource=web.parameters.get(RESOURCE, ""),
            ),
            rules=WebRules(
                name=config.name,
                issuer=config.issuer,
                issuers=frozenset({config.issuer, *config.also_issued_as}),
                subject_claim=config.subject_claim,
                scope=web.scope,
                parameters=web.parameters,
                leeway=timedelta(seconds=leeway),
            ),
            clock=self._clock,
        )

    def _tokens(
        self, client_id: str, http: IssuerHttp, *, scope: str, resource: str = ""
    ) -> TokenSource:
        config = self._config
        if config.kind == "entra":
            from sessiond.issuers.entra import EntraTokens  # MSAL is a quarter of all imports

            return EntraTokens(
                http=http,
                clock=self._clock,
                issuer=config.issuer,
                client_id=client_id,
                client_secret=self._secret(client_id),
                scope=scope,
                threads=self._threads,
            )
        return TokenEndpoint(
            http=http,
            discovery=discovery_of(config, http=http, clock=self._clock),
            client=self._client(client_id),
            scope=scope,
            resource=resource,
        )

    def _client(self, client_id: str) -> Client:
        """Return a client that proves itself as ours do, where it has a secret."""
        auth, secret = self._config.client_auth, self._secret(client_id)
        confidential = "basic" if auth == "none" else auth
        return Client(
            client_id=client_id,
            method="none" if secret is None else confidential,
            secret=secret,
            clock=self._clock,
        )

    def _secret(self, client_id: str) -> Secret | None:
        """Return a client's secret, whichever key names it; None: it is a public client."""
        return next((secret for owner, secret in self._owned() if owner == client_id), None)

    def _owned(self) -> Iterator[tuple[str, Secret]]:
        config, secrets = self._config, self._secrets
        if config.web is not None and secrets.web is not None:
            yield config.web.client_id, secrets.web
        if secrets.refresh is not None:
            yield refresh_client_id(config), secrets.refresh
        if secrets.client is not None and config.client_auth != "none":
            yield config.client_id, secrets.client


def refresh_client_id(config: IssuerConfig) -> str:
    """Return the client that people's programs sign in as."""
    return config.refresh_client_id or config.client_id


def discovery_of(config: IssuerConfig, *, http: IssuerHttp, clock: Clock) -> Discovery:
    """Return what knows an issuer's endpoints, asked over these connections."""
    return Discovery(
        http=http,
        clock=clock,
        issuer=config.issuer,
        url=config.discovery,
        fixed={
            Endpoint.KEYS: config.jwks_uri,
            Endpoint.INTROSPECTION: config.introspection_endpoint,
            Endpoint.TOKEN: config.token_endpoint,
            Endpoint.USERINFO: config.userinfo_endpoint,
        },
    )
