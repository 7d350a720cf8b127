"""Issuers that are replaced."""

from pathlib import Path

import pytest

from sessiond import config as configuration
from sessiond.clock import SystemClock
from sessiond.config import Config
from sessiond.daemon.issuers import Issuers, RunningIssuer
from sessiond.issuers.cached_document import Kept
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
    issuers = Issuers(SystemClock(), Metrics(), {})
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
    issuers = Issuers(SystemClock(), Metrics(), {})
    try:
        issuers.use(await issuers.build(read(tmp_path)))
        before = issuers.running["corp"]
        assert (await issuers.build(read(tmp_path)))["corp"] is before
    finally:
        await issuers.close()
