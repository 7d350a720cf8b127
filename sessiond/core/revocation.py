"""Access taken back before it ran out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sessiond.core.principal import Principal, folded


class Scope(StrEnum):
    """What a lasting revocation covers."""

    USER = "user"
    ISSUER = "issuer"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Tokens issued at or before its time are refused until it is forgiven."""

    id: UUID
    scope: Scope
    value: str  # the user's folded name, or the issuer's configured name; empty for all
    at: datetime
    reason: str  # the operator's words

    def covers(self, principal: Principal) -> bool:
        """Say whether the principal is among those it was made for."""
        match self.scope:
            case Scope.USER:
                return folded(principal.name) == self.value
            case Scope.ISSUER:
                return principal.issuer == self.value
            case Scope.ALL:
                return True
