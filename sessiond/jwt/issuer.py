"""What every verifier of one issuer goes by, whatever its tokens look like."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sessiond.core.claim_values import Claims
from sessiond.core.claims import ClaimRules, check_times, times_of, verdict_of
from sessiond.core.verdict import Verdict
from sessiond.jwt.access import check_audience, check_issuer, check_scope
from sessiond.jwt.kind import NO_EXCEPTIONS, KindRules, check_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerFacts:
    """An IssuerAbout (sessiond.api), made from the `[[issuer]]` table."""

    name: str  # what logs and sessions call the issuer
    issuers: frozenset[str]  # the `iss` values of its tokens
    audience: frozenset[str]  # one of these must be in `aud`; empty: it is not looked at
    audience_claim: str = "aud"  # what stands for it
    required_scope: str  # each of its words must be in `scope` or `scp`
    kind: KindRules = NO_EXCEPTIONS
    timeout: float  # seconds that one call may take
    leeway: timedelta  # excused for `nbf` and `iat`, never for `exp`
    rules: ClaimRules  # how claims become a name, a subject, roles and attributes

    def verdict(
        self,
        claims: Claims,
        *,
        now: datetime,
        expires_in: float | None = None,
        key_id: str | None = None,
    ) -> Verdict:
        """Return what true claims amount to; see `sessiond.api.IssuerAbout`."""
        check_kind(claims, self.kind)
        check_issuer(claims, self.issuers)
        if self.audience:
            check_audience(claims, self.audience, claim=self.audience_claim)
        check_scope(claims, self.required_scope)
        times = times_of(claims)
        check_times(times, now=now, leeway=self.leeway)
        return verdict_of(
            claims, self.rules, times=times, now=now, expires_in=expires_in, key_id=key_id
        )
