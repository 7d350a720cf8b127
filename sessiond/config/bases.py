"""Origins that q answers at, as browsers write them: scheme, host, and a port that is not usual.

RFC 6454, 6.2: what a browser's `Origin` says, and so what bases are compared with, is in lower case
and leaves the scheme's own port out. An IPv6 address is in its shortest form (RFC 5952).
"""

import ipaddress
import re
from collections.abc import Set

from sessiond.core.endpoint import MAX_PORT, is_loopback

_ORIGIN = re.compile(
    r"(https?)://([a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?"
)
_PORTS = {"https": 443, "http": 80}


def as_browsers_write(base: str) -> str:
    """Return the origin in that form; what is none comes back as it is."""
    parts = _ORIGIN.fullmatch(base.lower())
    if parts is None:
        return base
    scheme, host, port = parts[1], _host(parts[2]), int(parts[4] or _PORTS[parts[1]])
    return f"{scheme}://{host}" if port == _PORTS[scheme] else f"{scheme}://{host}:{port}"


def fault_of(base: str) -> str:
    """Return why this is no base, in words that follow its name; empty where it is one."""
    parts = _ORIGIN.fullmatch(base)
    if parts is None:
        return _fault_of_form(base)
    scheme, host, port = parts[1], parts[2].strip("[]"), int(parts[4] or _PORTS[parts[1]])
    if parts[2].startswith("[") and not _is_address(host):
        return "has no such host"
    if not 0 < port <= MAX_PORT:
        return "has no such port"
    if scheme == "http" and not is_loopback(host):
        return "is http://, which is for a loopback host alone"
    return ""


def authorities(base: str) -> Set[str]:
    """Return how a request's `Host` may name a base: with its port, and without the usual one."""
    scheme, authority = base.split("://")
    bare = authority.rpartition("]")[2]  # an IPv6 address has colons of its own
    return {authority} if ":" in bare else {authority, f"{authority}:{_PORTS[scheme]}"}


def port_of(base: str) -> int:
    """Return its port, or that of its scheme."""
    scheme, authority = base.split("://")
    _, colon, port = authority.rpartition("]")[2].rpartition(":")
    return int(port) if colon else _PORTS[scheme]


def _fault_of_form(base: str) -> str:
    if not re.match(r"https?://", base, re.IGNORECASE):
        return "is no https:// URL"
    authority = base.split("://", 1)[1]
    if "@" in re.split(r"[/?#]", authority)[0]:
        return "carries a user or password"
    if re.fullmatch(r"[^/?#]*/", authority):
        return "ends with a slash"
    if re.search(r"[/?#]", authority):
        return "has more than an origin: a path, query or fragment"
    return "has no such host or port"


def _host(host: str) -> str:
    if not host.startswith("[") or not _is_address(host.strip("[]")):
        return host
    return f"[{ipaddress.IPv6Address(host.strip('[]')).compressed}]"


def _is_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
