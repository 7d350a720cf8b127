"""Signing out at a fake issuer (OpenID Connect RP-Initiated Logout 1.0)."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from sessiond.testing.answer import Answer, Asked
from sessiond.testing.authorization import is_loopback
from sessiond.testing.pages import alert, form, page, words
from sessiond.testing.people import DENIED, People

TITLE = "Sign out"


class Leaving:
    """The end session endpoint. Not for many threads at once."""

    def __init__(self, people: People, *, client: str) -> None:
        """Begin.

        Args:
            people: Who may be at a browser.
            client: Only this one may send it here; empty = whoever does.
        """
        self._people = people
        self._client = client

    def answer(self, asked: Asked) -> Answer:
        """Ask whoever sits there (2: no id_token_hint proves who sent the browser), then do it."""
        wanted = asked.query
        there = wanted.get("post_logout_redirect_uri", "")
        if said := self._cannot_go_back(wanted, there):
            return page("This cannot go on", alert(said), status=400)
        if asked.method == "GET":
            question = words("Sign out of this issuer in this browser?")
            return page(TITLE, question, form(f"?{urlencode(wanted)}", [], button=TITLE))
        if asked.form.get("answer") == DENIED:
            return page(TITLE, words("You are still signed in."))
        self._people.forget(asked)
        if not there:
            return page(TITLE, words("You are signed out."))
        state = {"state": wanted["state"]} if "state" in wanted else {}
        joint = "&" if urlsplit(there).query else "?"
        location = f"{there}{joint}{urlencode(state)}" if state else there
        return Answer(303, {}, {"Location": location, "Cache-Control": "no-store"})

    def _cannot_go_back(self, wanted: Mapping[str, str], there: str) -> str:
        """Return why a browser must not be sent where the client says (3)."""
        if self._client and wanted.get("client_id", self._client) != self._client:
            return f"No client is called {wanted['client_id']!r} here."
        if there and not is_loopback(there):
            return "The post-logout redirect URI is not on loopback."
        return ""
