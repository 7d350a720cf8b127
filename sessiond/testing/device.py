"""Signing in elsewhere: device codes (RFC 8628)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from sessiond.testing.answer import Answer, Asked
from sessiond.testing.authorization import verifies
from sessiond.testing.granting import Grants
from sessiond.testing.pages import WHO, alert, code_field, form, page, words
from sessiond.testing.people import DENIED, Consent, People, Present

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LASTS = 600.0  # seconds
INTERVAL = 1  # seconds between two questions for the same code
HASTE = 0.5  # part of the interval after which a question is still not too early: clocks differ
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no words come of them (RFC 8628, 6.1)


@dataclass(slots=True, kw_only=True)
class Pending:
    """A device that waits for its person."""

    form: Mapping[str, str]  # what it asked with
    ends: float  # Unix time
    asked_at: float = 0.0  # Unix time of its last question
    consent: Consent | None = None
    is_denied: bool = False


class Devices:
    """Device codes and the page where people enter them. Not for many threads at once."""

    def __init__(self, grants: Grants, people: People) -> None:
        self._grants = grants
        self._people = people
        self._by_device_code: dict[str, Pending] = {}
        self._by_user_code: dict[str, Pending] = {}

    def begin(self, asked: Mapping[str, str]) -> Answer:
        """Return a device's code and its person's (RFC 8628, 3.2)."""
        device_code = secrets.token_urlsafe(32)
        letters = "".join(secrets.choice(LETTERS) for _ in range(8))
        pending = Pending(form=asked, ends=self._grants.now() + LASTS)
        self._by_device_code[device_code] = self._by_user_code[letters] = pending
        user_code = f"{letters[:4]}-{letters[4:]}"
        where = f"{self._grants.url}/device"
        told = {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": where,
            "verification_uri_complete": f"{where}?{urlencode({'user_code': user_code})}",
            "expires_in": int(LASTS),
            "interval": INTERVAL,
        }
        return Answer(200, told, {"Cache-Control": "no-store"})

    def page(self, asked: Asked) -> Answer:
        """Show the page, or do what the person says there."""
        person, code = self._people.at(asked), asked.query.get("user_code", "")
        if asked.method == "GET":
            return _page(person, code)
        code = asked.form.get("code", "")
        pending = self._by_user_code.get("".join(filter(str.isalpha, code.upper())))
        if pending is None or self._is_over(pending):
            return _page(person, code, "No device waits with this code.")
        if asked.form.get("answer") == DENIED:
            pending.is_denied = True
            return page("Denied", words("The device is told so."))
        if person is None:
            return _page(person, code, "Wrong name or password.")
        pending.consent = Consent(
            person=person,
            client=pending.form.get("client_id", ""),
            is_openid="openid" in pending.form.get("scope", "").split(),
            resource=pending.form.get("resource", ""),
            challenge=pending.form.get("code_challenge", ""),
        )
        headers = self._people.remembering(person)
        return page("Done", words("You can close this page: the device goes on."), headers=headers)

    def redeem(self, asked: Mapping[str, str]) -> Consent | str:
        """Return what the person agreed to, or the error (RFC 8628, 3.5)."""
        pending = self._by_device_code.get(asked.get("device_code", ""))
        if pending is None or asked.get("client_id") != pending.form.get("client_id"):
            return "invalid_grant"
        if pending.is_denied:
            return "access_denied"
        consent = pending.consent
        if consent is not None and consent.grant is not None:
            return "invalid_grant"  # it is good once
        if self._grants.now() >= pending.ends:
            return "expired_token"
        if consent is None:
            now, before = self._grants.now(), pending.asked_at
            pending.asked_at = now
            return "slow_down" if now - before < INTERVAL * HASTE else "authorization_pending"
        return consent if verifies(asked, consent) else "invalid_grant"

    def _is_over(self, pending: Pending) -> bool:
        is_settled = pending.consent is not None or pending.is_denied
        return is_settled or self._grants.now() >= pending.ends


def _page(person: Present | None, code: str, wrong: str = "") -> Answer:
    who = [WHO] if person is None else [words(f"You are {person.user}.")]
    return page(
        "Let a device in",
        words("Only if you started it yourself, and it shows this code."),
        alert(wrong),
        form("?", [code_field(code), *who], button="Let it in"),
    )
