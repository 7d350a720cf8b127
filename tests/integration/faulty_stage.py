"""One daemon before many faulty issuers, and one q process that logs their users in."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from sessiond.testing import FakeProcess
from tests.integration.faulty_issuer import FaultyIssuer, serving
from tests.running_daemon import RunningDaemon

# An issuer that hangs is given up after HASTE, any other has time even on a machine that has not.
HASTE, PATIENCE = 1.0, 15.0  # seconds
SETTINGS = """
[listen]
port = {port}
directory = "{folder}"
control = "{folder}/c"
[store]
path = "{folder}/sessiond.db"
[login]
deadline = 18.0
cache_asked = 300.0
[refresh]
share = 0.02
jitter = 0.0
timeout = 3.0
"""
ISSUER = """
[[issuer]]
name = "NAME"
issuer = "URL"
users = ["USER"]
audience = ["api://kdb"]
client_id = "sessiond"
client_secret_file = "{folder}/secret"
refresh_client_id = "qstudio"
lease = 7200.0
concurrency = 8
"""
WAYS = {
    "jwt": 'verify = "jwt"',
    "introspection": 'verify = "introspection"\naudience = []',
    "userinfo": 'verify = "userinfo"',
    "refresh": 'verify = "jwt"',
    "entra": 'kind = "entra"\nverify = "jwt"\nrefresh_scope = "api://kdb/session.login"',
}


class Stage:
    """What a test of these issuers works with."""

    def __init__(
        self, issuers: Iterable[FaultyIssuer], daemon: RunningDaemon, q: FakeProcess
    ) -> None:
        self.issuers = {issuer.name: issuer for issuer in issuers}
        self.daemon = daemon
        self.q = q
        self._handles = count(5)
        self._pushes: dict[UUID, list[dict[str, Any]]] = {}

    def connect(self, issuer: FaultyIssuer, password: str) -> str:
        """Return the reason of a login, empty where it is let in; nothing is opened."""
        reason: str = self.q.connect(issuer.user, password, next(self._handles))["reason"]
        return reason

    def log_in(self, issuer: FaultyIssuer, password: str) -> dict[str, Any]:
        """Open a session and return the answer; it must be accepted."""
        return self.q.log_in(issuer.user, password, next(self._handles))

    def is_live(self, session: UUID) -> bool:
        return session in {each["session"] for each in self.q.sessions()}

    def next_push(self, session: UUID) -> dict[str, Any]:
        """Wait for the next push about a session."""
        while not self._pushes.get(session):
            push = self.q.next_push()
            self._pushes.setdefault(push["session"], []).append(push)
        return self._pushes[session].pop(0)

    def logged(self, event: str, issuer: FaultyIssuer) -> list[dict[str, Any]]:
        """Return the daemon's log entries of one kind about one issuer."""
        entries = self.daemon.log()
        return [e for e in entries if (e["event"], e.get("issuer")) == (event, issuer.name)]


@contextmanager
def staged(issuers: Iterable[FaultyIssuer], folder: Path) -> Iterator[Stage]:
    """Serve the issuers to a daemon until the end of the block.

    The last part of an issuer's name says how the daemon uses it, one of WAYS.
    """
    served = list(issuers)
    secret = folder / "secret"
    secret.write_text("nobody checks this\n")
    secret.chmod(0o600)
    with serving(served) as ca_file:
        tables = [_table(issuer, ca_file) for issuer in served]
        with (
            RunningDaemon(folder, "".join([SETTINGS, *tables])) as daemon,
            FakeProcess(daemon.address) as q,
        ):
            q.hello()
            yield Stage(served, daemon, q)
            assert "Traceback" not in "".join(daemon.lines)


def _table(issuer: FaultyIssuer, ca_file: Path) -> str:
    named = ISSUER.replace("NAME", issuer.name).replace("URL", issuer.url)
    kind = issuer.name.rpartition(".")[2]
    way = WAYS[kind]
    if "audience" in way:
        named = named.replace('audience = ["api://kdb"]\n', "")
    timeout = HASTE if issuer.never_answers else PATIENCE
    if issuer.endpoint == "discovery" and kind in ("refresh", "entra"):
        way += f'\njwks_uri = "{issuer.url}/keys"'  # so that its users can log in
    lines = [way, f'ca_file = "{ca_file}"', f"timeout = {timeout}", ""]
    return named.replace("USER", issuer.user) + "\n".join(lines)
