"""A kdb+ client of a person's: PyKX, unlicensed, which holds a connection until it is closed."""

import json
import os
import subprocess
import sys
from typing import Any, Self

from tests.people.machine import Machine

PATIENCE = 50  # seconds
# A process of its own: PyKX takes the interpreter over, and holds its lock while it waits.
PROGRAM = """
import json, select, sys
import pykx as kx
port, user, password = int(sys.argv[1]), sys.argv[2], sys.stdin.readline().rstrip()
if not user:
    from sessiond_login import credentials
    user, password = credentials()
def tell(**what):
    print(json.dumps(what), flush=True)
try:
    q = kx.SyncQConnection("127.0.0.1", port, username=user, password=password, no_ctx=True)
except kx.exceptions.PyKXException as error:
    tell(refused=str(error))
    sys.exit()
tell(user=str(q(".z.u")))
select.select([q.fileno()], [], [])
try:
    q(".z.u")
except (RuntimeError, OSError, kx.exceptions.PyKXException) as error:
    tell(closed=str(error))
"""


class KdbClient:
    """One window of the person's: connected, or refused, and told when it is closed."""

    def __init__(
        self, port: int, user: str, password: str, *, machine: Machine | None = None
    ) -> None:
        """Connect with what `sessiond-login token` gave.

        Args:
            port: Of the gateway.
            user: The name; empty: it is asked for as the password is.
            password: Goes in by standard input.
            machine: Whose it is, where the client asks `sessiond_login` by itself.
        """
        environment = os.environ if machine is None else machine.environment
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, str(port), user],
            env={**environment, "PYKX_UNLICENSED": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(password + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def told(self) -> dict[str, Any]:
        """Return the next thing that happened: `user`, `refused` or `closed`."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("{"), line
        found: dict[str, Any] = json.loads(line)
        return found
