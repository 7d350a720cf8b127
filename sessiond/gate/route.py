"""Which issuer a token is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import Presented
from sessiond.core.principal import folded, is_name
from sessiond.core.printable import any_of, seen


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRoute:
    """What one issuer answers for."""

    name: str
    stated: frozenset[str]  # the `iss` values of its tokens
    users: tuple[str, ...]  # shell patterns on the name; empty = any

    def admits(self, user: str) -> bool:
        """Say whether a user of this name may come from here."""
        if not self.users:
            return True
        name = folded(user)
        return any(fnmatchcase(name, folded(each)) for each in self.users)


def check_typed(user: str) -> None:
    """Refuse a typed name that no token can state.

    Raises:
        TokenRejected: USERMISMATCH.
    """
    if not is_name(user):
        raise TokenRejected(
            Refusal.USERMISMATCH,
            "the typed name is empty, too long or not plain ASCII, wanted 1 to 256 printable ASCII "
            "bytes: type the name that the token states",
        )


def find_issuer(routes: Sequence[IssuerRoute], presented: Presented, *, user: str | None) -> str:
    """Return the name of the one issuer to be asked.

    A JWT's unverified `iss` is used for this look-up in a fixed list and nothing else; an opaque
    token goes where the typed name belongs; without one (None) to the only issuer that there is.

    Raises:
        TokenRejected: No issuer, as `wrongissuer`.
    """
    if presented.is_jwt:
        stated = presented.stated_issuer
        found = [route for route in routes if stated in route.stated]
    else:
        found = [route for route in routes if user is None or route.admits(user)]
    if len(found) == 1:
        return found[0].name
    if presented.is_jwt:
        iss = "missing" if presented.stated_issuer is None else seen(presented.stated_issuer)
        known = any_of(each for route in routes for each in route.stated)
        raise TokenRejected(
            Refusal.WRONGISSUER,
            f"iss is {iss}, wanted {known}: mend issuer or also_issued_as, if it is the same",
        )
    if user is None:
        raise TokenRejected(
            Refusal.WRONGISSUER,
            f"there are {len(found)} issuers, wanted one, as nothing says whose an opaque token "
            "without a typed name is: present a JWT, or log in with name and password",
        )
    raise TokenRejected(
        Refusal.WRONGISSUER,
        f"of {len(found)} issuers users matches the typed name, wanted one, as nothing else says "
        "whose an opaque token is: type the name that the issuer knows, or mend users",
    )
