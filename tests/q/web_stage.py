"""A page behind single sign-on: q's HTTPS port with the hook, the daemon, and an issuer."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme
from prometheus_client.parser import text_string_to_metric_families

from tests import canary
from tests.integration.operating import Operator
from tests.q.conftest import Start, reaching
from tests.q.https_server import HttpsServer
from tests.q.interpreter import HOOK, Interpreter
from tests.running_daemon import RunningDaemon

HOST = "gateway"
SERVER = Path(__file__).parent / "https_server.q"
PAGES = Path(__file__).parent / "pages.q"
BEFORE = "\n".join([f"\\l {HOOK / 'page.q'}", f"\\l {PAGES}", ".sessiond.web:1b"])


class Authority:
    """Who vouches for the gateway's certificate, in one test alone."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._leaf = self._authority.issue_cert(HOST, "localhost")

    @property
    def certificate(self) -> bytes:
        """The gateway's own, as PEM."""
        return self._leaf.cert_chain_pems[0].bytes()

    @property
    def serving(self) -> ssl.SSLContext:
        """What the gateway serves with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._leaf.configure_cert(context)
        return context

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a program takes the gateway with."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def written(self, folder: Path) -> Path:
        """Return a file with the authority's certificate, for programs that take one."""
        path = folder / "gateway-ca.pem"
        self._authority.cert_pem.write_to_path(path)
        return path


@dataclass(frozen=True)
class WebStage:
    """All of it, running."""

    daemon: RunningDaemon
    operator: Operator
    q: Interpreter
    servers: Sequence[HttpsServer]
    authority: Authority

    @property
    def base(self) -> str:
        return self.bases[0]

    @property
    def bases(self) -> list[str]:
        """The same q process, by each of its ports."""
        return [server.base for server in self.servers]

    def calls(self) -> int:
        """Return how many requests q has asked the daemon about."""
        families = text_string_to_metric_families(self.operator.ask("GET", "/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return int(
            sum(each.value for each in samples if each.name == "sessiond_web_requests_total")
        )

    def asked(self, server: HttpsServer, **headers: str) -> httpx.Response:
        """Return what the front page's address gives to a program."""
        with httpx.Client(verify=self.authority.trusting, trust_env=False) as program:
            return program.get(
                f"https://127.0.0.1:{server.port}/",
                headers={"Host": f"{HOST}:{server.port}", **headers},
                extensions={"sni_hostname": HOST},
            )

    def sessions(self, user: str, *, state: str = "web") -> list[str]:
        """Return the ids of somebody's sessions of a state."""
        found = self.operator.get("/v1/sessions", user=user)["sessions"]
        return [each["session"] for each in found if each["state"] == state]

    def sign_everybody_out(self) -> None:
        """End all sessions, here and in q."""
        for each in self.operator.get("/v1/sessions")["sessions"]:
            self.operator.revoke(session=each["session"])
        self.wait_until_q_knows_none()

    def wait_until_q_knows_none(self) -> None:
        """Wait until what was revoked is so in q, too."""
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
            server.serve(q.port)
        yield WebStage(daemon, operator, q, servers, authority)
        print("".join(daemon.lines), q.printed)  # pytest shows it where a test fails
        told = ["".join(daemon.lines), q.printed, *operator.texts]
        kept = [file.read_bytes() for file in folder.glob("sessiond.db*")]
        assert canary.found_in(b"".join([*kept, *map(str.encode, told)])) == set()
        assert "Traceback" not in told[0]
