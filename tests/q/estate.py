"""TorQ as its users run it: a gateway, an rdb and an hdb, permissions on, people at the gateway."""

from dataclasses import dataclass
from pathlib import Path

from sessiond.qipc import QError, Value, call, string, symbol
from tests.needs import torq_checkout
from tests.q import torq
from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Client, Interpreter

GATEWAY = "gateway", "pass"  # as TorQ comes with it: its account on every process
DATA = """
trade:([] sym:`VOD`BP`RDS; dept:`rates`fx`rates; size:1 2 3)
secret:([] a:1 2)
volume:{[least] exec sum size from trade where size>=least}
"""
ROLES = """
.pm.addrole[`reader;"selects, and asks for volumes"]
.pm.grantfunction[`select;`reader;{1b}]
.pm.grantfunction[`volume;`reader;{1b}]
.pm.grantfunction[`ask;`reader;{1b}]
.pm.addgroup[`desk;"reads trade"]
.pm.grantaccess[`trade;`desk;`read]
.pm.addtogroup[`alice;`desk]
.pm.adduser[`local1;`local;`md5;md5 "pw"]
.pm.assignrole[`local1;`admin]
"""
BACKEND = ".sessiond.backend:1b\n"
ASK = """
.test.servers:()
ask:{[query] last each .gw.syncexec[query;.test.servers]}
"""


@dataclass(frozen=True)
class Estate:
    """Starts processes of TorQ with the hook, all of them for one daemon or each for its own."""

    start_q: Start
    folder: Path

    def start(
        self,
        name: str,
        port: int,
        settings: str = "",
        after: str = "",
        environment: dict[str, str] | None = None,
    ) -> Interpreter:
        """Start a process that is called NAME1, of type NAME, and wait for its daemon."""
        checkout = torq_checkout()
        assert checkout is not None
        home = self.folder / name
        home.mkdir()
        names = f".proc.procname:`{name}1\n.proc.proctype:`{name}\n.pm.enabled:1b\n"
        q = self.start_q(
            torq.script(checkout, home, names + settings)
            + torq.permissions(checkout)
            + torq.gateway(checkout)
            + DATA
            + ROLES
            + ASK,
            after,
            port=port,
            environment={**torq.environment(home), **(environment or {})},
        )
        assert q.evaluate("@[value;`.test.torq;0b]") == "1b", q.printed
        q.wait_until(".sessiond.ready[]")
        return q

    def connect(self, gateway: Interpreter, *servers: Interpreter) -> None:
        """Open the gateway's handles, with its account."""
        user, password = GATEWAY
        for server in servers:
            gateway.run(f".test.servers,:hopen`:localhost:{server.port}:{user}:{password};")
        assert gateway.evaluate("count .test.servers") == str(len(servers))


def as_gateway(server: Interpreter) -> Client:
    """Return a connection with the account that TorQ's gateway has on every process."""
    client = server.login(*GATEWAY)
    assert client is not None, server.said
    return client


def execas(caller: Client, query: str | Value, user: str) -> object:
    """Return what a server answers to a gateway that asks for a user; an error as its text."""
    asked = string(query) if isinstance(query, str) else query
    answer = caller.ask(call(".pm.execas", asked, symbol(user)))
    return answer.text if isinstance(answer, QError) else answer


def load_asuser(gateway: Interpreter, server: Interpreter) -> None:
    """Load the example of a gateway that asks as the user; the server is rdb1, of type rdb."""
    gateway.run(f"\\l {HOOK / 'asuser.q'}")
    gateway.run(".z.pc:.adapter.pc[.z.pc];")
    gateway.run(".pm.grantfunction[`.asuser.query;`reader;{1b}];")
    row = f"`rdb1;`rdb;`:localhost:{server.port};`int$first .test.servers;0i;.z.p;.z.p;0Np;()!()"
    gateway.run(f"`.servers.SERVERS upsert ({row});")


def as_user(client: Client, what: str) -> object:
    """Return what the rdb answers to a user whom the gateway asks as; an error as its text."""
    answer = client.ask(call(".asuser.query", symbol("rdb"), string(what)))
    return answer.text if isinstance(answer, QError) else answer


def rows_example() -> str:
    """Return the line that loads the example of rows by department."""
    return f"\\l {HOOK / 'rows.q'}\n"
