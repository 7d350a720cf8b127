"""Every key of the configuration counts: it is in the snapshot, or a restart is asked for."""

import ssl
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from weakref import WeakKeyDictionary

import msgspec
import pytest

from sessiond import config as configuration
from sessiond.clock import SystemClock
from sessiond.config import (
    Config,
    GrantConfig,
    IssuerConfig,
    ProcessConfig,
    RoleSourceConfig,
    SourceConfig,
    SubscriberConfig,
    WebClientConfig,
)
from sessiond.containment import Containment
from sessiond.core.rules import WebRules
from sessiond.daemon import authorities as authorities_module
from sessiond.daemon import issuers as issuers_module
from sessiond.daemon.issuers import Issuers
from sessiond.daemon.reload import NEEDS_RESTART, needing_restart
from sessiond.daemon.settings import look_up, snapshot_of
from sessiond.daemon.snapshot import Snapshot
from sessiond.daemon.sources import SourceBuilder, SourceServices
from sessiond.extensions.issuer_plugins import Plugged
from sessiond.metrics import Metrics
from sessiond.refresher import Refresher, RefreshSettings
from sessiond.table import Table
from tests.fakes import MemoryStore, table_settings, token_hash

pytestmark = pytest.mark.anyio

TEXT = """
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
users = ["alice"]

[[issuer]]
name = "online"
issuer = "https://other.example.com/"
verify = "userinfo"
users = ["bob"]

[tickets]
audiences = ["rdb*"]

[stores]
users = ["root"]

[[access.process]]
name = "rdb*"
peers = ["root"]

[[source]]
name = "quotes"
issuer = "corp"
client_id = "feeds"
client_secret_file = "{secret}"

[[role_source]]
plugin = "directory"

[[subscriber]]
plugin = "audit"
"""
HELD = {"grant": GrantConfig(users=("a",), roles=("b",)), "process": ProcessConfig()}
OTHER = {
    ("web", "bases"): ("https://gw.example.com:5007",),
    ("sources", "grant"): "on_behalf_of",
    ("sources", "processes"): ("feed*",),
}
ARRAYS = {
    "issuers": IssuerConfig,
    "role_sources": RoleSourceConfig,
    "sources": SourceConfig,
    "subscribers": SubscriberConfig,
}
BUILDERS = WeakKeyDictionary[Issuers, SourceBuilder]()
Key = tuple[str, str]


def keys() -> Iterator[Key]:
    """Return every key that there is, with its table."""
    for table in msgspec.structs.fields(Config):
        if table.name == "digest":  # what the others come to
            continue
        members = get_args(table.type)  # of a table that may be missing: it, and None
        struct = ARRAYS.get(table.name, members[0] if members else table.type)
        for key in msgspec.structs.fields(struct):
            yield table.name, key.name


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no plugin looked for, and no authorities read 100 times."""

    async def plugged_in(config: IssuerConfig, *_: object, **__: object) -> Plugged:
        return Plugged(config=config, verifier=None, roles=None)

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(issuers_module, "plugged_in", plugged_in)
    monkeypatch.setattr(issuers_module, "build_graph", lambda *_, **__: None)  # has no secret
    monkeypatch.setattr(authorities_module, "trust", lambda _: tls)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.toml"
    secret = tmp_path / "client"
    secret.touch(mode=0o600)
    secret.write_text("the secret of a client")
    path.write_text(TEXT.replace("{secret}", str(secret)))
    return configuration.load(path)


def changed(config: Config, key: Key, file: Path) -> Config:
    """Return a configuration with another value of one key alone."""
    value: Any
    table, name = key
    was = getattr(config, table)
    one = was[0] if table in ARRAYS else was
    (kind,) = (each.type for each in msgspec.structs.fields(one) if each.name == name)
    if key in OTHER:
        value = OTHER[key]
    elif key in (("stores", "users"), ("tickets", "exchangers")):
        value = (12345,)
    elif table == "access" and name in HELD:
        value = (HELD[name],)
    else:
        value = str(file) if name.endswith("_file") else another(getattr(one, name), kind)
    changed = msgspec.structs.replace(one, **{name: value})
    now = (changed, *was[1:]) if table in ARRAYS else changed
    return msgspec.structs.replace(config, **{table: now})


def another(value: Any, kind: Any) -> Any:
    """Return another value of a key's type."""
    if get_origin(kind) is Literal:
        return next(each for each in reversed(get_args(kind)) if each not in (value, "plugin"))
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case tuple():
            return value[:-1] if value else (12345,)
        case dict():
            return {**value, "one": "more"}
        case None:
            return WebClientConfig(client_id="kdb-web")
        case _:
            raise TypeError(f"no other value of {value!r}")


async def snapshot(issuers: Issuers, config: Config) -> Snapshot:
    """Return what becomes of a configuration, and go on with it."""
    running = await issuers.build(config)
    issuers.use(running)
    builder = BUILDERS.setdefault(issuers, source_builder())
    builder.use(await builder.build(config))
    return snapshot_of(config, look_up(config, {}), running, builder.running)


def source_builder() -> SourceBuilder:
    """Return what builds sources that ask nobody."""
    clock = SystemClock()
    table = Table(MemoryStore(), clock, table_settings())
    services = SourceServices(
        table=table,
        refresher=Refresher(
            lambda: RefreshSettings(issuers={}, recheck=0.0),
            table,
            clock=clock,
            hashed=lambda token: token_hash(token.reveal()),
            draw=lambda: 0.5,
        ),
        clock=clock,
        containment=Containment(),
        hashed=lambda token: token_hash(token.reveal()),
        slow_after=lambda: 1.0,
        note=lambda source, outcome: None,
    )
    return SourceBuilder(services, {})


def are_equal(one: Snapshot, other: Snapshot) -> bool:
    try:
        return one == other
    except TypeError:  # one has a secret that the other has not: those are not compared
        return False


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (table, field.name)
        for table, held in HELD.items()
        for field in msgspec.structs.fields(type(held))
    ],
)
async def test_a_key_of_a_table_in_a_table_is_in_the_snapshot(
    config: Config, table: str, key: str
) -> None:
    held = HELD[table]
    (kind,) = (each.type for each in msgspec.structs.fields(held) if each.name == key)
    value = (12345,) if key == "peers" else another(getattr(held, key), kind)
    now = msgspec.structs.replace(held, **{key: value})
    access = msgspec.structs.replace(config.access, **{table: (held,)})
    other = msgspec.structs.replace(config.access, **{table: (now,)})
    issuers = Issuers(SystemClock(), Metrics(), {}, lambda: 1.0)
    try:
        before = await snapshot(issuers, msgspec.structs.replace(config, access=access))
        after = await snapshot(issuers, msgspec.structs.replace(config, access=other))
    finally:
        await issuers.close()
    assert after != before


async def test_what_is_told_of_the_configuration_is_its_digest(
    config: Config, tmp_path: Path
) -> None:
    issuers = Issuers(SystemClock(), Metrics(), {}, lambda: 1.0)
    try:
        told = (await snapshot(issuers, config)).table.rules.access.configuration
    finally:
        await issuers.close()
    assert told == sha256((tmp_path / "config.toml").read_bytes()).hexdigest()


async def test_no_login_over_http_may_be_idle_for_longer_than_it_lives(config: Config) -> None:
    web = msgspec.structs.replace(config.web, session=60.0)
    issuers = Issuers(SystemClock(), Metrics(), {}, lambda: 1.0)
    try:
        now = await snapshot(issuers, msgspec.structs.replace(config, web=web))
    finally:
        await issuers.close()
    minute = timedelta(minutes=1)
    assert now.table.rules.web == WebRules(idle=minute, session=minute)
    assert now.web.idle == minute


@pytest.mark.parametrize("key", [*keys()], ids=".".join)
async def test_a_key_is_in_the_snapshot_or_asks_for_a_restart(
    config: Config, key: Key, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_text("a secret, long enough for anybody to have")
    now = changed(config, key, file)
    issuers = Issuers(SystemClock(), Metrics(), {}, lambda: 1.0)
    try:
        before = await snapshot(issuers, config)
        assert await snapshot(issuers, config) == before  # so what differs below is the key's doing
        is_in_it = not are_equal(await snapshot(issuers, now), before)
    finally:
        await issuers.close()
    asks = needing_restart(config, now)
    assert asks == ((".".join(key),) if key in NEEDS_RESTART else ())
    assert is_in_it is not bool(asks)
