"""What systemd and a service tell each other: readiness, the watchdog, passed sockets.

Spoken directly, without a library: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from sessiond.core.errors import ConfigError

UNIT = "sessiond.service"
FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


def notify(*states: str, environ: Mapping[str, str]) -> bool:
    """Tell systemd: "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…", all in one datagram.

    Never waits. Returns False when nobody is listening or the message could not be sent, which is
    no reason to stop: what matters most, the watchdog, is sent again soon.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if address.startswith("@"):  # abstract, unix(7)
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto("\n".join(states).encode(), address)
        except OSError:
            return False
    return True


def reloading(monotonic: float) -> tuple[str, str]:
    """Return the states that say a reload begins; "READY=1" says that it is over.

    Args:
        monotonic: The moment, in seconds of CLOCK_MONOTONIC: systemd 253 and later
            (Type=notify-reload) takes no answer for one that was asked for afterwards.
    """
    return "RELOADING=1", f"MONOTONIC_USEC={int(monotonic * 1e6)}"


def credentials_directory(environ: Mapping[str, str], unit: str = UNIT) -> Path | None:
    """Return where the service's credentials are while it runs, systemd.exec(5)."""
    named = environ.get("CREDENTIALS_DIRECTORY") or f"/run/credentials/{unit}"
    path = Path(named)
    try:
        return path if path.is_dir() else None
    except OSError:
        return None


def with_credentials(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment that the service has, as far as its credentials can be seen here."""
    found = credentials_directory(environ)
    if found is None or not os.access(found, os.R_OK | os.X_OK):
        return environ
    return {**environ, "CREDENTIALS_DIRECTORY": str(found)}


def watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Return after how many seconds to send "WATCHDOG=1" again, or None: nobody waits for it.

    Half of what systemd allows, as sd_watchdog_enabled(3) recommends.
    """
    limit = environ.get("WATCHDOG_USEC", "")
    if not _is_number(limit) or int(limit) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(limit) / 2 / 1e6


def passed_sockets(
    environ: Mapping[str, str], *, first: int = FIRST_DESCRIPTOR
) -> list[socket.socket]:
    """Return the sockets that systemd opened for this process, in the units' order.

    They are told apart by their addresses: names ($LISTEN_FDNAMES) are only a hint. Call it once;
    whoever gets them closes them.

    Raises:
        ConfigError: What was passed is not a listening Unix stream socket.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not _is_number(count):
        return []
    passed: list[socket.socket] = []
    try:
        for descriptor in range(first, first + int(count)):
            passed.append(_passed(descriptor))  # noqa: PERF401 - those before a bad one are closed
    except ConfigError:
        for each in passed:
            each.close()
        raise
    return passed


def _passed(descriptor: int) -> socket.socket:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ConfigError(
            f"passed descriptor {descriptor} is not a socket, wanted a listening Unix stream "
            "socket: check the socket units"
        ) from error
    kind = (found.family, found.type)
    if kind != (socket.AF_UNIX, socket.SOCK_STREAM) or not _is_listening(found):
        found.close()
        raise ConfigError(
            f"passed descriptor {descriptor} is another socket, wanted a listening Unix stream "
            "socket: check ListenStream= of the socket units"
        )
    found.set_inheritable(False)  # no child of ours gets it
    return found


def _is_listening(found: socket.socket) -> bool:
    return found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
