"""Where a token or a secret may be sent: by https, or to this very machine."""

import ipaddress
from functools import lru_cache

MAX_PORT = 65535


def endpoint_fault(
    *,
    scheme: str,
    host: str,
    port: int | None,
    has_user: bool,
    has_fragment: bool,
    insecure_http: bool,
) -> str | None:
    """Return why nothing must be sent to a URL, in words that follow its name; None: it may be.

    Asked of the parts, as whoever asks reads them: what connects is judged by how it connects.

    Args:
        scheme: In lower case.
        host: In lower case, an IPv6 address without brackets; empty where there is none.
        port: None where none is stated.
        has_user: Whether there is a user or password.
        has_fragment: Whether something follows a `#`.
        insecure_http: Excuses http://, and only where the host is this machine.
    """
    if not host or scheme not in ("https", "http"):
        return "is no https:// URL"
    if has_user:
        return "carries a user or password"
    if has_fragment:
        return "carries a fragment"
    if port is not None and not 0 < port <= MAX_PORT:
        return "has no such port"
    if scheme == "http" and not (insecure_http and is_loopback(host)):
        return "is http://, which needs insecure_http and a loopback host"
    return None


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its name alone: nobody is asked."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
