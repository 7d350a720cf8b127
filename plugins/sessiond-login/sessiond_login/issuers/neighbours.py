"""Whose a connection from this computer is: a loopback port is open to all of its users.

The address of a sign-in stands in the browser's arguments, where others can read it. Whoever opens
it in a browser of his own, and signs in as himself, would have it end here: this person's clients
would log in as him (RFC 6749, 10.12).
"""

import os
import socket
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # proc(5)
_LISTENING = "0A"
_ROOT = 0  # it forwards for others: Windows' browsers into WSL
_Address = tuple[IPv6Address, int]


class _Row(NamedTuple):
    """One of the system's TCP sockets."""

    local: _Address
    remote: _Address
    state: str
    owner: int  # uid
    inode: int


def is_strangers(accepted: socket.socket) -> bool:
    """Say whether another user of this computer made a connection that was accepted here.

    So it is too where nobody is at its other end any more. False where the system does not tell,
    as Windows and macOS do not.
    """
    here = _of(accepted.getsockname())
    rows = list(_rows(here[1]))
    if not any(row.state == _LISTENING and row.local[1] == here[1] for row in rows):
        return False
    try:
        there = _of(accepted.getpeername())
    except OSError:
        return True
    # One without an inode was closed by whoever made it, and is listed as root's.
    owners = {row.owner for row in rows if (row.local, row.remote) == (there, here) and row.inode}
    return not owners or not owners <= {os.getuid(), _ROOT}


def _rows(port: int) -> Iterator[_Row]:
    """Yield those at a port: of the thousands that there may be, few are worth to be read whole."""
    at_port = f":{port:04X} "
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            if at_port not in line:
                continue
            _, local, remote, state, _, _, _, owner, _, inode, *_ = line.split()
            yield _Row(_read(local), _read(remote), state, int(owner), int(inode))


def _read(text: str) -> _Address:
    """Return an address as the system writes it: words of 32 bits in its own order, and a port."""
    words, _, port = text.partition(":")
    packed = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    return _whole(str(ip_address(packed))), int(port, 16)


def _of(name: tuple[str, int]) -> _Address:
    return _whole(name[0]), name[1]


def _whole(host: str) -> IPv6Address:
    """Return an address as one of version 6: a client may use either for the same."""
    address = ip_address(host)
    return address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")
