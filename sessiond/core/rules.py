"""What the configuration says of deciding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sessiond.core.access import AccessRules
from sessiond.core.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRules:
    """How long a session over HTTP may last: unused, and at most."""

    idle: timedelta = timedelta(hours=1)
    session: timedelta = timedelta(hours=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The lengths that deciding needs, from the configuration."""

    unbound: timedelta
    grace: timedelta
    share: float  # of the lease, after which to refresh
    jitter: float
    proved: frozenset[str] = frozenset()  # issuers whose tokens count once a refresh proved them
    generations: Mapping[str, int] = field(default_factory=dict)  # of the issuers, as configured
    iss: Mapping[str, str] = field(default_factory=dict)  # what each issuer calls itself
    max_sessions: int = 10_000  # of one process
    access: AccessRules = field(default_factory=AccessRules)
    web: WebRules = field(default_factory=WebRules)

    def are_newer_than(self, verdict: Verdict) -> bool:
        """Say whether the issuer was changed, or is gone, since the verdict was made."""
        return verdict.generation != self.generations.get(verdict.principal.issuer, 0)
