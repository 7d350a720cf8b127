"""An address of this computer for the browser to come back to, and of nobody else's."""

import errno
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

from sessiond_login.errors import NotSignedIn, ProfileRefused
from sessiond_login.issuers.http import LOOPBACK
from sessiond_login.issuers.words import printable

BACKLOG = 64  # connections that wait to be accepted
PORTS_TRIED = 20  # of those that the system picks, where one of the two families has it taken
_TAKEN = (errno.EADDRINUSE, errno.EACCES)  # the second on Windows


def first_free(redirect_uris: tuple[str, ...]) -> tuple[str, list[socket.socket]]:
    """Return the first redirect URI whose port is free, with that port, and who listens there.

    Args:
        redirect_uris: http, of this computer; without a port, any one is taken.

    Raises:
        ProfileRefused: One is no such URI.
        NotSignedIn: All are taken.
    """
    for uri in redirect_uris:
        listening = _listen(uri)
        if listening is not None:
            return listening
    raise NotSignedIn(
        f"no port is free for {' or '.join(map(printable, redirect_uris)) or 'a redirect URI'}: "
        "close the program that has it, or sign in with --device"
    )


def _listen(uri: str) -> tuple[str, list[socket.socket]] | None:
    """Return the redirect URI with its port, and who listens there; None: its port is taken."""
    fault = "is no http:// address of this computer without query and fragment"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if (
        host not in LOOPBACK
        or parts.scheme != "http"
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ProfileRefused(
            f"the redirect URI {printable(uri)} {fault}, wanted one as http://localhost: see the "
            "profile's redirect_uris"
        )
    hosts = ("127.0.0.1", "::1") if host == "localhost" else (host,)
    for _ in range(PORTS_TRIED if port is None else 1):
        if (sockets := _bound(hosts, port or 0)) is not None:
            taken = sockets[0].getsockname()[1]
            name = f"[{host}]" if ":" in host else host
            return f"http://{name}:{taken}{parts.path}", sockets
    return None


def _bound(hosts: tuple[str, ...], port: int) -> list[socket.socket] | None:
    """Return sockets that listen at one port of each host, or None where anybody else has it.

    A browser may take `localhost` for either address: were one of them somebody else's, the
    person would be shown his page.
    """
    sockets: list[socket.socket] = []
    with ExitStack() as undo:
        for host in hosts:
            try:
                one = _listener(host, port)
            except OSError as error:
                if sockets and error.errno not in _TAKEN:
                    continue  # no IPv6 here
                return None
            port = undo.enter_context(one).getsockname()[1]
            sockets.append(one)
        undo.pop_all()
    return sockets


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens, and that nobody else can listen beside.

    On POSIX the port is ours again right after the last time.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)  # Windows
    option = socket.SO_REUSEADDR if exclusive is None else exclusive
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, option, 1)
        one.bind((host, port))
        one.listen(BACKLOG)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return one
