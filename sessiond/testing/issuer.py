"""An issuer's table, for tests of a verifier."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sessiond.api import IssuerAbout
from sessiond.core.claims import ClaimRules
from sessiond.jwt.issuer import IssuerFacts
from sessiond.jwt.kind import KindRules


def issuer_about(
    *,
    name: str = "corp",
    issuers: Iterable[str] = ("https://login.example.com/",),
    audience: Iterable[str] = ("api://kdb",),
    audience_claim: str = "aud",
    required_scope: str = "",
    allow_clients: Iterable[str] = (),
    timeout: float = 1.5,
    leeway: float = 30.0,
    lease: float = 3600.0,
    unverified_email: bool = False,
    user_claim: str = "preferred_username",
    subject_claim: str = "sub",
    roles_claim: Iterable[str] = ("roles", "scp", "scope"),
    roles: Mapping[str, str] | None = None,
    role_names: Iterable[str] = (),
    default_roles: Iterable[str] = (),
    attributes: Mapping[str, str] | None = None,
) -> IssuerAbout:
    """Return what a plugin's entry point is given as `issuer`, by the keys of `[[issuer]]`.

    Times are seconds. `issuers` stands for `issuer` and `also_issued_as`.
    """
    return IssuerFacts(
        name=name,
        issuers=frozenset(issuers),
        audience=frozenset(audience),
        audience_claim=audience_claim,
        required_scope=required_scope,
        kind=KindRules(allow_clients=frozenset(allow_clients)),
        timeout=timeout,
        leeway=timedelta(seconds=leeway),
        rules=ClaimRules(
            issuer=name,
            unverified_email=unverified_email,
            user_claim=user_claim,
            subject_claim=subject_claim,
            lease=timedelta(seconds=lease),
            roles_claim=tuple(roles_claim),
            roles=roles or {},
            role_names=tuple(role_names),
            default_roles=tuple(default_roles),
            attributes=attributes or {},
        ),
    )
