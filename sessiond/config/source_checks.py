"""What a `[[source]]` table must fit: itself, its issuer, and who may be believed to ask."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from sessiond.config.access_tables import AccessConfig
from sessiond.config.guarded import problems_of_unguarded
from sessiond.config.patterns import overlap
from sessiond.config.source_tables import SourceConfig
from sessiond.config.tables import IssuerConfig
from sessiond.config.url_checks import problems_of_url

MAX_SOURCES = 1000
MAX_NAMES = 1000  # of `processes`, or of `readers`
_ALONE = ("ca_file", "insecure_http")  # keys that an issuer has of its own
_KEYS_OF = {  # keys that one grant alone reads
    "refresh_token_file": "refresh_token",
    "username": "password",
    "password_file": "password",
}
# RFC 6749, 4.4: for confidential clients alone. Whoever exchanges a user's token proves who he is,
# or anybody could who has got hold of one.
_CONFIDENTIAL = ("client_credentials", "on_behalf_of")


def problems_of_sources(
    sources: Sequence[SourceConfig], issuers: Sequence[IssuerConfig], access: AccessConfig
) -> Iterator[str]:
    """Find what would never get a token, or give one to whom nobody knows."""
    if len(sources) > MAX_SOURCES:
        yield f"source has {len(sources)} tables, must have at most {MAX_SOURCES}"
        return
    for one, other in combinations(sources, 2):
        if one.name == other.name:
            yield f"source[{one.name}].name is there twice, must be its own"
        if one.refresh_token_file and one.refresh_token_file == other.refresh_token_file:
            yield (
                f"source[{other.name}].refresh_token_file is that of source[{one.name}], must be "
                "its own: a refresh token is spent once"
            )
    by_name = {issuer.name: issuer for issuer in issuers}
    for source in sources:
        where = f"source[{source.name}]"
        yield from _problems_of_place(source, by_name, where)
        yield from _problems_of_grant(source, where)
        if source.issuer in by_name and by_name[source.issuer].kind == "entra":
            yield from _problems_of_entra(source, where)
        yield from _problems_of_askers(source, access, where)


def _problems_of_place(
    source: SourceConfig, issuers: dict[str, IssuerConfig], where: str
) -> Iterator[str]:
    if source.issuer and source.token_endpoint:
        yield f"{where}.token_endpoint is set beside issuer, must not be: the issuer has its own"
    elif source.issuer:
        yield from _problems_of_issuer(source, issuers, where)
    elif source.token_endpoint:
        yield from problems_of_url(
            source.token_endpoint, f"{where}.token_endpoint", insecure=source.insecure_http
        )
    else:
        yield f"{where}.issuer is missing, must be an issuer's name; or else set token_endpoint"


def _problems_of_issuer(
    source: SourceConfig, issuers: dict[str, IssuerConfig], where: str
) -> Iterator[str]:
    issuer = issuers.get(source.issuer)
    if issuer is None:
        yield f"{where}.issuer is {source.issuer!r}, must be an issuer's name"
    elif issuer.verify == "plugin" and not issuer.token_endpoint:
        yield (
            f"{where}.issuer is {source.issuer!r}, a plugin's without token_endpoint, must be one "
            "that has tokens"
        )
    for key in _ALONE:
        if getattr(source, key):
            yield f"{where}.{key} is set, must not be beside issuer: the issuer's own counts"


def _problems_of_grant(source: SourceConfig, where: str) -> Iterator[str]:
    grant = source.grant
    for key, wanted in _KEYS_OF.items():
        if getattr(source, key) and grant != wanted:
            yield f"{where}.{key} is set, must not be with grant {grant}: {wanted} only"
    if source.client_auth == "none" and source.client_secret_file:
        yield f"{where}.client_auth is none, must not be where client_secret_file is set"
    if source.client_auth == "none" and grant in _CONFIDENTIAL:
        yield f"{where}.client_auth is none, must be another for grant {grant}"
    if grant == "password" and not source.username:
        yield f"{where}.username is missing, must be who signs in with grant password"
    if "#" in source.resource or " " in source.resource:  # RFC 8707, 2
        yield f"{where}.resource must be a URI without fragment"
    if source.issuer:
        return
    if grant == "on_behalf_of":
        yield (
            f"{where}.issuer is missing, must be there with grant on_behalf_of: users' tokens go "
            "to nobody but the issuer that gave them"
        )
    if grant == "refresh_token" and not source.refresh_token_file:
        yield (
            f"{where}.refresh_token_file is missing, must be the first refresh token's where there "
            "is no issuer for an operator to sign in at"
        )


def _problems_of_entra(source: SourceConfig, where: str) -> Iterator[str]:
    """Find what Entra refuses (learn.microsoft.com/entra/identity-platform/v2-oauth2-*)."""
    if not source.scope:
        yield f"{where}.scope is missing, must be there at Entra: an API's, or API/.default"
    elif source.grant == "client_credentials" and not source.scope.endswith("/.default"):
        yield f"{where}.scope must be API/.default with grant client_credentials at Entra"
    for key in ("resource", "audience"):
        if getattr(source, key):
            yield f"{where}.{key} is set, must not be at Entra, where scope says whom it is for"


def _problems_of_askers(source: SourceConfig, access: AccessConfig, where: str) -> Iterator[str]:
    for key in ("processes", "readers"):
        values = getattr(source, key)
        if len(values) > MAX_NAMES:
            yield f"{where}.{key} has {len(values)} values, must have at most {MAX_NAMES}"
            return
    if source.readers and source.grant == "on_behalf_of":
        yield (
            f"{where}.readers is set, must not be with grant on_behalf_of: nobody there has a "
            "session"
        )
    unmatched = [each for each in source.processes if not overlap(each, "*")]
    for pattern in unmatched:
        yield f"{where}.processes: {pattern!r} matches nothing, must match some"
    if not unmatched:
        yield from problems_of_unguarded(f"{where}.processes", source.processes, access)
