"""A database that is not whole, or not ours, keeps the daemon from starting, and stays as it was.

test_storage_faults.py is about a disk that fails while the daemon runs.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from sessiond.config.credentials import new_key, store_key
from sessiond.core.rows import NameOwner, Put
from sessiond.store import opened
from sessiond.store.sealing import KeyRing
from sessiond.store.sqlite import VERSION
from sessiond.testing import FakeProcess
from tests.fakes import grant, opened_event, session
from tests.running_daemon import DaemonError, RunningDaemon

BARE = """
[listen]
port = {port}
directory = "{folder}"
[store]
path = "{folder}/store/sessiond.db"
[[issuer]]
name = "corp"
issuer = "http://localhost:9/"
insecure_http = true
verify = "jwt"
audience = ["api://kdb"]
"""

# root's programs write wherever they like, unless they are started without that capability
BOUND_BY_MODES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ("env",)
)


@contextmanager
def started_by(folder: Path, *program: str) -> Iterator[None]:
    """Have daemons started by another program, such as prlimit(1)."""
    starter = folder / "starter"
    starter.write_text(f'#!/bin/sh\nexec {" ".join(program)} {sys.executable} "$@"\n')
    starter.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(starter))
        yield


@pytest.fixture
def rested(folder: Path) -> Path:
    """A database with a session in it, and its key; the daemon rests."""
    path = folder / "store" / "sessiond.db"
    path.parent.mkdir(0o700)
    ring = KeyRing.from_text(store_key("", database=path, environ={}))

    async def fill() -> None:
        async with opened(path, ring) as store:
            alice = NameOwner(name="alice", issuer="corp", subject="1")
            await store.commit([Put(grant()), Put(session()), Put(alice)], [opened_event()])

    anyio.run(fill)
    return path


def refusal(rested: Path) -> str:
    """Start a daemon that must not start, and return how it ended; the files stay as they were."""
    before = contents(rested.parent)
    with pytest.raises(DaemonError) as refused:
        RunningDaemon(rested.parent.parent, BARE)
    assert contents(rested.parent) == before
    return str(refused.value)


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in the files that are not empty, but for the lock: who has tried last."""
    files = [each for each in folder.iterdir() if each.suffix != ".lock" and each.stat().st_size]
    return {each.name: each.read_bytes() for each in files}


def page_of(path: Path, name: str) -> tuple[int, int]:
    """Return where the root page of a table or index begins, and its size."""
    with closing(sqlite3.connect(path)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        found = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))
        (page,) = found.fetchone()
    return (page - 1) * size, size


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


PAGES = ["sessions", "grants", "tokens", "names", "revocations", "events", "events_at", "keys"]


@pytest.mark.parametrize("page", [*PAGES, "sqlite_sequence"])
def test_a_page_that_was_overwritten_keeps_the_daemon_from_starting(
    rested: Path, page: str
) -> None:
    at, size = page_of(rested, page)
    overwrite(rested, at, b"\xff" * size)
    ended = refusal(rested)
    assert ended.startswith("exit 78:")
    assert "sessiond: store.path: " in ended
    assert str(rested) in ended


@pytest.mark.parametrize("damage", ["header", "half"])
def test_what_is_no_whole_database_keeps_the_daemon_from_starting(
    rested: Path, damage: str
) -> None:
    if damage == "header":
        overwrite(rested, 0, os.urandom(100))
    else:
        os.truncate(rested, rested.stat().st_size // 2)
    ended = refusal(rested)
    assert ended.startswith("exit 78:")
    assert f"sessiond: store.path: {rested} cannot be used: " in ended


def test_a_newer_schema_keeps_the_daemon_from_starting(rested: Path) -> None:
    with closing(sqlite3.connect(rested)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    ended = refusal(rested)
    assert ended.startswith("exit 78:")
    assert f"{rested} has schema {VERSION + 1}, wanted {VERSION} at most: run the newer" in ended


def test_a_wrong_or_missing_key_keeps_the_daemon_from_starting_and_the_right_one_lets_it(
    rested: Path,
) -> None:
    key_file = rested.with_name("sessiond.db.key")
    right = key_file.read_text()
    for wrong in (new_key().reveal(), f"2:{new_key().reveal()}"):
        key_file.write_text(f"{wrong}\n")
        ended = refusal(rested)
        assert ended.startswith("exit 78:")
        assert (
            f"sessiond: store.key_file: {rested} was sealed with another key, wanted that: bring"
            in ended
        )
        assert wrong not in ended
    key_file.unlink()
    ended = refusal(rested)
    assert ended.startswith("exit 78:")
    assert (
        f"{rested} is there but its key {key_file} is not, wanted both: bring the key back" in ended
    )
    assert not key_file.exists()
    key_file.write_text(right)
    key_file.chmod(0o600)
    with RunningDaemon(rested.parent.parent, BARE):
        pass


def test_a_database_that_is_gone_is_made_anew_and_that_is_told(rested: Path) -> None:
    with RunningDaemon(rested.parent.parent, BARE) as daemon:
        assert "database made" not in {entry["event"] for entry in daemon.log()}
        daemon.stop()
        rested.unlink()
        daemon.start()
        (told,) = [entry for entry in daemon.log() if entry["event"] == "database made"]
        assert (told["path"], told["level"]) == (str(rested), "warning")


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_database_that_may_not_be_written_keeps_the_daemon_from_starting(
    rested: Path, closed: str
) -> None:
    path = rested if closed == "file" else rested.parent
    mode = path.stat().st_mode
    path.chmod(mode & 0o500)
    try:
        with started_by(rested.parent.parent, *BOUND_BY_MODES):
            ended = refusal(rested)
    finally:
        path.chmod(mode)
    assert ended.startswith("exit 78:")
    assert f"sessiond: store.path: {rested} cannot be " in ended


def test_a_full_disk_keeps_the_daemon_from_starting_and_costs_nothing(rested: Path) -> None:
    with started_by(rested.parent.parent, "prlimit", "--fsize=0:"):
        ended = refusal(rested)
    assert ended.startswith("exit 78:")
    assert f"sessiond: store.path: {rested} cannot be used: " in ended
    with RunningDaemon(rested.parent.parent, BARE) as daemon:
        daemon.stop()
    with closing(sqlite3.connect(rested)) as db:
        assert list(db.execute("SELECT name FROM names")) == [("alice",)]


@pytest.mark.parametrize("name", ["sessiond.db", "alias.db"])
def test_a_second_daemon_on_the_same_database_is_kept_out(rested: Path, name: str) -> None:
    (rested.parent / "alias.db").symlink_to(rested)
    with RunningDaemon(rested.parent.parent, BARE) as daemon, FakeProcess(daemon.address) as q:
        with pytest.raises(DaemonError) as refused:  # at another port
            RunningDaemon(rested.parent.parent, BARE.replace("sessiond.db", name))
        ended = str(refused.value)
        assert ended.startswith("exit 73:")
        assert f"sessiond: store.path: another sessiond is using {rested}" in ended
        q.hello()
