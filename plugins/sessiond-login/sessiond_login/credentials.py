"""What a client of q is given."""

from typing import NamedTuple

from sessiond_login.kept import Kept
from sessiond_login.profile import Profile


class Credentials(NamedTuple):
    """A name and a password for q. It unpacks to them, and prints without the password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, password=***)"


def password_of(kept: Kept, profile: Profile) -> str:
    """Return what goes to q in the place of a password.

    An opaque access token alone would look like a password, so it is marked as the daemon wants it.
    """
    access, refresh = kept.access.reveal(), refresh_sent(kept, profile)
    if refresh:
        return f"{access};{refresh}"
    return access if _is_jwt(access) else f"bearer:{access}"


def refresh_sent(kept: Kept, profile: Profile) -> str:
    """Return the refresh token that goes with it, "" for none."""
    if profile.send == "access" or kept.refresh is None:
        return ""
    return kept.refresh.reveal()


def _is_jwt(token: str) -> bool:
    return token.startswith("eyJ") and token.count(".") == 2
