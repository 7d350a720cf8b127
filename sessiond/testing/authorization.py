"""Signing in with a browser: authorization codes with PKCE (RFC 6749, 4.1; RFC 7636)."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from sessiond.testing.answer import Answer, Asked
from sessiond.testing.granting import Grants
from sessiond.testing.pages import WHO, alert, form, page, words
from sessiond.testing.people import DENIED, Consent, People, Present

CODE_LASTS = 60.0  # seconds
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
ASKS_ANEW = frozenset({"login", "select_account"})  # of `prompt`


class Authorization:
    """The authorization endpoint and its codes. Not for many threads at once."""

    def __init__(self, grants: Grants, people: People, *, client: str) -> None:
        """Begin without any code.

        Args:
            grants: The issuer's.
            people: Who may sign in.
            client: Only this one may ask; empty = whoever does.
        """
        self._grants = grants
        self._people = people
        self._client = client
        self._codes: dict[str, tuple[Consent, str, float]] = {}  # with redirect URI and end

    def answer(self, asked: Asked) -> Answer:
        """Show the page, or send the browser back to the client with a code or an error."""
        wanted = asked.query
        if said := self._cannot_go_back(wanted):
            return page("This cannot go on", alert(said), status=400)
        if error := _error_in(wanted):
            return self._back(wanted, error=error)
        if asked.form.get("answer") == DENIED:
            return self._back(wanted, error="access_denied")
        person = self._people.at(asked)
        is_typed = asked.method == "POST"
        if person is None or not (is_typed or self._suffices(person, wanted)):
            if wanted.get("prompt") == "none":
                return self._back(wanted, error="login_required")
            return _login_page(wanted, alert("Wrong name or password." * is_typed))
        headers = self._people.remembering(person) if is_typed else {}
        return self._back(wanted, headers, code=self._code(person, wanted))

    def redeem(self, form: Mapping[str, str], client: str) -> Consent | None:
        """Return what a code stands for to this client, once; None: it is not good.

        A code that comes twice ends what came of it (RFC 6749, 4.1.2).
        """
        known = self._codes.get(form.get("code", ""))
        if known is None:
            return None
        consent, redirect_uri, ends = known
        if consent.grant is not None:
            consent.grant.is_over = True
            return None
        is_its = (client, form.get("redirect_uri")) == (
            consent.client,
            redirect_uri,
        )
        return consent if is_its and self._grants.now() < ends and verifies(form, consent) else None

    def _cannot_go_back(self, wanted: Mapping[str, str]) -> str:
        """Return why a browser must not be sent where the client says (RFC 6749, 4.1.2.1)."""
        if self._client and wanted.get("client_id") != self._client:
            return f"No client is called {wanted.get('client_id', '')!r} here."
        if not is_loopback(wanted.get("redirect_uri", "")):
            return "The redirect URI is not on loopback (RFC 8252, 7.3)."
        return ""

    def _suffices(self, person: Present, wanted: Mapping[str, str]) -> bool:
        """Say whether a browser that remembers somebody is enough."""
        is_recent = self._grants.now() - person.since <= float(wanted.get("max_age", "inf"))
        return is_recent and wanted.get("prompt") not in ASKS_ANEW

    def _code(self, person: Present, wanted: Mapping[str, str]) -> str:
        code = secrets.token_urlsafe(32)
        consent = Consent(
            person=person,
            client=wanted.get("client_id", ""),
            is_openid="openid" in wanted.get("scope", "").split(),
            nonce=wanted.get("nonce", ""),
            resource=wanted.get("resource", ""),
            challenge=wanted["code_challenge"],
        )
        self._codes[code] = (consent, wanted["redirect_uri"], self._grants.now() + CODE_LASTS)
        return code

    def _back(
        self, wanted: Mapping[str, str], headers: Mapping[str, str] | None = None, **said: str
    ) -> Answer:
        """Send the browser back; the answer says whose it is (RFC 9207)."""
        state = {"state": wanted["state"]} if "state" in wanted else {}
        uri = wanted["redirect_uri"]
        joint = "&" if urlsplit(uri).query else "?"
        there = f"{uri}{joint}{urlencode({**said, **state, 'iss': self._grants.url})}"
        return Answer(303, {}, {"Location": there, "Cache-Control": "no-store", **(headers or {})})


def verifies(form: Mapping[str, str], consent: Consent) -> bool:
    """Say whether the verifier is that of the challenge (RFC 7636, 4.6)."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return not consent.challenge or challenge == consent.challenge


def _error_in(wanted: Mapping[str, str]) -> str:
    """Return the error of a request that no page is shown for (RFC 6749, 4.1.2.1)."""
    if wanted.get("response_type") != "code":
        return "unsupported_response_type"
    has_challenge = "code_challenge" in wanted and wanted.get("code_challenge_method") == "S256"
    return "" if has_challenge and wanted.get("max_age", "0").isdecimal() else "invalid_request"


def is_loopback(uri: str) -> bool:
    """Say whether this is on loopback; any port will do (RFC 8252, 7.3)."""
    if not (uri.isascii() and uri.isprintable()):  # it becomes a header (RFC 9110, 5.5)
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in LOOPBACK and not parts.fragment


def _login_page(wanted: Mapping[str, str], wrong: str) -> Answer:
    return page(
        "Sign in",
        words(f"{wanted.get('client_id') or 'A program'} on this machine asks for you."),
        wrong,
        form(f"?{urlencode(wanted)}", [WHO], button="Sign in"),
    )
