"""A socket's path that is gone is bound again where it is ours, and nobody else's is touched."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from sessiond.core.errors import AddressInUseError
from sessiond.kdb.addresses import bound_again
from sessiond.system.path_watch import EVERY, PathWatch
from sessiond.system.socket_file import SocketFile
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio

Watched = Callable[..., PathWatch]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Yield where a socket listens."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        yield tmp_path / "s"


def watched(path: Path, *, is_ours: bool = True) -> PathWatch:
    file = SocketFile(str(path))
    file.note()

    async def bind() -> None:
        bound_again(str(path)).close()

    return PathWatch(file, bind_again=bind if is_ours else None)


async def told(watch: PathWatch, *, looks: int = 1) -> list[tuple[object, ...]]:
    with capture_logs() as logs:
        for _ in range(looks):
            await watch.look()
    return [(each["event"], each["log_level"]) for each in logs]


async def test_what_is_there_is_left_alone(path: Path) -> None:
    assert await told(watched(path), looks=3) == []


async def test_a_path_that_is_gone_is_bound_again_as_often_as_it_goes(path: Path) -> None:
    watch = watched(path)
    for _ in range(2):
        path.unlink()
        assert await told(watch, looks=2) == [("socket path was gone, bound again", "warning")]
        assert path.is_socket()


async def test_what_systemd_has_bound_is_told_of_once(path: Path) -> None:
    watch = watched(path, is_ours=False)
    path.unlink()
    assert await told(watch, looks=3) == [("socket path gone", "error")]
    assert not path.exists()


@pytest.mark.parametrize("kind", ["socket", "link", "file"])
async def test_somebody_elses_file_is_told_of_and_never_removed(path: Path, kind: str) -> None:
    watch = watched(path)
    moved = path.rename(path.with_name("moved"))
    with socket.socket(socket.AF_UNIX) as other:
        match kind:
            case "socket":
                other.bind(str(path))  # and nobody listens: a start would take it over
            case "link":
                path.symlink_to(moved)
            case _:
                path.touch()
        inode = path.lstat().st_ino
        assert await told(watch, looks=3) == [("socket path taken", "error")]
        assert path.lstat().st_ino == inode
    path.unlink()
    assert await told(watch) == [("socket path was gone, bound again", "warning")]


async def test_who_is_quicker_keeps_the_path(path: Path) -> None:
    with pytest.raises(AddressInUseError):
        bound_again(str(path))

    async def too_late() -> None:
        raise AddressInUseError("somebody has it")

    file = SocketFile(str(path))
    file.note()
    path.unlink()
    assert await told(PathWatch(file, bind_again=too_late), looks=2) == [
        ("socket path gone", "error")
    ]


async def test_it_looks_now_and_then_until_it_is_stopped(path: Path) -> None:
    watch, clock = watched(path), FakeClock()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run, clock)
        await anyio.lowlevel.checkpoint()
        path.unlink()
        await clock.advance(EVERY)
        assert path.is_socket()
        watch.stop()


def test_a_path_that_is_somebody_elses_is_not_removed_at_the_end(path: Path) -> None:
    file = SocketFile(str(path))
    file.remove()  # nothing was noted
    assert path.is_socket()
    file.note()
    path.rename(path.with_name("moved"))
    path.touch()
    file.remove()
    assert path.exists()
    path.with_name("moved").rename(path)
    file.remove()
    assert file.is_gone


def test_where_no_socket_is_none_is_noted(tmp_path: Path) -> None:
    file = SocketFile(str(tmp_path / "none" / "s"))
    file.note()
    assert not file.is_noted
    (tmp_path / "s").touch()
    other = SocketFile(str(tmp_path / "s"))
    other.note()
    assert not other.is_noted
