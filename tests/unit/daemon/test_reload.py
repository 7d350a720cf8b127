"""A reload as a service: what it would do, what it has done, and one after the other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from msgspec import structs

from sessiond import config as configuration
from sessiond import log
from sessiond.clock import SystemClock
from sessiond.config import credentials
from sessiond.core.changes import Reassess
from sessiond.core.errors import StoreError
from sessiond.core.rows import Put
from sessiond.core.session import SessionState
from sessiond.daemon import reload as reload_module
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
from tests.fakes import (
    grant,
    principal,
    process_about,
    process_key,
    session,
    session_id,
)
from tests.unit.kdb.test_process_access import Line

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


async def test_what_ends_with_another_session_is_counted_with_it(
    daemon: Daemon, tmp_path: Path
) -> None:
    parent = next(each for each in daemon.services.table.sessions() if each.handle == 1)
    at = {"process": process_key(200), "about": process_about(200)}
    child = structs.replace(parent, id=session_id(9), parent=parent.id, hops=1, handle=9, **at)
    daemon.services.table._rows.apply(Put(child))
    rules = [
        '[[access.process]]\nname = "rdb100"\nusers = ["other*"]',
        '[[access.process]]\nname = "rdb200"',
    ]
    file(tmp_path, "corp", "other", more="\n".join(rules))
    assert (await daemon.reload(dry_run=True)).would_end == {"corp": 2}
    outcome = await daemon.reload(dry_run=False)
    assert outcome.ended == 2
    assert daemon.live == ["other", "other"]


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


ACCESS = """
[[access.process]]
name = "rdb100"
peers = [{peers}]
users = ["corp*", "other2"]
"""


@pytest.mark.parametrize("dry_run", [True, False])
async def test_sessions_that_a_ceiling_no_longer_admits_are_counted_and_ended(
    daemon: Daemon, tmp_path: Path, dry_run: bool
) -> None:
    file(tmp_path, "corp", "other", more=ACCESS.format(peers=""))
    outcome = await daemon.reload(dry_run=dry_run)
    assert outcome.would_end == {"other": 1}
    assert outcome.ended == (0 if dry_run else 1)
    assert daemon.live == (["corp", "other", "other"] if dry_run else ["corp", "other"])
    if not dry_run:
        again = await daemon.reload(dry_run=False)
        assert (again.would_end, again.ended) == ({}, 0)


async def test_sessions_of_a_process_whose_name_is_not_its_own_any_more_are_counted(
    daemon: Daemon, tmp_path: Path
) -> None:
    process, about = process_key(), process_about()
    peer = Peer(uid=process.uid, groups=frozenset(), pid=process.pid, started=process.started)
    line = Line(daemon.services.connected, process)
    daemon.services.connected.enter(process, line, about, peer=peer)
    file(tmp_path, "corp", "other", more=ACCESS.format(peers="0"))
    outcome = await daemon.reload(dry_run=True)
    assert outcome.would_end == {"corp": 1, "other": 2}
    assert not line.is_cut
    outcome = await daemon.reload(dry_run=False)
    assert (outcome.would_end, outcome.ended) == ({"corp": 1, "other": 2}, 1)
    assert line.is_cut


async def test_a_look_at_all_sessions_that_the_disk_refused_is_taken_again_by_the_next_reload(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ask = daemon.services.table.ask

    async def refused(change: Any) -> Any:
        if not isinstance(change, Reassess):
            return await ask(change)
        asked.append(change)
        raise StoreError("the disk is full")

    monkeypatch.setattr(daemon.services.table, "ask", refused)
    path = file(tmp_path, "corp", "other", more=ACCESS.format(peers=""))
    assert (await daemon.reload(dry_run=False)).applied
    assert len(asked) == 1
    monkeypatch.setattr(daemon.services.table, "ask", ask)
    path.write_text(f"{path.read_text()}\n# again\n")
    await daemon.reload(dry_run=False)
    assert daemon.live == ["corp", "other"]


async def test_a_file_that_is_another_only_by_its_bytes_has_nobody_judged_anew(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(tmp_path, "corp", "other", more="# another\n")
    monkeypatch.setattr(reload_module, "reassess", None)
    assert (await daemon.reload(dry_run=False)).applied
    assert daemon.live == ["corp", "other", "other"]
