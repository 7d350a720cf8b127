"""The sources are built from the configuration, and those about which nothing changes go on."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
import trustme

from sessiond.config import Config, read
from sessiond.containment import Containment
from sessiond.core.errors import ConfigError
from sessiond.daemon.sources import (
    WITH_A_PASSWORD,
    SourceBuilder,
    SourceServices,
    problems_of_sources,
)
from sessiond.gate.flight import IS_STOPPING
from sessiond.issuers.http import trust
from sessiond.refresher import Refresher, RefreshSettings
from sessiond.sources.fetching import OwnStanding
from sessiond.sources.on_behalf import OnBehalf
from sessiond.sources.seeded import Seeded
from sessiond.table import Table
from tests.fakes import FakeClock, MemoryStore, table_settings, token_hash
from tests.unit.config.test_issuers import issuer
from tests.unit.config.test_source_tables import GUARD, source

pytestmark = pytest.mark.anyio
Made = Callable[..., Config]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def builder(tmp_path: Path) -> AsyncIterator[SourceBuilder]:
    clock = FakeClock()
    table = Table(MemoryStore(), clock, table_settings())
    refresher = Refresher(
        lambda: RefreshSettings(issuers={}, recheck=0.0),
        table,
        clock=clock,
        hashed=lambda token: token_hash(token.reveal()),
        draw=lambda: 0.5,
    )
    services = SourceServices(
        table=table,
        refresher=refresher,
        clock=clock,
        containment=Containment(),
        hashed=lambda token: token_hash(token.reveal()),
        slow_after=lambda: 1.0,
        note=lambda source, outcome: None,
    )
    made = SourceBuilder(services, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
    yield made
    made.close()


@pytest.fixture
def config(tmp_path: Path) -> Made:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("s3cret\n")

    def make(*sources: dict[str, Any], of: str = "", **keys: Any) -> Config:
        tables = [
            source(**{"client_secret_file": str(secret), **keys, **each})
            for each in sources or [{}]
        ]
        return read(issuer() + of + GUARD + "".join(tables))

    return make


async def test_each_grant_is_fetched_in_its_way(builder: SourceBuilder, config: Made) -> None:
    built = await builder.build(
        config(
            {"name": "own"},
            {"name": "users", "grant": "on_behalf_of"},
            {"name": "seeded", "grant": "refresh_token"},
        )
    )
    ways = {name: type(each.source.fetching) for name, each in built.items()}
    assert ways == {"own": OwnStanding, "users": OnBehalf, "seeded": Seeded}
    assert built["seeded"].parts.sign_in is not None


async def test_nothing_is_built_anew_about_which_nothing_has_changed(
    builder: SourceBuilder, config: Made
) -> None:
    first = await builder.begin(config({"name": "a"}, {"name": "b"}))
    builder.use(
        await builder.build(
            config({"name": "a", "processes": ["feed*"]}, {"name": "b", "scope": "x"})
        )
    )
    assert builder.running["a"] is first["a"]  # who may ask is not what it is built from
    assert builder.running["b"] is not first["b"]
    builder.use(await builder.build(config({"name": "b", "scope": "x"})))
    assert list(builder.running) == ["b"]


async def test_one_whose_place_another_has_makes_no_more_calls(
    builder: SourceBuilder, config: Made
) -> None:
    first = (await builder.begin(config()))["quotes"]
    async with anyio.create_task_group() as tasks:
        first.source.begin(tasks, lambda *_: None)
        builder.use(await builder.build(config({"scope": "x"})))
        told = await first.source.join(None).answer()
    assert getattr(told, "detail", "") == IS_STOPPING


async def test_another_secret_in_the_same_file_is_another_source(
    builder: SourceBuilder, config: Made, tmp_path: Path
) -> None:
    first = await builder.begin(config())
    (tmp_path / "secret").write_text("other")
    builder.use(await builder.build(config()))
    assert builder.running["quotes"] is not first["quotes"]


async def test_secrets_may_be_credentials_of_the_service(
    builder: SourceBuilder, config: Made, tmp_path: Path
) -> None:
    (tmp_path / "credentials").mkdir()
    for name in ("client_secret", "password"):
        (tmp_path / f"credentials/source.quotes.{name}").write_text("pw")
        (tmp_path / f"credentials/source.quotes.{name}").chmod(0o400)
    text = config(client_secret_file="", grant="password", username="svc")
    with structlog.testing.capture_logs() as lines:
        built = await builder.begin(text)
    assert lines == [
        {"event": "source uses a password", "log_level": "warning", "source": "quotes"}
    ]
    assert built["quotes"].source._new.args[1] is WITH_A_PASSWORD


async def test_without_its_secret_nothing_of_it_is_used(
    builder: SourceBuilder, config: Made
) -> None:
    with pytest.raises(ConfigError, match=r"source\[b\]: client 'feeds': basic needs a secret"):
        await builder.build(config({"name": "a"}, {"name": "b", "client_secret_file": ""}))
    assert builder.running == {}


async def test_its_own_authorities_count_where_it_stands_alone(
    builder: SourceBuilder, config: Made, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(trustme.CA().cert_pem.bytes())
    alone = {"issuer": None, "token_endpoint": "https://sts.example.com/", "ca_file": str(ca)}
    first = await builder.begin(config(alone))
    ca.write_bytes(trustme.CA().cert_pem.bytes())
    builder.use(await builder.build(config(alone)))
    assert builder.running["quotes"] is not first["quotes"]
    ca.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"source\[quotes\].ca_file: .*wanted certificates in"):
        await builder.build(config(alone))
    ca.unlink()
    with pytest.raises(ConfigError, match=r"source\[quotes\].ca_file: .*wanted certificates in"):
        await builder.build(config(alone))


async def test_authorities_that_are_changed_while_they_are_read_count_for_nobody(
    builder: SourceBuilder, config: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(trustme.CA().cert_pem.bytes())

    def after_a_change(ca_file: str) -> ssl.SSLContext:
        ca.write_bytes(trustme.CA().cert_pem.bytes())
        return trust(ca_file)

    monkeypatch.setattr("sessiond.daemon.authorities.trust", after_a_change)
    alone = {"issuer": None, "token_endpoint": "https://sts.example.com/", "ca_file": str(ca)}
    with pytest.raises(ConfigError, match=r"source\[quotes\]\.ca_file: .*was changed while"):
        await builder.build(config(alone))


async def test_what_a_start_would_refuse_is_found_before(config: Made, tmp_path: Path) -> None:
    wrong = config(
        {"name": "a"},
        {"name": "b", "client_secret_file": str(tmp_path / "none")},
        {"name": "c", "client_secret_file": ""},
    )
    found = [str(each) async for each in problems_of_sources(wrong, {}, FakeClock())]
    assert [each.partition(":")[0] for each in found] == [
        "source[b].client_secret_file",
        "source[c]",
    ]
