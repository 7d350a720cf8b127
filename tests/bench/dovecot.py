"""Dovecot's auth process, where it is installed: what verifies tokens as passwords elsewhere.

Debian's `dovecot-core`, run in a folder of its own with its oauth2 passdb: local validation of
signed tokens, or introspection. It decides and answers; it has no sessions and commits nothing.
What is spoken is its own protocol (doc.dovecot.org, "Dovecot Authentication Protocol").
"""

import base64
import getpass
import grp
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.bench.minting import KEY_ID
from tests.peers import allow_files

PROGRAM = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
READY_WITHIN = 15.0  # seconds
FILES = 2100  # more than the clients that it lets in
CONFIGURATION = """\
base_dir = {folder}/base
state_dir = {folder}/state
log_path = {folder}/log
protocols =
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
default_client_limit = 2000
auth_mechanisms = plain
auth_cache_size = {cache}
auth_cache_ttl = 1 hour
passdb {{
  driver = oauth2
  mechanisms = plain
  args = {folder}/oauth2
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  client_limit = 2000
  unix_listener {folder}/auth {{
    mode = 0600
  }}
}}
service anvil {{
  chroot =
  client_limit = 2000
}}
service stats {{
  chroot =
}}
"""
LOCAL = "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={folder}/keys/\n"
ASKING = "introspection_mode = {mode}\nintrospection_url = {url}\n"
ASKING += "active_attribute = active\nactive_value = true\n"
URLS = {"post": "{issuer}/introspect", "get": "{issuer}/introspect?token="}
URLS["auth"] = URLS["post"]


class DovecotError(Exception):
    """It does not serve; the message has its log."""


class Dovecot:
    """Dovecot with nothing but its auth, until the block ends."""

    def __init__(self, folder: Path, oauth2: str, *, caches: bool = False) -> None:
        """Start it and wait until it answers.

        Args:
            folder: Where it keeps everything; made here.
            oauth2: How it verifies, from `local` or `asking`; may name `{folder}`.
            caches: Remember verdicts, by user and password.
        """
        self.folder = folder
        self.address = f"{folder}/auth".encode()
        folder.mkdir(exist_ok=True)
        (folder / "oauth2").write_text(
            oauth2.format(folder=folder) + "username_attribute = preferred_username\n"
        )
        file = folder / "dovecot.conf"
        group = grp.getgrgid(os.getgid()).gr_name
        cache = "64 M" if caches else "0"
        file.write_text(
            CONFIGURATION.format(folder=folder, user=getpass.getuser(), group=group, cache=cache)
        )
        assert PROGRAM is not None
        allow_files(FILES)  # it inherits what we may
        self._process = subprocess.Popen([PROGRAM, "-F", "-c", file], stderr=subprocess.DEVNULL)
        self._connection = self._connected()  # one that nobody speaks to would end after a minute
        self.pid = greeted(self._connection)  # of the auth process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def _connected(self) -> socket.socket:
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(READY_WITHIN)
            try:
                connection.connect(self.address)
            except OSError:
                connection.close()
                time.sleep(0.05)
            else:
                return connection
        log = self.folder / "log"
        raise DovecotError(log.read_text() if log.exists() else "it has not begun")


def version() -> str:
    """Return which one it is, empty where there is none."""
    if PROGRAM is None:
        return ""
    found = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    return found.stdout.split()[0]


def local(folder: Path, pem: bytes) -> str:
    """Return the settings to check signatures with a key, which is left in `folder`."""
    keys = folder / "keys" / "default" / "RS256"
    keys.mkdir(parents=True)
    (keys / KEY_ID).write_bytes(pem)
    return LOCAL


def asking(mode: str, issuer: str) -> str:
    """Return the settings to introspect: mode is post (RFC 7662), get, or auth (a bearer)."""
    return ASKING.format(mode=mode, url=URLS[mode].format(issuer=issuer))


def greeted(connection: socket.socket) -> int:
    """Shake hands; return the pid of the auth process."""
    connection.sendall(f"VERSION\t1\t2\nCPID\t{os.getpid()}\n".encode())
    received = b""
    while not received.endswith(b"DONE\n"):
        received += connection.recv(4096)
    (pid,) = [line[5:] for line in received.split(b"\n") if line.startswith(b"SPID\t")]
    return int(pid)


def request(number: int, user: str, password: str) -> bytes:
    """Return a login by SASL's PLAIN (RFC 4616)."""
    response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return f"AUTH\t{number}\tPLAIN\tservice=imap\tsecured\tresp={response}\n".encode()
