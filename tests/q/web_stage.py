"""A page behind single sign-on, of an interpreter with the hook."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.operating import Operator
from tests.q.conftest import Start, reaching
from tests.q.interpreted import Interpreted
from tests.q.interpreter import HOOK, Interpreter
from tests.running_daemon import RunningDaemon
from tests.web.authority import Authority
from tests.web.https_server import HttpsServer
from tests.web.stage import GatewayStage

SERVER = Path(__file__).parent / "https_server.q"
PAGES = Path(__file__).parent / "pages.q"
BEFORE = "\n".join([f"\\l {HOOK / 'page.q'}", f"\\l {PAGES}", ".sessiond.web:1b"])


@dataclass(frozen=True)
class WebStage(GatewayStage):
    """All of it, running."""

    q: Interpreter

    def wait_until_q_knows_none(self) -> None:
        self.q.wait_until("0=count .sessiond.sessions")


@contextmanager
def web_stage(
    settings: str,
    folder: Path,
    start_q: Start,
    shim: str,
    servers: Sequence[HttpsServer],
    authority: Authority,
) -> Iterator[WebStage]:
    """Start the daemon, and q with the hook behind the servers; nothing of it may tell a secret."""
    with RunningDaemon(folder, settings) as daemon, Operator(daemon) as operator:
        q = start_q(
            BEFORE,
            f"\\l {SERVER}",
            port=daemon.port,
            environment=reaching(daemon, shim),
        )
        q.wait_until(".sessiond.ready[]")
        for server in servers:
            server.serve(Interpreted(q.port))
        stage = WebStage(daemon, operator, servers, authority, q)
        yield stage
        stage.tells_no_secret(q.printed)
