"""From a `[[source]]` table to the parts that ask for its tokens."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from sessiond.clock import Clock
from sessiond.config import IssuerConfig, SourceConfig
from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret
from sessiond.issuers.authorization_code import AuthorizationCodeGrant, WebRules
from sessiond.issuers.client import Client
from sessiond.issuers.discovery import Discovery, Endpoint, Place
from sessiond.issuers.http import IssuerHttp
from sessiond.issuers.network import Exchange
from sessiond.issuers.our_clients import discovery_of
from sessiond.issuers.source_sign_in import SourceSignIn
from sessiond.issuers.source_tokens import SourceTokens, User, Wanted
from sessiond.issuers.token_endpoint import TokenEndpoint

CONCURRENCY = 16  # calls of one source at a time: on behalf of so many users


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSecrets:
    """What each key of a `[[source]]` table names; None: nothing."""

    client: Secret | None = None
    refresh_token: Secret | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceParts:
    """What asks for one source's tokens, over connections of its own."""

    tokens: SourceTokens
    sign_in: SourceSignIn | None  # None: nobody can sign in for it
    http: IssuerHttp = field(repr=False)


def build_source(
    config: SourceConfig,
    issuer: IssuerConfig | None,
    *,
    secrets: SourceSecrets,
    timeout: float,
    leeway: float,
    clock: Clock,
    tls: ssl.SSLContext,
    network: Exchange | None = None,
) -> SourceParts:
    """Return the parts for one source; nothing is asked yet.

    Args:
        config: The table.
        issuer: The one that it names; None: it has a token endpoint of its own.
        secrets: The client's, and the user's.
        timeout: Seconds for one call; nobody waits for all of it.
        leeway: Seconds of clock skew excused.
        clock: For moments, and for what is signed.
        tls: Whom its connections trust.
        network: Answers instead of the real one, in tests.

    Raises:
        ConfigError: A secret is missing or is no key.
    """
    http = IssuerHttp(
        timeout=timeout,
        concurrency=CONCURRENCY,
        clock=clock,
        tls=tls,
        insecure_http=config.insecure_http if issuer is None else issuer.insecure_http,
        network=network,
    )
    try:
        return _parts(config, issuer, http=http, secrets=secrets, leeway=leeway, clock=clock)
    except ConfigError as error:
        raise ConfigError(f"source[{config.name}]: {error}") from error


def _parts(
    config: SourceConfig,
    issuer: IssuerConfig | None,
    *,
    http: IssuerHttp,
    secrets: SourceSecrets,
    leeway: float,
    clock: Clock,
) -> SourceParts:
    client = Client(
        client_id=config.client_id,
        method=config.client_auth,
        secret=secrets.client,
        clock=clock,
    )
    wanted = Wanted(scope=config.scope, resource=config.resource, audience=config.audience)
    discovery = None if issuer is None else discovery_of(issuer, http=http, clock=clock)
    sign_in = None
    if issuer is not None and discovery is not None and config.grant == "refresh_token":
        codes = _codes(issuer, http, discovery, client, wanted, leeway=leeway, clock=clock)
        sign_in = SourceSignIn(
            http=http,
            codes=codes,
            client=client,
            wanted=wanted,
            issuer=issuer.issuer,
            discovery=issuer.discovery,
            token_endpoint=issuer.token_endpoint,
            clock=clock,
        )
    tokens = SourceTokens(
        http=http,
        place=_place(config.token_endpoint, discovery),
        client=client,
        wanted=wanted,
        at=config.token_endpoint if issuer is None else issuer.issuer,
        user=_user(config, secrets),
        is_entra=issuer is not None and issuer.kind == "entra",
    )
    return SourceParts(tokens=tokens, sign_in=sign_in, http=http)


def _place(fixed: str, discovery: Discovery | None) -> Callable[[], Awaitable[Place]]:
    if discovery is not None:
        return partial(discovery.need, Endpoint.TOKEN)

    async def place() -> Place:
        return Place(fixed)

    return place


def _user(config: SourceConfig, secrets: SourceSecrets) -> User | None:
    if config.grant != "password":
        return None
    if secrets.password is None:
        raise ConfigError(
            "password_file is missing, wanted username's password: name its file, or set the "
            f"credential source.{config.name}.password"
        )
    return User(name=config.username, password=secrets.password)


def _codes(
    issuer: IssuerConfig,
    http: IssuerHttp,
    discovery: Discovery,
    client: Client,
    wanted: Wanted,
    *,
    leeway: float,
    clock: Clock,
) -> AuthorizationCodeGrant:
    parameters = wanted.form
    scopes = parameters.pop("scope", "").split()
    if {"openid", "offline_access"} <= set(scopes):  # OpenID Connect Core 1.0, 11
        parameters["prompt"] = "consent"
    return AuthorizationCodeGrant(
        http=http,
        discovery=discovery,
        client=client,
        tokens=TokenEndpoint(http=http, discovery=discovery, client=client),
        rules=WebRules(
            name=issuer.name,
            issuer=issuer.issuer,
            issuers=frozenset({issuer.issuer, *issuer.also_issued_as}),
            subject_claim=issuer.subject_claim,
            scope=wanted.scope,
            parameters=parameters,
            leeway=timedelta(seconds=leeway),
        ),
        clock=clock,
    )
