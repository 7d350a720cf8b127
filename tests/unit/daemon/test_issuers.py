"""Issuers that are replaced."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from sessiond import config as configuration
from sessiond.clock import SystemClock
from sessiond.config import Config
from sessiond.core.errors import ConfigError
from sessiond.daemon.issuers import Issuers, RunningIssuer
from sessiond.issuers.cached_document import Kept
from sessiond.issuers.http import trust
from sessiond.issuers.jwt import JwtVerifier
from sessiond.jwt.keyset import KeySet
from sessiond.metrics import Metrics

pytestmark = pytest.mark.anyio

TEXT = """
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def read(folder: Path, extra: str = "") -> Config:
    path = folder / "config.toml"
    path.write_text(TEXT + extra)
    return configuration.load(path)


def kept_by(running: RunningIssuer) -> Kept[KeySet]:
    assert isinstance(running.issuer.verifier, JwtVerifier)
    return running.issuer.verifier.keys.kept


@pytest.mark.parametrize(
    ("extra", "is_taken"),
    [
        ('user_claim = "email"', True),
        ('jwks_uri = "https://login.example.com/others"', False),
    ],
)
async def test_the_keys_are_taken_over_as_they_are_when_the_issuer_is_replaced(
    tmp_path: Path, extra: str, is_taken: bool
) -> None:
    issuers = Issuers(SystemClock(), Metrics(), {}, lambda: 1.0)
    try:
        issuers.use(await issuers.build(read(tmp_path)))
        old = kept_by(issuers.running["corp"])
        running = await issuers.build(read(tmp_path, extra))
        old._copy = newest = KeySet(())  # fetched while the others were still being built
        issuers.use(running)
        assert (kept_by(running["corp"]).newest is newest) is is_taken
    finally:
        await issuers.close()


async def test_an_issuer_about_which_nothing_changes_is_left_alone(tmp_path: Path) -> None:
    issuers = Issuers(SystemClock(), Metrics(), {}, lambda: 1.0)
    try:
        issuers.use(await issuers.build(read(tmp_path)))
        before = issuers.running["corp"]
        assert (await issuers.build(read(tmp_path)))["corp"] is before
    finally:
        await issuers.close()


@pytest.fixture
async def issuers() -> AsyncIterator[Issuers]:
    made = Issuers(SystemClock(), Metrics(), {}, lambda: 1.0)
    yield made
    await made.close()


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was loaded to decide whom to trust, in order."""
    files: list[str] = []

    def counted(ca_file: str) -> ssl.SSLContext:
        files.append(Path(ca_file).name)
        return trust(ca_file)

    monkeypatch.setattr("sessiond.daemon.authorities.trust", counted)
    return files


def trusting(folder: Path, *ca_files: str) -> Config:
    """Return a configuration with an issuer for each of the files; empty: the machine's."""
    path = folder / "config.toml"
    path.write_text(
        "".join(
            TEXT.replace("corp", f"corp{number}").replace("login", f"login{number}")
            + f'users = ["*@{number}.example"]\n'
            + (f'ca_file = "{folder / each}"\n' if each else "")
            for number, each in enumerate(ca_files)
        )
    )
    return configuration.load(path)


async def test_issuers_with_the_same_authorities_share_what_is_loaded_of_them(
    issuers: Issuers, loaded: list[str], tmp_path: Path
) -> None:
    one, other = trustme.CA().cert_pem.bytes(), trustme.CA().cert_pem.bytes()
    for name, content in {"one": one, "same": one, "other": other}.items():
        (tmp_path / name).write_bytes(content)
    config = trusting(tmp_path, "one", "", "same", "other", "", "one")
    issuers.use(await issuers.build(config))
    assert loaded == ["one", "", "other"]


async def test_new_content_of_the_same_file_is_loaded(
    issuers: Issuers, loaded: list[str], tmp_path: Path
) -> None:
    for _ in range(2):
        (tmp_path / "ca").write_bytes(trustme.CA().cert_pem.bytes())
        issuers.use(await issuers.build(trusting(tmp_path, "ca", "ca")))
    assert loaded == ["ca", "ca"]


async def test_a_file_that_is_empty_is_not_taken_for_the_machines_authorities(
    issuers: Issuers, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match=r"issuer\[corp1\]\.ca_file"):
        await issuers.build(trusting(tmp_path, "", "empty"))


async def test_a_file_that_is_changed_while_it_is_read_decides_nothing_for_others(
    issuers: Issuers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = trustme.CA().cert_pem.bytes(), trustme.CA().cert_pem.bytes()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(one)

    def after_a_change(ca_file: str) -> ssl.SSLContext:
        (tmp_path / "a").write_bytes(other)
        return trust(ca_file)

    monkeypatch.setattr("sessiond.daemon.authorities.trust", after_a_change)
    with pytest.raises(ConfigError, match=r"issuer\[corp0\]\.ca_file: .*/a was changed"):
        await issuers.build(trusting(tmp_path, "a", "b"))


GRAPH = """
[[issuer]]
name = "corp"
kind = "entra"
issuer = "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0"
verify = "jwt"
audience = ["api://kdb"]
groups = "graph"
roles_claim = ["groups"]
client_id = "44444444-4444-4444-4444-444444444444"
client_secret_file = "{secret}"

[issuer.roles]
"aaaaaaaa-0000-4000-8000-000000000001" = "trader"

[login]
cache_asked = {cache}
"""


def asking_graph(folder: Path, *, cache: float = 30.0) -> Config:
    secret = folder / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    path = folder / "config.toml"
    path.write_text(GRAPH.format(secret=secret, cache=cache))
    return configuration.load(path)


async def test_an_issuer_whose_groups_graph_is_asked_for_has_it_as_a_source(
    issuers: Issuers, tmp_path: Path
) -> None:
    (running,) = (await issuers.build(asking_graph(tmp_path))).values()
    assert running.issuer.roles is not None
    assert [each.name for each in running.issuer.roles.asked] == ["Microsoft Graph"]
    assert running.roles is not None
    assert not running.roles.asks_always
    assert running.refresh_issuer.ready is not None
    await running.issuer.close()


async def test_another_age_of_graphs_answers_makes_another_issuer_and_of_no_other(
    issuers: Issuers, tmp_path: Path
) -> None:
    for is_same, first, then in (
        (False, asking_graph(tmp_path), asking_graph(tmp_path, cache=10.0)),
        (True, read(tmp_path), read(tmp_path, "[login]\ncache_asked = 10.0")),
    ):
        issuers.use(await issuers.build(first))
        before = issuers.running["corp"]
        issuers.use(await issuers.build(then))
        assert (issuers.running["corp"] is before) is is_same


async def test_without_its_secret_graph_is_not_asked_and_the_operator_told(
    issuers: Issuers, tmp_path: Path
) -> None:
    config = asking_graph(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text(path.read_text().replace("client_secret_file", "# "))
    assert config != configuration.load(path)
    with pytest.raises(
        ConfigError, match=r"issuer\[corp\]\.groups is graph: client_secret_file is missing"
    ):
        await issuers.build(configuration.load(path))
