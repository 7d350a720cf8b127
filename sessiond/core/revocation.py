"""Access taken back before it ran out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sessiond.core.principal import folded


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


def covering(issuer: str, name: str) -> tuple[tuple[Scope, str], ...]:
    """Return what a revocation of a principal may be of: each scope with its value."""
    return (Scope.USER, folded(name)), (Scope.ISSUER, issuer), (Scope.ALL, "")


def superseded(revocations: Iterable[Revocation]) -> Sequence[Revocation]:
    """Return those that a newer one of the same scope and value makes needless.

    There is one for each since revoking again moves its time; older databases may hold several.
    """
    newest: dict[tuple[Scope, str], Revocation] = {}
    needless: list[Revocation] = []
    for each in revocations:
        other = newest.setdefault((each.scope, each.value), each)
        if other is not each:
            older, newer = sorted((other, each), key=lambda which: which.at)
            needless.append(older)
            newest[each.scope, each.value] = newer
    return needless
