"""Signs a person in for kdb+, and gives clients what goes to q in the place of a password.

from sessiond_login import credentials
user, password = credentials()
"""

from sessiond_login.credentials import Credentials
from sessiond_login.errors import LoginError

__version__ = "0.1.0"
__all__ = ["Credentials", "LoginError", "credentials", "password"]


def password(profile: str | None = None) -> str:
    """Return what goes to q in the place of a password, signing the person in where that is needed.

    Blocks while the person signs in, 180 s at most. A refresh token in it is the client's from then
    on, as with `sessiond-login token`.

    Args:
        profile: Its name in login.toml; None: the default.

    Raises:
        LoginError: Nobody was signed in; the message says what to do.
    """
    return credentials(profile).password


def credentials(profile: str | None = None) -> Credentials:
    """Return the user name to send with it, too. Otherwise as `password`."""
    from sessiond_login.composition import tokens_of  # here: who imports this may never sign in
    from sessiond_login.credentials import password_of

    chosen = tokens_of(profile)
    kept = chosen.give()
    return Credentials(kept.user, password_of(kept, chosen.profile))
