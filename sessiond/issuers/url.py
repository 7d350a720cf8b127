"""Where a request goes: an endpoint's URL, read strictly (RFC 3986)."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlsplit

from sessiond.core.endpoint import endpoint_fault

_PORTS = {"https": 443, "http": 80}
_TEXT = re.compile(r"[^\x00-\x20\x7f][^\x00-\x1f\x7f]*")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_.])?")  # of DNS; a name beyond ASCII as xn--
_AS_IT_IS = "/?%:@!$&'()*+,;=~"  # in a path and its query; what else is not a letter is encoded


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom to connect to: requests to one origin share connections (RFC 9110, 4.3.1)."""

    scheme: str
    host: str  # lower case, an IPv6 address without brackets
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask for there."""

    origin: Origin
    authority: str  # for the header Host
    path: str  # with the query


def url_fault(url: str, *, insecure_http: bool = False) -> str | None:
    """Return why a token must not be sent to this URL, in words that follow its name, or None.

    Args:
        url: An endpoint, from the configuration or from the issuer's own metadata.
        insecure_http: Excuses http://, and only where the host is this machine.
    """
    found = target_of(url, insecure_http=insecure_http)
    return found if isinstance(found, str) else None


@lru_cache(maxsize=256)
def target_of(url: str, *, insecure_http: bool) -> Target | str:
    """Return where a URL leads, or what `url_fault` says: of the same few, for every request."""
    try:
        parts = urlsplit(url)
        host, port = _host(url, parts), parts.port
        path = quote(f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}", safe=_AS_IT_IS)
    except ValueError:
        return "is not a URL"
    fault = endpoint_fault(
        scheme=parts.scheme,
        host=host,
        port=port,
        has_user="@" in parts.netloc,
        has_fragment=bool(parts.fragment),
        insecure_http=insecure_http,
    )
    if fault is not None:
        return fault
    usual = _PORTS[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    authority = name if port in (None, usual) else f"{name}:{port}"
    return Target(Origin(parts.scheme, host, port or usual), authority, path)


def _host(url: str, parts: SplitResult) -> str:
    """Return the host, or nothing where there is none.

    Raises:
        ValueError: It is no host, or the text no URL.
    """
    host = parts.hostname or ""
    if not _TEXT.fullmatch(url):
        raise ValueError("a URL has no such characters")
    if ":" in host:
        if "%" in host:
            raise ValueError("a zone is of this machine alone (RFC 6874)")
        return str(ipaddress.IPv6Address(host))
    if host and not _NAME.fullmatch(host):
        raise ValueError("DNS has no such name")
    return host
