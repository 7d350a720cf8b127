"""What the tables for browsers must fit: each other, and the issuer that people sign in at."""

from collections.abc import Iterator, Sequence

import msgspec

from sessiond.config.bases import as_browsers_write, authorities, fault_of
from sessiond.config.tables import IssuerConfig
from sessiond.config.web_tables import WebClientConfig, WebConfig

MAX_BASES = 1000
MAX_PARAMETERS = 16  # beside sessiond's own

_AN_ORIGIN = "an origin alone: https://HOST:PORT"
# What the flow sets, what would bring the answer elsewhere, and what would replace all of it
# (RFC 9101: a request object).
_OURS = frozenset(
    {
        "acr_values", "client_assertion", "client_assertion_type", "client_id", "client_secret",
        "code", "code_challenge", "code_challenge_method", "code_verifier", "grant_type",
        "id_token_hint", "max_age", "nonce", "redirect_uri", "request", "request_uri",
        "response_mode", "response_type", "scope", "state",
    }
)  # fmt: skip


def completed(web: WebConfig) -> WebConfig:
    """Return the table with its bases as browsers write them."""
    return msgspec.structs.replace(web, bases=tuple(map(as_browsers_write, web.bases)))


def problems_of_web(web: WebConfig, issuers: Sequence[IssuerConfig]) -> Iterator[str]:
    """Find what would keep a browser from signing in, or send a cookie where it must not go."""
    if len(web.bases) > MAX_BASES:
        yield f"web.bases has {len(web.bases)} values, must have at most {MAX_BASES}"
    yield from _problems_of_bases(web.bases[:MAX_BASES])
    for issuer in issuers:
        if issuer.web is not None:
            yield from _problems_of_client(issuer, issuer.web, web)


def _problems_of_bases(bases: Sequence[str]) -> Iterator[str]:
    """Find bases that are no origins, and those that a `Host` could not tell apart."""
    first: dict[str, int] = {}
    for number, base in enumerate(bases, start=1):
        where = f"web.bases[{number}]"
        fault = fault_of(base)
        if fault:
            yield f"{where} {fault}, must be {_AN_ORIGIN}"
            continue
        named = authorities(base)
        before = next((first[each] for each in named if each in first), None)
        if before is not None:
            yield (
                f"{where} has the authority of web.bases[{before}], must be another: requests are "
                "told apart by their Host"
            )
        for each in named:
            first.setdefault(each, number)


def _problems_of_client(
    issuer: IssuerConfig, client: WebClientConfig, web: WebConfig
) -> Iterator[str]:
    where = f"issuer[{issuer.name}].web"
    if issuer.verify == "plugin":
        yield f"{where} is set, must not be with verify plugin: nobody signs in at one"
    if not web.bases:
        yield f"{where} is set without web.bases, must have beside it the origins that q answers at"
    if len(client.parameters) > MAX_PARAMETERS:
        there = f"{where}.parameters has {len(client.parameters)}"
        yield f"{there}, must have at most {MAX_PARAMETERS}"
    for name in client.parameters:
        if name.lower() in _OURS:
            yield f"{where}.parameters.{name} is set, must not be: sessiond sets or needs it itself"
