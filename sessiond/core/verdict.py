"""What verifying an access token has shown, and the tokens that were presented for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from sessiond.core.grant import TokenHash
from sessiond.core.lease import Lease
from sessiond.core.principal import Principal
from sessiond.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An accepted access token: who it is, until when, with which roles."""

    principal: Principal
    lease: Lease
    roles: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stated_iat: datetime | None = None  # `iat` where the token states one: what revocations judge
    key_id: str | None = None  # RFC 7638 thumbprint of the key that signed it, where one did
    states_end: bool = True  # False: the lease is as long as configured, counted from the answer
    generation: int = 0  # of the issuer's configuration that it was verified by


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
