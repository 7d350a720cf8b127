"""What the program needs of an issuer, and of the person before the screen."""

from dataclasses import dataclass
from typing import Protocol

from sessiond_login.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What an issuer gave for a sign-in or a refresh."""

    user: str  # the name to type at q, from what was checked; empty: a refresh did not tell
    access: Secret
    refresh: Secret | None
    lasts: float | None  # seconds from now that the access token is good; None: it was not told


class Person(Protocol):
    """How the person is reached. Nothing secret is ever told."""

    def open(self, url: str) -> bool:
        """Show a page in the person's browser; False: there is none."""
        ...

    def tell(self, words: str) -> None:
        """Say something on standard error."""
        ...

    def ask_password(self, user: str) -> tuple[str, Secret]:
        """Ask for the name, where it is empty, and the password, on the terminal itself.

        Raises:
            NotSignedIn: There is no terminal, or it was left.
        """
        ...


class Issuer(Protocol):
    """One issuer, as one public client sees it. Blocking; each call has a deadline of its own."""

    def by_browser(self, person: Person, *, silently_first: bool) -> Granted:
        """Sign in with an authorization code in the person's browser (RFC 8252, RFC 7636).

        Args:
            person: Who is to sign in.
            silently_first: Ask with `prompt=none` first; only where the issuer wants to see the
                person, the same tab shows its page.

        Raises:
            NotSignedIn: Denied, closed, or too late.
            IssuerUnavailable: It does not answer.
            ProfileRefused: It does not know the client, a scope or the redirect URI.
        """
        ...

    def by_device_code(self, person: Person) -> Granted:
        """Sign in with a code entered elsewhere (RFC 8628). Raises as `by_browser` does."""
        ...

    def by_password(self, person: Person) -> Granted:
        """Sign in with name and password (RFC 6749, 4.3). Raises as `by_browser` does."""
        ...

    def refresh(self, refresh: Secret) -> Granted:
        """Spend a refresh token.

        Raises:
            RefreshRefused: The grant has ended.
            IssuerUnavailable: It does not answer; nobody knows whether the token was spent.
        """
        ...

    def revoke(self, refresh: Secret) -> bool:
        """Take a grant back (RFC 7009); False: this issuer offers no way to.

        Raises:
            IssuerUnavailable: It does not answer, so nothing is known to be taken back.
        """
        ...
