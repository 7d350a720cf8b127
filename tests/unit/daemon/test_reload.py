"""A reload as a service: what it would do, what it has done, and one after the other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from sessiond import config as configuration
from sessiond import log
from sessiond.clock import SystemClock
from sessiond.config import credentials
from sessiond.core.rows import Put
from sessiond.core.session import SessionState
from sessiond.daemon import settings
from sessiond.daemon.issuers import Issuers
from sessiond.daemon.reload import Reload, Started
from sessiond.daemon.services import Endpoints, Services, endpoints_of, services_of
from sessiond.daemon.snapshot import Current
from sessiond.kdb.welcome import Welcome
from sessiond.metrics import Metrics
from sessiond.store import opened
from sessiond.store.sealing import KeyRing, TokenHasher
from sessiond.system.peer import Peer
from tests.fakes import grant, principal, process_key, session

pytestmark = pytest.mark.anyio

CORP, OTHER = "https://corp.example.com/", "https://other.example.com/"
HOME = """
[listen]
directory = "{folder}"
control = "{folder}/c"
[store]
path = "{folder}/sessiond.db"
"""
ISSUER = """
[[issuer]]
name = "{name}"
issuer = "{issuer}"
verify = "jwt"
audience = ["api://kdb"]
users = ["{name}*"]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def file(folder: Path, *names: str, more: str = "") -> Path:
    """Write a configuration with these issuers."""
    path = folder / "config.toml"
    tables = [ISSUER.format(name=each, issuer=f"https://{each}.example.com/") for each in names]
    path.write_text(HOME.format(folder=folder) + "".join(tables) + more)
    return path


class Daemon:
    """The services of a daemon that nobody can connect to."""

    def __init__(self, reload: Reload, services: Services, endpoints: Endpoints) -> None:
        self.reload = reload
        self.services = services
        self.endpoints = endpoints

    @property
    def live(self) -> list[str]:
        return sorted(each.principal.issuer for each in self.services.table.sessions())


@pytest.fixture
async def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Daemon]:
    """Run what a reload acts on: with a session of `corp`, and two of `other`."""
    monkeypatch.setattr(log, "configure", lambda *_: None)
    path = file(tmp_path, "corp", "other")
    config, clock = configuration.load(path), SystemClock()
    database = settings.database_of(config)
    ring = KeyRing.from_text(credentials.store_key("", database=database, environ={}))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(database, ring))
        for number, name, iss in ((1, "corp", CORP), (2, "other", OTHER), (3, "other", OTHER)):
            who = principal(f"{name}{number}", issuer=name)
            held = grant(number, issuer=name, subject=who.subject, iss=iss)
            row = session(number, principal=who, grant=held.id, state=SessionState.OPEN)
            await store.commit([Put(held), Put(row)], [])
        issuers = Issuers(clock, Metrics(), {}, lambda: 1.0)
        stack.push_async_callback(issuers.close)
        running = await issuers.build(config)
        issuers.use(running)
        looked_up = settings.look_up(config, {})
        current = Current(settings.snapshot_of(config, looked_up, running))
        hasher = TokenHasher(store.lookup_key)
        services = services_of(
            current, clock=clock, store=store, issuers=issuers, hasher=hasher, environ={}
        )
        await services.table.load()
        services.events.begin(services.table.sequence)
        endpoints = endpoints_of(
            current,
            services,
            welcome=Welcome(instance=uuid4(), address="/tmp/kx.1"),
            database=database,
            sockets=[],
            control=None,
        )
        started = Started(config=config, ring=ring)
        reload = Reload(path, started, current, services, endpoints, {})
        tasks = await stack.enter_async_context(anyio.create_task_group())
        for run in (services.gate.run, services.table.run, reload.run):
            tasks.start_soon(run)
        tasks.start_soon(services.refresher.run)
        yield Daemon(reload, services, endpoints)
        reload.stop()
        services.table.close()
        tasks.cancel_scope.cancel()
        reload.stop()
        services.table.close()
        tasks.cancel_scope.cancel()


async def test_a_dry_run_says_whom_it_would_end_and_changes_nothing(
    daemon: Daemon, tmp_path: Path
) -> None:
    path = file(tmp_path, "corp")
    path.write_text(path.read_text().replace("[listen]", "[listen]\nport = 7"))
    before = daemon.services.issuers.running
    outcome = await daemon.reload(dry_run=True)
    assert outcome.would_end == {"other": 2}
    assert (outcome.applied, outcome.ended, outcome.errors) == (False, 0, ())
    assert outcome.needs_restart == ("listen.port",)
    assert daemon.live == ["corp", "other", "other"]
    assert daemon.services.issuers.running is before


async def test_a_reload_says_whom_it_has_ended_in_its_answer_and_in_the_log(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file(tmp_path, "corp")
    outcome = await daemon.reload(dry_run=False)
    assert (outcome.applied, outcome.would_end, outcome.ended) == (True, {"other": 2}, 2)
    assert daemon.live == ["corp"]
    said = capsys.readouterr().out
    before, after = said.index("configuration ends sessions"), said.index("configuration applied")
    assert before < after
    again = await daemon.reload(dry_run=False)
    assert (again.applied, again.would_end, again.ended) == (True, {}, 0)


async def test_sessions_of_processes_that_are_cut_off_count_too_and_end_after_their_grace(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = process_key()
    peer = Peer(uid=process.uid, groups=frozenset(), pid=process.pid, started=process.started)
    monkeypatch.setattr(daemon.endpoints.listener, "disallowed", lambda _: [peer])
    outcome = await daemon.reload(dry_run=False)
    assert (outcome.applied, outcome.ended) == (True, 0)
    assert outcome.would_end == {"corp": 1, "other": 2}
    assert daemon.live == ["corp", "other", "other"]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_bad_file_ends_nobody_and_says_why(
    daemon: Daemon, tmp_path: Path, dry_run: bool
) -> None:
    file(tmp_path, "corp", more="\n[login]\ngrace = 'soon'\nwaiting = 0\n")
    outcome = await daemon.reload(dry_run=dry_run)
    assert not outcome.applied
    assert [each.split()[0] for each in outcome.errors] == ["login.grace", "login.waiting"]
    assert daemon.live == ["corp", "other", "other"]


async def test_who_asks_at_the_same_time_is_answered_one_after_the_other(
    daemon: Daemon, tmp_path: Path
) -> None:
    file(tmp_path, "corp")
    ended: list[int] = []

    async def ask() -> None:
        ended.append((await daemon.reload(dry_run=False)).ended)

    daemon.reload.ask()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
    assert ended == [0, 0, 0]  # the one that SIGHUP asked for has ended them
    assert daemon.live == ["corp"]


async def test_who_asks_a_daemon_that_stops_is_told_so(daemon: Daemon) -> None:
    daemon.reload.stop()
    outcome = await daemon.reload(dry_run=False)
    assert (outcome.applied, outcome.errors) == (False, ("the daemon is stopping",))
