"""The origins that q answers at, one of which each request must be for."""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from sessiond.config.bases import authorities, port_of

CALLBACK = "/.sessiond/callback"  # the one URI that an issuer has registered, after the base
SIGN_IN = "/.sessiond/signin"
SIGN_OUT = "/.sessiond/signout"

_BLANKS = " \t"


@dataclass(frozen=True)
class Base:
    """One of `[web] bases`: an origin, brought by the configuration to how browsers write it."""

    url: str  # as it is registered at issuers, without a slash at its end
    port: int = field(init=False)
    hosts: Set[str] = field(init=False)  # how a Host header may name it

    def __post_init__(self) -> None:
        object.__setattr__(self, "port", port_of(self.url))
        object.__setattr__(self, "hosts", frozenset(authorities(self.url)))

    @property
    def is_plain(self) -> bool:
        """Whether it is without TLS: the configuration allows that on loopback alone."""
        return self.url.startswith("http://")

    @property
    def cookie(self) -> str:
        """The name of its session's cookie.

        Browsers send the cookies of one port to the others of a host too, so the port is in it.
        The prefix has them take it from this very host alone, and over TLS (RFC 6265bis, 4.1.3.2).
        """
        name = f"sessiond-{self.port}"
        return name if self.is_plain else f"__Host-{name}"

    @property
    def callback(self) -> str:
        """Where issuers send the browser back to."""
        return self.url + CALLBACK

    def is_origin(self, origin: str) -> bool:
        """Say whether an Origin header names it (RFC 6454, 7)."""
        return origin.strip(_BLANKS).lower() == self.url


def base_of(bases: Iterable[Base], host: str) -> Base | None:
    """Return the base that a Host header names (RFC 9110, 7.2); None: it is for none of them."""
    named = host.strip(_BLANKS).lower()
    return next((each for each in bases if named in each.hosts), None)
