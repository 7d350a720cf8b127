"""Whom a fake issuer knows, and which browsers remember that somebody signed in."""

import secrets
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sessiond.testing.answer import Asked
from sessiond.testing.granting import Grant

COOKIE = "fake-issuer"
DENIED = "deny"  # what the button of that name sends as `answer`


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody who sits at a browser."""

    user: str
    since: float  # Unix time at which the password was typed: `auth_time`


@dataclass(slots=True, kw_only=True)
class Consent:
    """What somebody agreed to, until a client comes for it."""

    person: Present
    client: str
    is_openid: bool  # an ID token was asked for
    nonce: str = ""
    resource: str = ""  # what the access token is for (RFC 8707); empty = as always
    challenge: str = ""  # S256 (RFC 7636, 4.2); empty = none was sent
    grant: Grant | None = None  # what came of it, once


class People:
    """One issuer's. Not for many threads at once."""

    def __init__(
        self, passwords: Mapping[str, str], disabled: AbstractSet[str], now: Callable[[], float]
    ) -> None:
        """Begin with nobody at a browser.

        Args:
            passwords: By user.
            disabled: Those who are let in no more; may change.
            now: Tells Unix time.
        """
        self._passwords = passwords
        self._disabled = disabled
        self._now = now
        self._at_browsers: dict[str, Present] = {}  # by cookie

    def knows(self, user: str, password: str | None) -> bool:
        """Say whether this is somebody's password, who may still sign in."""
        return password == self._passwords.get(user, "") != "" and user not in self._disabled

    def at(self, asked: Asked) -> Present | None:
        """Return who sits there: by name and password of a form, else by the browser's cookie."""
        form = asked.form
        if "user" in form:
            user = form["user"].strip()
            return Present(user, self._now()) if self.knows(user, form.get("password")) else None
        person = self._at_browsers.get(_cookie(asked))
        return None if person is None or person.user in self._disabled else person

    def remembering(self, person: Present) -> Mapping[str, str]:
        """Return the header that has a browser remember somebody."""
        cookie = secrets.token_urlsafe(32)
        self._at_browsers[cookie] = person
        return {"Set-Cookie": f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax"}

    def forget(self, asked: Asked) -> None:
        """Let the browser be nobody's again."""
        self._at_browsers.pop(_cookie(asked), None)


def _cookie(asked: Asked) -> str:
    sent = (each.strip().partition("=") for each in asked.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in sent}.get(COOKIE, "")
