"""Which issuer a token is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import Presented
from sessiond.core.principal import folded


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRoute:
    """What one issuer answers for."""

    name: str
    stated: frozenset[str]  # the `iss` values of its tokens
    users: tuple[str, ...]  # shell patterns on the name; empty = any

    def admits(self, user: str) -> bool:
        """Say whether a user of this name may come from here."""
        name = folded(user)
        return not self.users or any(fnmatchcase(name, folded(each)) for each in self.users)


def find_issuer(routes: Sequence[IssuerRoute], presented: Presented, *, user: str) -> str:
    """Return the name of the one issuer to be asked.

    A JWT's unverified `iss` is used for this look-up in a fixed list and nothing else; an opaque
    token goes where the typed name belongs.

    Raises:
        TokenRejected: No issuer, as `wrongissuer`.
    """
    if presented.is_jwt:
        found = [route for route in routes if presented.stated_issuer in route.stated]
    else:
        found = [route for route in routes if route.admits(user)]
    if len(found) != 1:
        raise TokenRejected(Refusal.WRONGISSUER, "no configured issuer answers for this token")
    return found[0].name
