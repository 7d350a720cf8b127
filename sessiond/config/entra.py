"""What `kind = "entra"` adds to an issuer, and what it asks of it.

learn.microsoft.com/entra/identity-platform/access-tokens: a v2.0 endpoint's tokens say
`https://login.microsoftonline.com/TENANT/v2.0`, those of an API that asks for version 1 say
`https://sts.windows.net/TENANT/`; both carry `typ` JWT, and `oid` is the user in the whole tenant.
learn.microsoft.com/entra/identity-platform/refresh-tokens: a refresh leaves older ones good.
"""

import re
from collections.abc import Collection, Iterator, Mapping

import msgspec

from sessiond.config.tables import IssuerConfig

_ISSUER = re.compile(r"https?://([^/?#]+)/([^/?#]+)/v2\.0")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHARED = ("common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad")
_GRAPH = {  # learn.microsoft.com/graph/deployments; the DoD's cloud has another Graph alone
    "login.microsoftonline.com": "https://graph.microsoft.com",
    "login.microsoftonline.us": "https://graph.microsoft.us",
    "login.partner.microsoftonline.cn": "https://microsoftgraph.chinacloudapi.cn",
}
MICROSOFT_HOSTS = frozenset(_GRAPH)
MAX_GROUPS = 200  # that Graph is asked for: ten requests of a login, and as many as a token has


def completed(issuer: IssuerConfig, *, given: Collection[str]) -> IssuerConfig:
    """Return the issuer with all that its kind implies; another kind's comes back as it is.

    Args:
        issuer: As written in the file.
        given: The keys that the file spells out: those are not second-guessed.
    """
    parts = _ISSUER.fullmatch(issuer.issuer)
    if issuer.kind != "entra" or parts is None:
        return issuer
    also = (*issuer.also_issued_as, f"https://sts.windows.net/{parts[2]}/")
    # A userinfo answer has no oid: the OpenID one says sub, Graph's /me says id.
    by_oid = "subject_claim" not in given and issuer.verify != "userinfo"
    return msgspec.structs.replace(
        issuer,
        also_issued_as=tuple(dict.fromkeys(also)),
        typ=tuple(dict.fromkeys((*issuer.typ, "JWT"))),
        subject_claim="oid" if by_oid else issuer.subject_claim,
        rotation=issuer.rotation if "rotation" in given else "tolerant",
        graph_endpoint=issuer.graph_endpoint or _graph_of(issuer, parts[1].lower()),
    )


def group_roles(issuer: IssuerConfig) -> Mapping[str, str]:
    """Return the role of each group that [issuer.roles] has by its object id, in lower case."""
    return {key.lower(): role for key, role in issuer.roles.items() if _ID.fullmatch(key.lower())}


def problems_of_entra(issuer: IssuerConfig, where: str) -> Iterator[str]:
    """Find why this cannot be a single Entra tenant."""
    parts = _ISSUER.fullmatch(issuer.issuer)
    if parts is None:
        yield f"{where}.issuer must be https://HOST/TENANT/v2.0 for kind entra"
    elif parts[2].lower() in _SHARED:
        yield f"{where}.issuer is for many tenants ({parts[2]}), must name a single one by its id"
    elif parts[1].lower() in MICROSOFT_HOSTS and not _ID.fullmatch(parts[2]):
        yield f"{where}.issuer must name the tenant by its id, as tokens do: 8-4-4-4-12 hex digits"
    if issuer.verify in ("introspection", "plugin"):
        yield f"{where}.verify is {issuer.verify}, must be jwt or userinfo for kind entra"
    yield from _problems_of_web_scope(issuer, where)
    if issuer.prove_by_refresh and not issuer.refresh_scope:
        yield (
            f"{where}.refresh_scope is missing, must be there: without one, Entra answers "
            "prove_by_refresh with a token for Graph"
        )


def _problems_of_web_scope(issuer: IssuerConfig, where: str) -> Iterator[str]:
    """Find a scope that would bring tokens for Microsoft Graph, where others are wanted."""
    parts = _ISSUER.fullmatch(issuer.issuer)
    is_microsofts = parts is not None and parts[1].lower() in MICROSOFT_HOSTS
    if issuer.web is None or issuer.verify != "jwt" or not is_microsofts:
        return
    if not any("/" in scope for scope in issuer.web.scope.split()):
        yield (
            f"{where}.web.scope names no API, must have a scope of it, such as "
            '"api://ID/session.login": else Entra gives a token for Graph'
        )


def problems_of_groups(issuer: IssuerConfig, where: str) -> Iterator[str]:
    """Find why Microsoft Graph cannot be asked for the groups that tokens leave out."""
    if issuer.groups != "graph":
        if issuer.graph_endpoint:
            yield f'{where}.graph_endpoint is set, must not be without groups = "graph"'
        return
    graph = f"{where}.groups is graph"
    if issuer.kind != "entra":
        yield f"{graph}, must not be with kind {issuer.kind}: entra only"
        return
    if issuer.verify != "jwt":  # nothing else shows that groups were left out, nor an oid
        yield f"{graph}, must not be with verify {issuer.verify}: jwt only"
    if not {"groups", "/groups"}.intersection(issuer.roles_claim):
        yield f'{where}.roles_claim has no "groups", must have it with groups = "graph"'
    if issuer.subject_claim != "oid":
        yield f'{where}.subject_claim must be "oid" with groups = "graph", which asks by it'
    if issuer.client_auth == "none":
        yield f'{where}.client_auth is none, must be another with groups = "graph": it signs in'
    parts = _ISSUER.fullmatch(issuer.issuer)
    is_microsofts = parts is not None and parts[1].lower() in MICROSOFT_HOSTS
    if is_microsofts and not _ID.fullmatch(issuer.client_id.lower()):
        yield f'{where}.client_id must be an application\'s id with groups = "graph": it asks'
    if not issuer.graph_endpoint:
        yield f"{where}.graph_endpoint is missing, must be Graph's URL, since it is not known here"
    yield from _problems_of_group_roles(issuer, where)


def _problems_of_group_roles(issuer: IssuerConfig, where: str) -> Iterator[str]:
    asked = [key for key in issuer.roles if _ID.fullmatch(key.lower())]
    if not asked:
        yield f"{where}.roles has no group's object id, must have one where groups is graph"
    if len(asked) > MAX_GROUPS:
        there = f"{where}.roles has {len(asked)} groups' object ids"
        yield f"{there}, must be at most {MAX_GROUPS} where groups is graph"
    if len({key.lower() for key in asked}) < len(asked):
        yield f"{where}.roles has a group's object id twice, must have it once (case aside)"


def _graph_of(issuer: IssuerConfig, host: str) -> str:
    return _GRAPH.get(host, "") if issuer.groups == "graph" else ""
