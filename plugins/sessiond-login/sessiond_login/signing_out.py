"""The end of a sign-in: taken back at the issuer, and forgotten here."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from sessiond_login.errors import LoginError
from sessiond_login.issuer import Issuer
from sessiond_login.kept import Keep, Kept

_OUTLIVES = (
    "whoever holds them, the daemon among them, can use them until they expire, or until an "
    "administrator ends the grant"
)


class AtIssuer(Enum):
    """What the issuer made of it."""

    REVOKED = auto()
    NOT_OFFERED = auto()  # it has no way to
    NOTHING_TO_REVOKE = auto()  # no refresh token is kept
    ANOTHER = auto()  # what is kept is another issuer's or client's: it is not shown to this one
    NOT_TOLD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """Who was signed in, and what became of it."""

    kept: Kept
    at_issuer: AtIssuer
    trouble: LoginError | None = None  # why the issuer could not be told


def sign_out(
    name: str, made_for: str, *, keep: Keep, issuer: Callable[[], Issuer]
) -> SignedOut | None:
    """Forget what is kept, whatever the issuer says; None where nobody was signed in.

    Raises:
        CannotKeep: It is kept still, and could not be taken away.
        NotSignedIn: Another call is under way and does not end.
    """
    with keep.alone(name):
        kept = keep.load(name)
        if kept is None:
            keep.forget(name)  # what cannot be read goes too
            return None
        trouble = None
        try:
            at_issuer = _revoke(kept, made_for, issuer)
        except LoginError as error:
            at_issuer, trouble = AtIssuer.NOT_TOLD, error
        keep.forget(name)
        return SignedOut(kept=kept, at_issuer=at_issuer, trouble=trouble)


def _revoke(kept: Kept, made_for: str, issuer: Callable[[], Issuer]) -> AtIssuer:
    if kept.refresh is None:
        return AtIssuer.NOTHING_TO_REVOKE
    if kept.made_for != made_for:
        return AtIssuer.ANOTHER
    return AtIssuer.REVOKED if issuer().revoke(kept.refresh) else AtIssuer.NOT_OFFERED


def told(ended: SignedOut | None) -> str:
    """Return what the person is to know."""
    if ended is None:
        return "nobody was signed in; what there was is forgotten"
    words = f"signed out {ended.kept.user}: the tokens are forgotten here"
    match ended.at_issuer:
        case AtIssuer.REVOKED if ended.kept.handed_over:
            return (
                f"{words} and taken back at the issuer. Sessions that were opened with them end "
                "when the daemon next asks the issuer"
            )
        case AtIssuer.REVOKED:
            return f"{words} and taken back at the issuer"
        case AtIssuer.NOT_OFFERED:
            return f"{words}. The issuer offers no revocation: {_OUTLIVES}"
        case AtIssuer.NOTHING_TO_REVOKE:
            return f"{words}. There was no refresh token; the access token runs out by itself"
        case AtIssuer.ANOTHER:
            return (
                f"{words}. They were another issuer's or client's than this profile's now, which "
                f"was not told: {_OUTLIVES}"
            )
        case AtIssuer.NOT_TOLD:
            return f"{words}, but not taken back at the issuer: {_OUTLIVES}"
