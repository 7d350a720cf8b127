"""What tickets are made and judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from urllib.parse import quote

from sessiond.core.patterns import Patterns


@dataclass(frozen=True, kw_only=True)
class TicketSettings:
    """The `[tickets]` table, and what it needs of others."""

    issuer: str  # `iss`
    host: str  # the machine's name
    lifetime: timedelta = timedelta(seconds=30)
    depth: int = 1  # tickets that may lie between a session and its user's sign-in
    audiences: tuple[str, ...] = ("*",)  # patterns on processes' names
    leeway: timedelta = timedelta(seconds=30)  # that a clock may be ahead
    deadline: float = 2.0  # seconds for the verdict about a token that is exchanged
    proved: frozenset[str] = frozenset()  # issuers whose tokens a refresh must have proved
    generations: Mapping[str, int] = field(default_factory=dict)  # of the issuers, as configured
    issuers: Mapping[str, str] = field(default_factory=dict)  # the digest of each one's table

    def may_be_for(self, name: str) -> bool:
        """Say whether tickets are made for a process of this name."""
        return self._audiences.match(name)

    @cached_property
    def _audiences(self) -> Patterns:
        return Patterns(self.audiences)


def urn_of(host: str) -> str:
    """Return what this daemon is called as an issuer where nobody has said: a URN (RFC 8141).

    The machine's name in lower case, with whatever may not stand in a URN escaped.
    """
    return f"urn:sessiond:{quote(host.lower(), safe='')}"
