"""An issuer's table, for tests of a verifier."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sessiond.api import IssuerAbout
from sessiond.core.claims import ClaimRules
from sessiond.jwt.issuer import IssuerFacts


def issuer_about(
    *,
    name: str = "corp",
    issuers: Iterable[str] = ("https://login.example.com/",),
    audience: Iterable[str] = ("api://kdb",),
    required_scope: str = "",
    timeout: float = 1.5,
    leeway: float = 30.0,
    lease: float = 3600.0,
    user_claim: str = "preferred_username",
    subject_claim: str = "sub",
    roles_claim: Iterable[str] = ("roles", "scp", "scope"),
    roles: Mapping[str, str] | None = None,
    default_roles: Iterable[str] = (),
    require_role: bool = False,
    attributes: Mapping[str, str] | None = None,
) -> IssuerAbout:
    """Return what a plugin's entry point is given as `issuer`, by the keys of `[[issuer]]`.

    Times are seconds. `issuers` stands for `issuer` and `also_issued_as`.
    """
    return IssuerFacts(
        name=name,
        issuers=frozenset(issuers),
        audience=frozenset(audience),
        required_scope=required_scope,
        timeout=timeout,
        leeway=timedelta(seconds=leeway),
        rules=ClaimRules(
            issuer=name,
            user_claim=user_claim,
            subject_claim=subject_claim,
            lease=timedelta(seconds=lease),
            roles_claim=tuple(roles_claim),
            roles=roles or {},
            default_roles=tuple(default_roles),
            require_role=require_role,
            attributes=attributes or {},
        ),
    )
