"""A new store key takes the place of the old one, as often as wanted, and whatever else runs."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from sessiond.config import StoreConfig
from sessiond.config.credentials import find_store_key, new_key
from sessiond.core.errors import ConfigError, NotNowError
from sessiond.core.grant import Grant
from sessiond.core.secret import Secret
from sessiond.store import opened, rotation
from sessiond.store.hold import Holder, held, holder
from sessiond.store.rotation import Rotation, rotation_of
from sessiond.store.sealing import MAX_KEY_ID, KeyRing
from tests.fakes import refreshable

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a database is, whose key is beside it, with a refresh token."""
    key = tmp_path / "sessiond.db.key"
    key.write_text(f"{new_key().reveal()}\n")
    key.chmod(0o600)
    anyio.run(fill, tmp_path / "sessiond.db")
    return tmp_path / "sessiond.db"


def ring(path: Path) -> KeyRing:
    text = find_store_key("", database=path, environ={})
    assert text is not None
    return KeyRing.from_text(text)


async def fill(path: Path) -> None:
    async with opened(path, ring(path)) as store:
        await store.commit([refreshable(1, "one")], [])


async def kept(path: Path) -> list[str]:
    """Return the refresh tokens that the keys of now open."""
    async with opened(path, ring(path)) as store:
        rows = (await store.load()).rows
        found = [await store.refresh_token(row.id) for row in rows if isinstance(row, Grant)]
    return [each.reveal() for each in found if each is not None]


def rotation_for(path: Path, told: list[str], environ: dict[str, str] | None = None) -> Rotation:
    return rotation_of(StoreConfig(path=str(path)), environ or {}, told.append)


async def test_a_key_is_changed_as_often_as_wanted(path: Path) -> None:
    for number in (2, 3, 4):
        told: list[str] = []
        rotation_for(path, told).run()
        assert (ring(path).current, ring(path).older) == (number, [])
        assert told[0] == f"{path}.key: key {number} is made"
        assert told[1].endswith(f"2 values sealed anew with key {number}")
        assert f"key {number - 1} is taken out" in told[2]
        assert "backups" in told[3]
        assert await kept(path) == ["one"]
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "sessiond.db",
        "sessiond.db.key",
        "sessiond.db.lock",
    ]


async def test_one_that_was_begun_is_gone_on_with_and_makes_no_third_key(path: Path) -> None:
    key = path.with_name("sessiond.db.key")
    key.write_text(f"# ours\n1:{key.read_text()}7:{new_key().reveal()}\n")
    told: list[str] = []
    rotation_for(path, told).run()
    assert told[0] == "going on with key 7, which is there already"
    assert (ring(path).current, ring(path).older) == (7, [])
    assert key.read_text().startswith("# ours\n7:")
    assert await kept(path) == ["one"]


async def running(path: Path, hear: Callable[[], None]) -> None:
    """Be a daemon on the database for as long as the test lasts."""
    with anyio.open_signal_receiver(signal.SIGHUP) as hangups:
        async with opened(path, ring(path)) as store:
            await store.commit([refreshable(2, "two")], [])
            async for _ in hangups:
                hear()
                store.seal_with(ring(path))
                await store.commit([refreshable(3, "three")], [])
                store.tell_key()


async def test_a_daemon_that_runs_takes_the_new_key_up_before_the_old_one_goes(
    path: Path,
) -> None:
    at_hangup: list[list[int]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(running, path, lambda: at_hangup.append(ring(path).older))
        while holder(path) != Holder(os.getpid(), 1):
            await anyio.lowlevel.checkpoint()
        await anyio.to_thread.run_sync(rotation_for(path, []).run)
        tasks.cancel_scope.cancel()
    assert at_hangup == [[1]]  # both were there
    assert (ring(path).current, ring(path).older) == (2, [])
    assert sorted(await kept(path)) == ["one", "three", "two"]


async def test_while_the_daemon_keeps_to_the_old_key_it_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "_hang_up", lambda *_: None)
    async with opened(path, ring(path)) as store:
        waiting = Rotation(
            database=path,
            user=os.getuid(),
            file=path.with_name("sessiond.db.key"),
            text=rotation_for(path, []).text,
            tell=lambda _: None,
            within=0.0,
        )
        with pytest.raises(NotNowError, match="has not taken up key 2"):
            waiting.run()
        await store.commit([refreshable(2, "two")], [])
    assert (ring(path).current, ring(path).older) == (2, [1])
    rotation_for(path, []).run()
    assert sorted(await kept(path)) == ["one", "two"]


def test_only_a_process_of_the_databases_owner_is_asked_to_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda *_: heard.append(1))
    try:
        rotation._hang_up(os.getpid(), os.getuid())
        assert heard == [1]
        rotation._hang_up(os.getpid(), 4711)
        monkeypatch.setattr(rotation, "_uids", lambda _: [os.getuid(), 4711])  # as of a setuid one
        rotation._hang_up(os.getpid(), os.getuid())
        for nobody in (2**22 + 1, -1, 0, 10**30):  # the first is above the highest pid
            rotation._hang_up(nobody, os.getuid())
        assert heard == [1]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_at_a_time_wait_for_each_other(path: Path) -> None:
    with rotation_for(path, [])._alone(), pytest.raises(NotNowError, match="another rekey"):
        rotation_for(path, []).run()
    assert ring(path).older == []


def test_without_a_database_no_key_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no database"):
        rotation_for(tmp_path / "none.db", [])


def test_a_key_that_nobody_can_see_is_said_to_be_so(path: Path) -> None:
    path.with_name("sessiond.db.key").unlink()
    with pytest.raises(ConfigError, match="no systemd credential to be seen"):
        rotation_for(path, []).run()


def test_the_last_id_has_no_next(path: Path) -> None:
    key = path.with_name("sessiond.db.key")
    key.write_text(f"{MAX_KEY_ID}:{new_key().reveal()}\n")
    with pytest.raises(ConfigError, match="no id after"):
        rotation_for(path, []).run()


@pytest.mark.usefixtures("path")
async def test_a_credential_is_left_to_the_operator_and_gone_on_with(
    path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    store = folder / "store"
    old = path.with_name("sessiond.db.key").read_text().strip()
    path.with_name("sessiond.db.key").rename(store)
    environ, told = {"CREDENTIALS_DIRECTORY": str(folder)}, list[str]()
    with pytest.raises(NotNowError) as first:
        rotation_for(path, told, environ).run()
    assert "printf 2:; sessiond keygen" in str(first.value)
    assert old not in str(first.value)
    store.write_text(f"{old}\n2:{new_key().reveal()}\n")
    store.chmod(0o600)
    with held(path) as hold:
        hold.note_key(1)
        with pytest.raises(
            NotNowError, match="does not seal with key 2 yet, wanted that: restart it"
        ):
            rotation_for(path, told, environ).run()
    rotation_for(path, told, environ).run()
    assert told[0] == told[1] == "going on with key 2, which is there already"
    assert "grep -Ev '^(1:|[^:]*$)'" in told[3]
    new_alone = Secret(store.read_text().splitlines()[1])
    async with opened(path, KeyRing.from_text(new_alone)) as database:
        assert len((await database.load()).rows) == 1
