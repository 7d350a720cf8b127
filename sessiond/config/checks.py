"""What a key's own type cannot say: values that must fit each other."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from sessiond.config.access_checks import problems_of_access
from sessiond.config.entra import problems_of_entra, problems_of_groups
from sessiond.config.patterns import overlap
from sessiond.config.source_checks import problems_of_sources
from sessiond.config.stores_checks import problems_of_stores
from sessiond.config.tables import (
    Config,
    IssuerConfig,
    ListenConfig,
    RefreshConfig,
    RoleSourceConfig,
    SubscriberConfig,
)
from sessiond.config.ticket_checks import problems_of_tickets
from sessiond.config.url_checks import problems_of_url
from sessiond.config.web_checks import problems_of_web

MAX_SOCKET_PATH = 107  # bytes, unix(7): sun_path is 108 with its NUL
MAX_PATTERNS = 16  # of `role_names`: each is compared with each value of a token

_URL_KEYS = (
    "discovery",
    "jwks_uri",
    "introspection_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "graph_endpoint",
)


def problems_of(config: Config) -> Iterator[str]:
    """Find everything that keeps these values from going together, one line each."""
    yield from _problems_of_listen(config.listen)
    yield from _problems_of_refresh(config.refresh)
    of_issuers = [
        problem
        for issuer in config.issuers
        for problem in _problems_of_issuer(issuer, f"issuer[{issuer.name}]")
    ]
    # What is between them is shown with their `iss`, so only once those are known to be clean.
    yield from of_issuers or _problems_between(config.issuers)
    yield from _problems_of_subscribers(config.subscribers)
    yield from _problems_of_role_sources(config.role_sources, config.issuers)
    yield from problems_of_access(config.access, config.issuers)
    yield from problems_of_web(config.web, config.issuers)
    yield from problems_of_sources(config.sources, config.issuers, config.access)
    yield from problems_of_tickets(config.tickets, config.issuers, config.access)
    yield from problems_of_stores(config.stores)


def _problems_of_listen(listen: ListenConfig) -> Iterator[str]:
    sockets = {"directory": f"{listen.directory}/kx.{listen.port}", "control": listen.control}
    for key, path in sockets.items():
        if len(path.encode()) > MAX_SOCKET_PATH:
            yield f"listen.{key} makes too long a path, must be {MAX_SOCKET_PATH} bytes at most"


def _problems_of_refresh(refresh: RefreshConfig) -> Iterator[str]:
    if refresh.share + refresh.jitter >= 1:
        both = f"{refresh.share} and {refresh.jitter}"
        yield f"refresh.share and refresh.jitter are {both}, their sum must be below 1"


def _problems_of_issuer(issuer: IssuerConfig, where: str) -> Iterator[str]:
    # A plugin's issuer may be called anything, where nothing has to be discovered from it.
    is_url = issuer.verify != "plugin" or bool(issuer.token_endpoint)
    for key in ("issuer", *_URL_KEYS) if is_url else _URL_KEYS:
        value = getattr(issuer, key)
        if value:
            yield from problems_of_url(value, f"{where}.{key}", insecure=issuer.insecure_http)
    if is_url and "?" in issuer.issuer:  # OIDC Discovery 1.0, 3
        yield f"{where}.issuer must have neither query nor fragment"
    if "?" in issuer.graph_endpoint:
        yield f"{where}.graph_endpoint must have no query: what is asked is added to it"
    if issuer.verify == "jwt":
        yield from _problems_of_jwt(issuer, where)
    if issuer.verify == "introspection":
        yield from _problems_of_introspection(issuer, where)
    yield from _problems_of_plugin(issuer, where)
    yield from _problems_of_laxer_rules(issuer, where)
    if issuer.prove_by_refresh and issuer.verify != "userinfo":
        yield f"{where}.prove_by_refresh is set, must not be with {issuer.verify}: userinfo only"
    if issuer.client_auth == "none" and issuer.client_secret_file:
        yield f"{where}.client_auth is none, must not be where client_secret_file is set"
    for number, pattern in enumerate(issuer.users, start=1):
        if not overlap(pattern, "*"):
            yield f"{where}.users[{number}] matches no name, must match some"
    if issuer.kind == "entra":
        yield from problems_of_entra(issuer, where)
    yield from problems_of_groups(issuer, where)


def _problems_of_jwt(issuer: IssuerConfig, where: str) -> Iterator[str]:
    if not issuer.audience:
        yield f"{where}.audience is missing, must be the `aud` that tokens for kdb+ have"
    if not issuer.typ:
        yield f'{where}.typ is empty, must have one at least ("" stands for an absent one)'


def _problems_of_introspection(issuer: IssuerConfig, where: str) -> Iterator[str]:
    if not issuer.client_id:
        yield f"{where}.client_id is empty, must not be with introspection (RFC 7662, 2.1)"
    if issuer.client_auth == "none":
        yield f"{where}.client_auth is none, must be another for introspection (RFC 7662, 2.1)"


def _problems_of_laxer_rules(issuer: IssuerConfig, where: str) -> Iterator[str]:
    """Find what gives up one way of telling tokens apart without another in its place."""
    if issuer.tolerated_claims and issuer.verify != "jwt":
        yield f"{where}.tolerated_claims is set, must not be with verify {issuer.verify}: jwt only"
    elif issuer.tolerated_claims and not issuer.required_scope:
        # An id_token's `aud` is the client that the user signed in with (OpenID Connect Core, 2).
        web = () if issuer.web is None else (issuer.web.client_id,)
        ours = {issuer.client_id, issuer.refresh_client_id, *web}
        clients = ours.intersection(issuer.audience)
        if issuer.audience_claim != "aud" or clients:
            yield (
                f"{where}.tolerated_claims is set, must have beside it what id_tokens have not: "
                "required_scope, or an audience that is no client's id"
            )
    if issuer.token_type_optional and issuer.verify != "introspection":
        only = "introspection only"
        yield f"{where}.token_type_optional is set, must not be with {issuer.verify}: {only}"
    elif issuer.token_type_optional and not issuer.required_scope:
        yield (
            f"{where}.token_type_optional is set without required_scope: something else must tell "
            "access tokens from all others"
        )
    if len(issuer.role_names) > MAX_PATTERNS:
        yield f"{where}.role_names is longer, must be at most {MAX_PATTERNS} patterns"


def _problems_of_plugin(issuer: IssuerConfig, where: str) -> Iterator[str]:
    if issuer.verify == "plugin":
        if not issuer.plugin:
            yield f"{where}.plugin is missing, must name a sessiond.verifiers entry point"
        return
    for key in ("plugin", "settings"):
        if getattr(issuer, key):
            yield f"{where}.{key} is set, must not be with verify {issuer.verify}: plugin only"


def _problems_between(issuers: Sequence[IssuerConfig]) -> Iterator[str]:
    """Find where two issuers could claim the same token or the same user."""
    for one, other in combinations(issuers, 2):
        if one.name == other.name:
            yield f"issuer[{one.name}].name is there twice, must be its own"
        for claimed in sorted(_iss_of(one) & _iss_of(other)):
            taken = f"{claimed} belongs to issuer[{one.name}]"
            yield f"issuer[{other.name}].issuer: {taken} already, must be another"
        for pattern in one.users:
            for another in other.users:
                if overlap(pattern, another):
                    yield (
                        f"issuer[{other.name}].users: {another!r} and issuer[{one.name}]'s "
                        f"{pattern!r} can match the same name, must be told apart"
                    )
    if len(issuers) > 1:
        for issuer in issuers:
            if not issuer.users:
                yield (
                    f"issuer[{issuer.name}].users is empty: with several issuers each must say "
                    "which names come from it"
                )


def _iss_of(issuer: IssuerConfig) -> set[str]:
    return {issuer.issuer, *issuer.also_issued_as}


def _problems_of_role_sources(
    sources: Sequence[RoleSourceConfig], issuers: Sequence[IssuerConfig]
) -> Iterator[str]:
    for one, other in combinations(sources, 2):
        if one.name == other.name:
            yield f"role_source[{one.name}].name is there twice, must be its own"
    known = {issuer.name for issuer in issuers}
    for source in sources:
        for number, name in enumerate(source.issuers, start=1):
            if name not in known:
                where = f"role_source[{source.name}].issuers[{number}]"
                yield f"{where} is {name!r}, must be an issuer's name"


def _problems_of_subscribers(subscribers: Sequence[SubscriberConfig]) -> Iterator[str]:
    for one, other in combinations(subscribers, 2):
        if one.name == other.name:
            name = f"subscriber[{one.name}].name"
            yield f"{name} is there twice, must be its own: its place is kept under it"
