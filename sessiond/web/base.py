"""The origins that q answers at, one of which each request must be for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}

CALLBACK = "/.sessiond/callback"  # the one URI that an issuer has registered, after the base
SIGN_IN = "/.sessiond/signin"
SIGN_OUT = "/.sessiond/signout"

Authority = tuple[str, int]


@dataclass(frozen=True)
class Base:
    """One of `[web] bases`: a scheme and an authority (RFC 6454), as the configuration has it."""

    url: str  # as it is registered at issuers, without a slash at its end
    scheme: str = field(init=False)
    authority: Authority = field(init=False)

    def __post_init__(self) -> None:
        """Take it apart; the configuration was checked."""
        scheme, _, host = self.url.partition("://")
        authority = authority_of(host, scheme.lower())
        if scheme.lower() not in _DEFAULT_PORTS or authority is None:
            raise ValueError("a base is https://HOST:PORT, or http:// on loopback")
        object.__setattr__(self, "scheme", scheme.lower())
        object.__setattr__(self, "authority", authority)

    @property
    def is_plain(self) -> bool:
        """Whether it is without TLS: the configuration allows that on loopback alone."""
        return self.scheme == "http"

    @property
    def cookie(self) -> str:
        """The name of its session's cookie.

        Browsers send the cookies of one port to the others of a host too, so the port is in it.
        The prefix has them take it from this very host alone, and over TLS (RFC 6265bis, 4.1.3.2).
        """
        name = f"sessiond-{self.authority[1]}"
        return name if self.is_plain else f"__Host-{name}"

    @property
    def callback(self) -> str:
        """Where issuers send the browser back to."""
        return self.url + CALLBACK

    def is_origin(self, origin: str) -> bool:
        """Say whether an Origin header names it (RFC 6454, 7)."""
        scheme, mark, host = origin.strip().lower().partition("://")
        return bool(mark) and scheme == self.scheme and authority_of(host, scheme) == self.authority


def base_of(bases: Iterable[Base], host: str) -> Base | None:
    """Return the base that a Host header names (RFC 9110, 7.2); None: it is for none of them."""
    named = {scheme: authority_of(host, scheme) for scheme in _DEFAULT_PORTS}
    return next((each for each in bases if each.authority == named[each.scheme]), None)


def authority_of(host: str, scheme: str) -> Authority | None:
    """Return host and port, that of the scheme where none is stated; None: it is no authority."""
    found = _HOST.fullmatch(host.strip(" \t").lower())
    if found is None:
        return None
    return found[1], int(found[2]) if found[2] else _DEFAULT_PORTS.get(scheme, 0)
