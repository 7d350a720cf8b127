"""What verifying an access token has shown, and the tokens that were presented for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Self

from sessiond.core.evidence import NOTHING, Evidence
from sessiond.core.grant import TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret

VERIFIER = ("verifier",)  # why a role is given of which a plugin's verdict says no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An accepted access token: who it is, until when, with which roles."""

    principal: Principal
    lease: Lease
    roles: tuple[str, ...] = ()  # before what this host grants, protects and allows
    reasons: Evidence = field(default_factory=lambda: NOTHING)  # where known; see `assigned`
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stated_iat: datetime | None = None  # `iat` where the token states one: what revocations judge
    key_id: str | None = None  # RFC 7638 thumbprint of the key that signed it, where one did
    states_end: bool = True  # False: the lease is as long as configured, counted from the answer
    generation: int = 0  # of the issuer's configuration that it was verified by
    auth_time: datetime | None = None  # when the user signed in (OpenID Connect Core, 2)
    acr: tuple[str, ...] = ()  # how he did (the same; Entra's acrs)
    overage: bool = False  # his groups are elsewhere (Entra), and nobody has asked there
    claims_hold: str = ""  # fit for a log: what there is in place of a role, where there is none

    @property
    def assigned(self) -> Evidence:
        """Each role, with why it is given."""
        if self.reasons.keys() == set(self.roles):
            return self.reasons
        return {role: self.reasons.get(role, VERIFIER) for role in self.roles}

    def assigning(self, evidence: Evidence) -> Self:
        """Return the verdict with these roles in place of its own."""
        return replace(self, roles=tuple(sorted(evidence)), reasons=evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedTokens:
    """The tokens that came with a login or a renewal, verified."""

    verdict: Verdict
    access: TokenHash
    refresh: TokenHash | None
    refresh_token: Secret | None
    client: str  # the client id that the issuer's refresh tokens are bound to
    draw: float  # uniform in [0, 1): spreads the refresh
    presented_at: datetime  # a token that does not state its `iat` is as old as this at least
