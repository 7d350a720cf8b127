"""From an `[[issuer]]` table to the parts that ask this issuer."""

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NoReturn

import anyio

from sessiond.api import Verifier
from sessiond.clock import Clock
from sessiond.config import IssuerConfig
from sessiond.config.claim_rules import claim_rules
from sessiond.config.entra import group_roles
from sessiond.containment import Containment
from sessiond.core.errors import ConfigError, IssuerUnavailable, TokenRejected
from sessiond.core.secret import Secret
from sessiond.extensions.issuer_plugins import Plugged
from sessiond.extensions.roles import AskedSource, RoleTerms
from sessiond.extensions.verifiers import PluginVerifier
from sessiond.issuers.authorization_code import AuthorizationCodeGrant
from sessiond.issuers.cached_document import RETRY_AFTER
from sessiond.issuers.client import Client
from sessiond.issuers.discovery import Discovery
from sessiond.issuers.graph import NAME as GRAPH
from sessiond.issuers.graph import GraphGroups
from sessiond.issuers.http import IssuerHttp
from sessiond.issuers.introspection import IntrospectionVerifier
from sessiond.issuers.jwt import JwtVerifier
from sessiond.issuers.keys import Keys
from sessiond.issuers.network import Exchange
from sessiond.issuers.our_clients import (
    ClientSecrets,
    OurClients,
    discovery_of,
    refresh_client_id,
)
from sessiond.issuers.own_token import OwnToken
from sessiond.issuers.userinfo import UserinfoVerifier
from sessiond.jwt.access import TokenRules
from sessiond.jwt.header import ALGORITHMS
from sessiond.jwt.kind import KindRules
from sessiond.refresher.refresh_issuer import TokenSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One configured issuer. Logins and refreshes have their own connections and limits."""

    verifier: Verifier
    tokens: TokenSource
    client_id: str  # that refresh tokens of people's programs are bound to
    web: AuthorizationCodeGrant | None = None  # None: nobody signs in there by the browser
    connections: tuple[IssuerHttp, ...]
    plugged: Plugged | None = None  # the plugins among its parts, and beside them

    @property
    def is_plugins(self) -> bool:
        """Whether a plugin verifies its tokens, so that nobody sees its calls."""
        return isinstance(self.verifier, PluginVerifier)

    @property
    def roles(self) -> RoleTerms | None:
        """What role sources add to the verdicts of `verifier`; None: they are whole."""
        return None if self.plugged is None else self.plugged.roles

    async def run(
        self, clock: Clock, probe: Callable[[], Awaitable[None]], is_seen_to: Callable[[], bool]
    ) -> None:
        """Keep fresh what logins need, and see that it is known how the issuer is, until cancelled.

        Args:
            clock: Waits.
            probe: Makes the verifier's trial call.
            is_seen_to: Says whether it is known to answer, or somebody else makes trial calls.
        """
        if self.web is None:
            await self._keep_fresh(clock, probe, is_seen_to)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.web.keep_ready)
            await self._keep_fresh(clock, probe, is_seen_to)

    async def _keep_fresh(
        self, clock: Clock, probe: Callable[[], Awaitable[None]], is_seen_to: Callable[[], bool]
    ) -> NoReturn:
        if isinstance(self.verifier, JwtVerifier):
            await self.verifier.run()
        with suppress(IssuerUnavailable):
            if isinstance(self.verifier, IntrospectionVerifier | UserinfoVerifier):
                await self.verifier.prepare()
        while True:
            with suppress(IssuerUnavailable, TokenRejected):
                if not is_seen_to():
                    await probe()
            await clock.sleep(RETRY_AFTER)

    @property
    def is_whole(self) -> bool:
        """Whether every plugin of it could be started."""
        return self.plugged is None or self.plugged.is_whole

    def keys_trouble(self) -> str:
        """Why its keys were not fetched when that was last tried; empty: they were."""
        if not isinstance(self.verifier, JwtVerifier):
            return ""
        failure = self.verifier.keys.kept.failure
        return "" if failure is None else str(failure)

    def take_keys_of(self, older: "Issuer") -> None:
        """Go on with what another has fetched: nobody waits for it again."""
        if isinstance(self.verifier, JwtVerifier) and isinstance(older.verifier, JwtVerifier):
            self.verifier.take_keys_of(older.verifier)

    async def ahead(self) -> float | None:
        """Ask the issuer, and return the seconds its clock is ahead of ours; None: no answer."""
        if self.is_plugins:  # nobody sees the dates of its answers
            return None
        login = self.connections[0]
        login.ahead = None
        with suppress(IssuerUnavailable, TokenRejected):
            await self.verifier.probe()
        return login.ahead

    async def close(self) -> None:
        """Close every connection, and have the plugins let go of what they hold."""
        for http in self.connections:
            http.close()
        if self.plugged is not None:
            await self.plugged.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshLimits:
    """What the refresher may cost one issuer."""

    timeout: float  # seconds for one call
    concurrency: int  # calls at a time, and as many again for what no refresh has proved


def build_issuer(
    config: IssuerConfig,
    *,
    leeway: float,
    refresh: RefreshLimits,
    secrets: ClientSecrets,
    clock: Clock,
    tls: ssl.SSLContext,
    plugged: Plugged | None = None,
    note: Callable[[IssuerUnavailable | None], object] = lambda _: None,
    network: Exchange | None = None,
) -> Issuer:
    """Return the parts for one issuer; nothing is asked yet.

    Args:
        config: The table, completed for its kind.
        leeway: Seconds of clock skew excused for `nbf` and `iat`.
        refresh: Of the `[refresh]` table.
        secrets: Of our clients there.
        tls: From `sessiond.issuers.http.trust`, shared by those with one `ca_file`.
        plugged: The plugins that this table and role sources name, where there are any.
        note: Told what each call has shown of the issuer, as `IssuerHttp` has it.
        network: Answers instead of the real one, in tests.

    Raises:
        ConfigError: A secret is missing or is no key.
    """
    insecure = config.insecure_http
    connect = partial(
        IssuerHttp, clock=clock, tls=tls, insecure_http=insecure, note=note, network=network
    )
    login = connect(timeout=config.timeout, concurrency=config.concurrency)
    calls = 2 * refresh.concurrency  # what is proved and what is not wait for each other nowhere
    refreshing = connect(timeout=refresh.timeout, concurrency=calls)
    # Whoever floods callbacks with made-up codes keeps no login and no refresh waiting.
    signing_in = connect(timeout=refresh.timeout, concurrency=refresh.concurrency)
    ours = OurClients(config, secrets, clock, threads=calls)
    try:
        return Issuer(
            verifier=_verifier(config, plugged, ours, http=login, leeway=leeway, clock=clock),
            tokens=ours.refreshing(refreshing),
            client_id=refresh_client_id(config),
            web=ours.web(signing_in, refreshing, leeway=leeway),
            connections=(login, refreshing, signing_in),
            plugged=plugged,
        )
    except ConfigError as error:
        raise ConfigError(f"issuer[{config.name}]: {error}") from error


def build_graph(
    config: IssuerConfig,
    *,
    client_secret: Secret | None,
    cache: float,
    clock: Clock,
    tls: ssl.SSLContext,
    containment: Containment,
    network: Exchange | None = None,
) -> AskedSource:
    """Return what asks Microsoft Graph for the groups of one issuer's users; nothing is asked yet.

    It has connections and a breaker of its own: no fault of Graph's is the issuer's.

    Args:
        config: The table, in which groups is graph.
        client_secret: Our client's.
        cache: Seconds that an answer is used again.
        clock: For the ages of answers and of our token.
        tls: As the issuer's.
        containment: Where exceptions end that nobody expected.
        network: Answers instead of the real one, in tests.

    Raises:
        ConfigError: The secret is missing or is no key.
    """
    http = IssuerHttp(
        timeout=config.timeout,
        concurrency=config.concurrency,
        clock=clock,
        tls=tls,
        insecure_http=config.insecure_http,
        network=network,
    )
    try:
        groups = _graph_groups(config, http=http, client_secret=client_secret, clock=clock)
    except ConfigError as error:
        raise ConfigError(f"issuer[{config.name}].groups is graph: {error}") from error
    return AskedSource(
        groups,
        name=GRAPH,
        plugin="",
        deadline=2 * config.timeout,  # our token, then the question: each has its own
        cache=cache,
        clock=clock,
        containment=containment,
    )


def _verifier(
    config: IssuerConfig,
    plugged: Plugged | None,
    ours: OurClients,
    *,
    http: IssuerHttp,
    leeway: float,
    clock: Clock,
) -> Verifier:
    if plugged is not None:
        if plugged.verifier is not None:
            return plugged.verifier
        config = plugged.config
    skew = timedelta(seconds=leeway)
    issuers = frozenset({config.issuer, *config.also_issued_as})
    discovery = discovery_of(config, http=http, clock=clock)
    rules = claim_rules(config)
    match config.verify:
        case "jwt":
            keys = Keys(http=http, discovery=discovery, clock=clock, name=config.name)
            tokens = _token_rules(config, issuers=issuers, leeway=skew)
            return JwtVerifier(keys=keys, tokens=tokens, claims=rules)
        case "introspection":
            return _introspection(
                config,
                http=http,
                discovery=discovery,
                client=ours.own(),
                issuers=issuers,
                leeway=skew,
            )
        case "userinfo":
            return UserinfoVerifier(
                http=http,
                discovery=discovery,
                rules=rules,
                audience=config.audience,
                audience_claim=config.audience_claim,
                kind=_kind_rules(config),
                leeway=skew,
            )
        case "plugin":
            raise ConfigError("verify is plugin, but none was made, wanted one: name it in plugin")


def _introspection(
    config: IssuerConfig,
    *,
    http: IssuerHttp,
    discovery: Discovery,
    client: Client,
    issuers: frozenset[str],
    leeway: timedelta,
) -> IntrospectionVerifier:
    return IntrospectionVerifier(
        http=http,
        discovery=discovery,
        client=client,
        rules=claim_rules(config),
        issuers=issuers,
        audience=config.audience,
        audience_claim=config.audience_claim,
        required_scope=config.required_scope,
        issued_to=_issued_to(config),
        kind=_kind_rules(config),
        is_type_optional=config.token_type_optional,
        leeway=leeway,
    )


def _issued_to(config: IssuerConfig) -> frozenset[str]:
    """Return the clients whose tokens are for us where nothing else says so; empty: any."""
    if not config.refresh_client_id:
        return frozenset()
    web = () if config.web is None else (config.web.client_id,)
    return frozenset({config.refresh_client_id, *web})


def _token_rules(config: IssuerConfig, *, issuers: frozenset[str], leeway: timedelta) -> TokenRules:
    return TokenRules(
        issuers=issuers,
        audience=frozenset(config.audience),
        audience_claim=config.audience_claim,
        algorithms=frozenset(config.algorithms) or ALGORITHMS,
        types=frozenset(config.typ),
        required_scope=config.required_scope,
        kind=_kind_rules(config),
        entra=config.kind == "entra",
        leeway=leeway,
    )


def _kind_rules(config: IssuerConfig) -> KindRules:
    return KindRules(
        tolerated=frozenset(config.tolerated_claims), allow_clients=frozenset(config.allow_clients)
    )


def _graph_groups(
    config: IssuerConfig, *, http: IssuerHttp, client_secret: Secret | None, clock: Clock
) -> GraphGroups:
    if client_secret is None:
        raise ConfigError(
            "client_secret_file is missing, wanted the secret of client_id, which asks Graph: name "
            f"its file, or set the credential {config.name}.client_secret"
        )
    graph = config.graph_endpoint.rstrip("/")
    token = OwnToken(
        http=http,
        discovery=discovery_of(config, http=http, clock=clock),
        client=OurClients(config, ClientSecrets(client=client_secret), clock).own(),
        scope=f"{graph}/.default",
        clock=clock,
    )
    return GraphGroups(http=http, token=token, endpoint=graph, groups=group_roles(config))
