"""Where a token or a secret may be sent, as the configuration writes it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from sessiond.core.endpoint import endpoint_fault

_OF_A_URL = ": https:// with a host, and neither user nor fragment"


def problems_of_url(url: str, where: str, *, insecure: bool) -> Iterator[str]:
    """Find why a call must not go there. A URL may hold a password: it is never shown.

    Args:
        url: As written.
        where: Its key, in full.
        insecure: Excuses http:// to this very machine.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield f"{where} is not a URL, must be one{_OF_A_URL}"
        return
    fault = endpoint_fault(
        scheme=parts.scheme,
        host="" if " " in url else parts.hostname or "",  # no URL has a blank
        port=port,
        has_user=parts.username is not None or parts.password is not None,
        has_fragment="#" in url,
        insecure_http=insecure,
    )
    if fault is not None:
        yield f"{where} {fault}, must be a URL{_OF_A_URL}"
