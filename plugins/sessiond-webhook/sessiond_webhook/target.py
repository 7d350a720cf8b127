"""Where an event may be sent."""

import ipaddress

import httpx


def url_fault(url: str, *, insecure_http: bool) -> str | None:
    """Return why events must not be sent to this URL, which is not shown, or None.

    Args:
        url: As configured.
        insecure_http: Excuses http://, and only where the host is this machine.
    """
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return "is not a URL"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "is not a URL: it has characters that must be encoded"
    if parts.userinfo or parts.fragment:
        return "has a user or a fragment"
    if parts.scheme not in ("http", "https") or not parts.host:
        return "must begin with https:// and a host"
    if parts.scheme == "http" and not (insecure_http and _is_loopback(parts.host)):
        return "must be https://; insecure_http lets http:// be for this machine alone"
    return None


def place(url: str) -> str:
    """Return host and port, as errors name them: path and query may be secret."""
    parts = httpx.URL(url)
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    return host if parts.port is None else f"{host}:{parts.port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
