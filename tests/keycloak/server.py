"""Keycloak as a running process, with everything in memory."""

import os
import queue
import re
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Self

import httpx
import trustme

from tests.keycloak.install import INSTALLED, JVM, home

ADMIN = ("admin", "admin-of-the-tests")
READY_WITHIN = 300.0  # seconds; a dozen on two idle cores
OPTIONS = (
    "--optimized",
    "--cache=local",
    "--http-host=127.0.0.1",
    "--https-port=0",
    "--https-certificate-file=server.pem",
    "--https-certificate-key-file=server.key",
    "--hostname-strict=false",  # the issuer is under the address that it is asked by
)
# The shell becomes Keycloak. Its child waits for the end of our pipe, and ends Keycloak with it,
# so that none is left where the tests were killed.
LAUNCH = """exec 3<&0
{ cat <&3; kill $$; } >/dev/null 2>&1 &
exec sh "$0" start "$@" </dev/null 3<&-"""


class KeycloakError(Exception):
    """Keycloak did not start, or refused a preparation; the message says why."""


class RunningKeycloak:
    """One server for all realms of the tests, on a free port of loopback, over TLS."""

    def __init__(self) -> None:
        """Start it and wait until it listens.

        Raises:
            KeycloakError: It ended, or was not ready in time; the message has its log.
        """
        if not INSTALLED.exists():
            raise KeycloakError("no Keycloak: python -m tests.keycloak.install")
        self._lines: list[str] = []
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._folder = tempfile.TemporaryDirectory(prefix="keycloak-")
        self.ca_file = certificates(Path(self._folder.name))
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
            "JAVA_OPTS_APPEND": f"{JVM} -Djava.io.tmpdir={self._folder.name}",
            "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN[0],
            "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN[1],
        }
        if java := os.environ.get("JAVA_HOME"):
            environment["JAVA_HOME"] = java
        self._process = subprocess.Popen(
            ["sh", "-c", LAUNCH, home() / "bin/kc.sh", *OPTIONS],
            cwd=self._folder.name,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.origin = self._wait_until_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return "".join(self._lines)

    def client(self) -> httpx.Client:
        """Return an HTTP client that trusts it and has no cookies yet."""
        trust = ssl.create_default_context(cafile=self.ca_file)
        return httpx.Client(base_url=self.origin, verify=trust, timeout=120.0, trust_env=False)

    def stop(self) -> None:
        """End it, and wait until it is gone; again is harmless."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._folder.cleanup()

    def _wait_until_ready(self) -> str:
        try:
            origin = self._ready.get(timeout=READY_WITHIN)
        except queue.Empty:
            origin = None
        if origin is None:
            self.stop()
            raise KeycloakError(f"Keycloak did not start:\n{self.log}")
        return origin

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line)
            if found := re.search(r"Listening on: (https://127\.0\.0\.1:\d+)", line):
                self._ready.put(found[1])
        self._ready.put(None)  # it has ended


def certificates(folder: Path) -> Path:
    """Write the server's certificate and key; return the file of their authority."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(folder / "server.key")
    for link in server.cert_chain_pems:
        link.write_to_path(folder / "server.pem", append=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "ca.pem"
