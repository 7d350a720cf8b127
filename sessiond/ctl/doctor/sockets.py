"""The sockets: whether they are there, who holds them, and whether he answers."""

import socket
from collections.abc import Iterator

from sessiond.config import ListenConfig
from sessiond.ctl.doctor.files import Where, user_name
from sessiond.ctl.doctor.finding import Finding, Outcome, ok, unseen, warning, wrong
from sessiond.kdb.addresses import Addresses, shown
from sessiond.system.peer import credentials_of

NOBODY = ": nobody listens there"
WITHIN = 3.0  # seconds for the handshake
HANDSHAKE = b"doctor:\x03\x00"  # code.kx.com/q/basics/ipc, "Handshake"


def q_sockets(listen: ListenConfig, where: Where) -> Iterator[Finding]:
    """Connect to each of kdb+'s names for the port, as q would."""
    is_held = False  # by one of its names: then the daemon, or systemd for it, is there
    for address in Addresses(listen.directory, listen.port, listen.path):
        is_padded = address.endswith(b"\0") and address.startswith(b"\0")
        name = f"{shown(address)}{' (padded)' if is_padded else ''}"
        found = _socket("kdb+ socket", name, address, where, greeting=HANDSHAKE)
        is_path = not address.startswith(b"\0")
        yield _path_gone(name) if is_path and found.found.endswith(NOBODY) and is_held else found
        is_held = is_held or found.outcome is not Outcome.WRONG


def control_socket(path: str, where: Where) -> Finding:
    """Connect to the control socket; what it answers is looked at elsewhere."""
    return _socket("control socket", path, path.encode(), where, greeting=b"")


def _socket(check: str, name: str, address: bytes, where: Where, *, greeting: bytes) -> Finding:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(WITHIN)
        try:
            trial.connect(address)
            pid, uid, _ = credentials_of(trial)
        except (FileNotFoundError, ConnectionRefusedError):
            return wrong(check, f"{name}{NOBODY}", "start the daemon")
        except PermissionError as error:
            return unseen(check, error)
        except OSError as error:
            return wrong(check, f"{name}: {error.strerror or error}", "restart the daemon")
        held = f"{name}, held by process {pid} of {user_name(uid)}"
        if where.owner is not None and uid not in (0, where.owner):  # 0: systemd binds sockets
            owner = user_name(where.owner)
            advice = f"that is not the daemon, which runs as {owner}: stop that process"
            return wrong(check, held, advice)
        return _answered(check, held, trial, greeting)


def _path_gone(name: str) -> Finding:
    found = f"{name}: the path is gone or somebody else's, while the port's other names are held"
    advice = (
        "if systemd binds it: systemctl stop sessiond sessiond-path.socket, then systemctl start "
        "sessiond-path.socket sessiond; else the daemon binds it again, or says in its log why not"
    )
    return wrong("kdb+ socket", found, advice)


def _answered(check: str, held: str, trial: socket.socket, greeting: bytes) -> Finding:
    if not greeting:
        return ok(check, held)
    try:
        trial.sendall(greeting)
        answer = trial.recv(1)
    except TimeoutError:
        return wrong(check, f"{held}: no answer within {WITHIN:.0f} s", "restart the daemon")
    except OSError:
        answer = b""
    if answer:
        return ok(check, held)
    found = f"{held}: it refused this user, or hung up"
    return warning(check, found, "run this as root or as a user of listen.allow_users")
