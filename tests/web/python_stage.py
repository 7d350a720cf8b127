"""A page behind single sign-on, of a q process that Python plays."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sessiond.testing import FakeProcess
from tests.integration.operating import Operator
from tests.running_daemon import RunningDaemon
from tests.web.authority import Authority
from tests.web.https_server import HttpsServer
from tests.web.python_process import PythonProcess, python_process
from tests.web.stage import GatewayStage


@dataclass(frozen=True)
class PythonStage(GatewayStage):
    """All of it, running."""

    q: PythonProcess

    @property
    def server(self) -> HttpsServer:
        return self.servers[0]

    def wait_until_q_knows_none(self) -> None:
        self.q.wait_until_knows_none()


@contextmanager
def python_stage(
    settings: str, folder: Path, server: HttpsServer, authority: Authority
) -> Iterator[PythonStage]:
    """Start the daemon, and the process behind the server; nothing of it may tell a secret."""
    with (
        RunningDaemon(folder, settings) as daemon,
        Operator(daemon) as operator,
        FakeProcess(daemon.address) as connected,
        python_process(server, connected) as q,
    ):
        stage = PythonStage(daemon, operator, [server], authority, q)
        yield stage
        stage.tells_no_secret()
