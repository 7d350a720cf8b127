"""A page behind single sign-on: a gateway's HTTPS ports, the daemon, and an operator."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests import canary
from tests.integration.operating import Operator
from tests.issuer.running import RunningIssuer
from tests.running_daemon import RunningDaemon, configuration
from tests.web.authority import HOST, Authority
from tests.web.https_server import HttpsServer

ISSUER = """
verify = "jwt"
audience = ["api://kdb"]
roles_claim = ["scope"]
[issuer.roles]
"session.login" = "reader"
[issuer.web]
client_id = "kdb-web"
client_secret_file = "{folder}/web"
"""


@dataclass(frozen=True)
class GatewayStage(ABC):
    """All of it, running."""

    daemon: RunningDaemon
    operator: Operator
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

    @abstractmethod
    def wait_until_q_knows_none(self) -> None:
        """Wait until what was revoked is so in q, too."""

    def tells_no_secret(self, *more: str) -> None:
        """Fail where a secret stands in what the daemon wrote, said or kept, or in more texts."""
        told = ["".join(self.daemon.lines), *more]
        print(*told)  # pytest shows it where a test fails
        kept = [file.read_bytes() for file in self.daemon.folder.glob("sessiond.db*")]
        assert canary.found_in("".join([*told, *self.operator.texts]).encode()) == set()
        assert canary.found_in(b"".join(kept)) == set()
        assert "Traceback" not in told[0]


def web_settings(
    issuer: RunningIssuer, folder: Path, servers: Sequence[HttpsServer], listen: str = ""
) -> str:
    """Return a configuration by which people sign in at these servers.

    Args:
        issuer: It gets to know them, and is as new.
        folder: The daemon's; gets the web client's secret.
        servers: By their bases.
        listen: More for the table of this name.
    """
    bases = [server.base for server in servers]
    issuer.control.reset()
    issuer.control.register_web_bases(*bases)
    secret = folder / "web"
    secret.write_text("kdb-web-secret\n")
    secret.chmod(0o600)
    return configuration(issuer, extra=ISSUER, listen=listen, web=f"bases = {bases}")


def remember_issued(issuer: RunningIssuer) -> None:
    """Have nobody tell what the issuer has given."""
    for name, secret in issuer.control.issued():
        canary.remember(secret, name)
