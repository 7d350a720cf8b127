"""What a chaos run plays with: the daemon, two issuers, q processes; and a copy at each death."""

import os
import select
import shutil
import signal
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

from tests.chaos.journal import Journal
from tests.chaos.process import ChaosProcess
from tests.chaos.realm import Realm
from tests.chaos.revoking import Operator
from tests.chaos.sourced import TABLES, Seed
from tests.chaos.store_client import StoreClient, Values
from tests.chaos.terms import BASE, GRACE, TICKET, UNBOUND
from tests.chaos.ticket import Ticket
from tests.running_daemon import RunningDaemon

PROCESSES = 5
CONTEXTS = (("c0", "oauth"), ("c0", "credentials"))  # fewer than there are programs
PROGRAMS = 5  # of token stores
CONFIGURATION = """
[listen]
port = {{port}}
directory = "{{folder}}"
control = "{{folder}}/control.sock"
[store]
path = "{{folder}}/sessiond.db"
[login]
unbound = {unbound}
grace = {grace}
[refresh]
share = 0.2
jitter = 0.1
timeout = 5.0
[web]
bases = ["{base}"]
[tickets]
audiences = ["q*"]
lifetime = {ticket}
[stores]
users = [{uid}]
[[access.process]]
name = "q*"
peers = [{uid}]
[log]
level = "debug"
{issuers}
"""
ISSUER = """
[[issuer]]
name = "{name}"
issuer = "{issuer}"
users = ["{name}*"]
verify = "jwt"
audience = ["api://kdb"]
client_id = "sessiond"
refresh_client_id = "qstudio"
insecure_http = true
roles_claim = ["roles"]
[issuer.roles]
trader = "trading"
quant = "research"
[issuer.web]
client_id = "kdb-web-public"
"""


class Stage:
    """Everything that runs, in one folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.jsonl")
        self.realms = [Realm("strict", self.journal), Realm("entra", self.journal)]
        issuers = TABLES
        for realm in self.realms:
            realm.start()
            assert realm.issuer is not None
            issuers += ISSUER.format(name=realm.name, issuer=realm.issuer.issuer)
        text = CONFIGURATION.format(
            unbound=UNBOUND, grace=GRACE, ticket=TICKET, uid=os.getuid(), issuers=issuers, base=BASE
        )
        self.seed = Seed(folder, self.realms[0])
        self._snapshots = count()
        program = ["-m", "tests.chaos.slow", str(seed)]
        self.daemon = RunningDaemon(folder, text, program=program)
        self.journal.note("daemon-started")
        self.operator = Operator(folder / "control.sock", self.journal)
        self._names = count()
        self.processes: list[ChaosProcess] = []
        for _ in range(PROCESSES):
            self.add_process()
        self.tickets: list[Ticket] = []
        self.source_tokens: list[str] = []  # random parts of them
        self._values = Values(seed)
        control = folder / "control.sock"
        self.programs = [
            StoreClient(
                f"p{number}", CONTEXTS[number % len(CONTEXTS)], control, self._values, self.journal
            )
            for number in range(PROGRAMS)
        ]

    @property
    def secrets(self) -> list[str]:
        of_issuers = [secret for realm in self.realms for secret in realm.secrets]
        of_tickets = [ticket.secret for ticket in self.tickets]
        return [*of_issuers, *of_tickets, *self.source_tokens, *self._values.secrets]

    def add_process(self) -> None:
        """Start a q process that has nobody yet."""
        name = f"q{next(self._names)}"
        self.processes.append(ChaosProcess(name, self.daemon.address, self.journal))
        self.processes[-1].come()

    def kill_process(self, process: ChaosProcess) -> None:
        process.kill()
        self.processes.remove(process)
        self.add_process()

    def sow(self) -> None:
        """Bring the rotated source another refresh token, as an operator would."""
        self.seed.sow()
        os.kill(self.daemon.pid, signal.SIGHUP)

    def kill_daemon(self) -> None:
        """Kill it, hear what it had said, keep what is on disk; start it, with nobody there."""
        assert self.daemon.is_running, "the daemon ended by itself"
        self.daemon.kill()
        self._after("daemon-killed")
        self._start()

    def restart_daemon(self) -> None:
        """Stop it as systemd does, and start it again."""
        assert self.stop_daemon() == 0
        self._start()

    def stop_daemon(self) -> int:
        """Stop it and keep what is on disk; return its exit code."""
        code = self.daemon.stop()
        self._after("daemon-stopped")
        return code

    @property
    def present(self) -> list[ChaosProcess]:
        """The processes that are connected."""
        return [each for each in self.processes if each.connection is not None]

    @property
    def absent(self) -> list[ChaosProcess]:
        return [each for each in self.processes if each.connection is None]

    @property
    def _everybody(self) -> list[ChaosProcess | StoreClient]:
        return [*self.processes, *self.programs]

    def pump(self, seconds: float) -> None:
        """Let the processes take what the daemon sends."""
        until = time.monotonic() + seconds
        while True:
            present = {each.connection: each for each in self._everybody if each.connection}
            left = max(0.0, until - time.monotonic())
            readable, _, _ = select.select(list(present), [], [], left)
            for each in readable:
                present[each].receive()
            if not left:
                return

    def pump_until_answered(self) -> None:
        """Pump until nobody waits for an answer; the test's timeout ends this."""
        while any(each.is_waiting for each in self._everybody):
            self.pump(0.05)

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.close()
        for program in self.programs:
            program.drop()
        with suppress(ProcessLookupError):
            self.daemon.kill()
        for realm in self.realms:
            if realm.issuer is not None:
                realm.issuer.stop()
        self.journal.close()

    def _after(self, kind: str) -> None:
        while self.present or any(each.connection for each in self.programs):
            self.pump(0.0)
        number = next(self._snapshots)
        for suffix in ("", "-wal"):
            source = Path(f"{self.daemon.database}{suffix}")
            if source.exists():
                shutil.copy(source, self.folder / f"snapshot-{number}.db{suffix}")
        self.journal.note(kind, snapshot=number)

    def _start(self) -> None:
        self.daemon.start()
        self.journal.note("daemon-started")
