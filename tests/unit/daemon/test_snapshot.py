"""Whoever reads what is configured keeps nothing of it: a reload can forget no copy."""

import gc
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, cast
from uuid import UUID

import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from sessiond import config as configuration
from sessiond.clock import SystemClock
from sessiond.daemon.issuers import Issuers
from sessiond.daemon.services import Endpoints, Services, endpoints_of, services_of
from sessiond.daemon.settings import look_up, snapshot_of
from sessiond.daemon.snapshot import Current, Snapshot
from sessiond.kdb.welcome import Welcome
from sessiond.metrics import Metrics
from sessiond.store.sealing import TokenHasher
from tests.fakes import MemoryStore

pytestmark = pytest.mark.anyio

# Where the default is a small number, Python has one object for all that are equal.
TEXT = """
[listen]
max_connections = 5000
max_message = 1000000
allow_users = [12345]
subscribers = [12346]
control_readers = [12347]

[login]
max_sessions = 20000

[events]
max_attempts = 2000

[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "userinfo"
prove_by_refresh = true

[[subscriber]]
plugin = "audit"
"""
SHARED = (str, bytes, bool, type(None), type, ModuleType, CodeType, BuiltinFunctionType)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def reached(*roots: object) -> dict[int, object]:
    """Return all objects that hang on these, by their ids, but what is in the cell itself."""
    found: dict[int, object] = {}
    ahead = list(roots)
    while ahead:
        each = ahead.pop()
        is_small = isinstance(each, int) and each <= 256
        if id(each) in found or is_small or isinstance(each, (*SHARED, Current)):
            continue
        found[id(each)] = each
        if isinstance(each, FunctionType):  # its globals are everybody's
            ahead += [*(each.__closure__ or ()), *(each.__defaults__ or ())]
        else:
            ahead += gc.get_referents(each)
    return found


async def built(folder: Path) -> tuple[Snapshot, Issuers, Services, Endpoints]:
    """Return the daemon as it is put together, and what it reads."""
    path = folder / "config.toml"
    path.write_text(TEXT)
    config, clock = configuration.load(path), SystemClock()
    issuers = Issuers(clock, Metrics(), {}, lambda: current.now.slow_after)
    running = await issuers.build(config)
    issuers.use(running)
    current = Current(snapshot_of(config, look_up(config, {}), running))
    services = services_of(
        current,
        clock=clock,
        store=cast("Any", MemoryStore()),
        issuers=issuers,
        hasher=TokenHasher(bytes(32)),
        environ={},
    )
    endpoints = endpoints_of(
        current,
        services,
        welcome=Welcome(instance=UUID(int=1), address="/tmp/kx.5099"),
        database=folder / "sessiond.db",
        sockets=[],
        control=None,
    )
    return current.now, issuers, services, endpoints


async def test_nobody_keeps_what_is_in_the_snapshot(tmp_path: Path) -> None:
    snapshot, issuers, services, endpoints = await built(tmp_path)
    held = reached(services, endpoints)
    try:
        # What an issuer is made of it has for as long as it runs, and so has its gate.
        of_issuers = reached(issuers.running, snapshot.gate.issuers)
        parts = reached(snapshot).keys() - of_issuers.keys()
        assert len(parts) > 40
        assert {id(services.table), id(endpoints.listener), id(services.subscribers)} <= held.keys()
        assert [held[each] for each in parts & held.keys()] == []
    finally:
        await issuers.close()
        for stream in held.values():
            if isinstance(stream, MemoryObjectSendStream | MemoryObjectReceiveStream):
                stream.close()
