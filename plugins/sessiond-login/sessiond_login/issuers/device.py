"""Signing in with a code that is entered elsewhere (RFC 8628)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sessiond_login.clock import Clock
from sessiond_login.errors import IssuerUnavailable, NotSignedIn
from sessiond_login.issuer import Person
from sessiond_login.issuers.answers import Answer, Refused
from sessiond_login.issuers.http import url_fault
from sessiond_login.issuers.words import printable
from sessiond_login.secret import Secret

MAX_EXPIRES_IN = 900.0  # seconds; nobody is waited for longer
USUAL_INTERVAL, MAX_INTERVAL = 5.0, 60.0  # seconds between two questions (3.2, 3.5)
MAX_CODE_SIZE = 64  # characters that somebody types


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What is polled with, and what the person is told."""

    code: Secret
    user_code: str
    uri: str
    uri_with_code: str  # empty where there is none
    expires_in: float  # seconds
    interval: float  # seconds
    verifier: Secret | None = None  # PKCE's (RFC 7636), which Keycloak wants here too


def device_code_of(members: Mapping[str, object] | None, *, insecure_http: bool) -> DeviceCode:
    """Return the code in a device authorization response (3.2), made harmless.

    Raises:
        IssuerUnavailable: There is none in it that a person could use.
    """
    found = members or {}
    code, user_code = found.get("device_code"), found.get("user_code")
    uri = found.get("verification_uri", found.get("verification_url"))  # Google's spelling
    whole = found.get("verification_uri_complete")
    if (
        not isinstance(code, str)
        or not code
        or not isinstance(user_code, str)
        or not 0 < len(user_code) <= MAX_CODE_SIZE
        or not user_code.isprintable()
        or not _is_page(uri, insecure_http)
    ):
        raise IssuerUnavailable(
            "the issuer gave no code and https:// page to enter it at (RFC 8628, 3.2), wanted "
            "both: ask who runs the issuer"
        )
    return DeviceCode(
        code=Secret(code),
        user_code=user_code,
        uri=str(uri),
        uri_with_code=str(whole) if _is_page(whole, insecure_http) else "",
        expires_in=_seconds(found.get("expires_in"), MAX_EXPIRES_IN, at_most=MAX_EXPIRES_IN),
        interval=_seconds(found.get("interval"), USUAL_INTERVAL, at_most=MAX_INTERVAL),
    )


def wait_for(
    code: DeviceCode, poll: Callable[[DeviceCode], Answer], *, person: Person, clock: Clock
) -> Answer:
    """Tell the person, and ask the issuer until the code was entered.

    Raises:
        NotSignedIn: It was not, in time.
        Refused: The issuer, or the person, said no.
    """
    person.tell(f"Visit {code.uri} and enter the code: {code.user_code}")
    if code.uri_with_code:
        person.tell(f"(or visit {code.uri_with_code} and compare the code)")
    until = clock.monotonic() + code.expires_in
    interval = code.interval
    while clock.monotonic() + interval < until:
        clock.sleep(interval)
        try:
            return poll(code)
        except Refused as refused:
            if refused.error == "slow_down":
                interval = min(interval + USUAL_INTERVAL, MAX_INTERVAL)
            elif refused.error != "authorization_pending":
                raise
        except IssuerUnavailable:  # 3.5: ask less often
            interval = min(interval * 2, MAX_INTERVAL)
    raise NotSignedIn("the code was not entered in time: sign in again")


def _is_page(url: object, insecure_http: bool) -> bool:
    return (
        isinstance(url, str)
        and len(url) <= 300
        and printable(url) == url
        and url_fault(url, insecure_http=insecure_http) is None
    )


def _seconds(value: object, otherwise: float, *, at_most: float) -> float:
    """Return seconds that an issuer wants, at least one; some write them as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = float(value[:9])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return float(min(max(value, 1.0), at_most))  # JSON has no NaN, and any integer
