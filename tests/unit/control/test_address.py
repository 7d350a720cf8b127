"""The control socket's file: made, taken over, passed, and removed."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sessiond.control import address
from sessiond.control.address import control_socket
from sessiond.core.errors import AddressInUseError, ConfigError, NotNowError
from sessiond.system import socket_file


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sd-") as folder:
        yield Path(folder, "control.sock")


def bound(path: Path, *, listens: bool) -> socket.socket:
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(path))
    if listens:
        held.listen()
    return held


def test_the_socket_listens_for_its_owner_and_group_and_is_gone_at_the_end(path: Path) -> None:
    before = os.umask(0o077)
    try:
        with control_socket(str(path), group="", passed=()) as listener:
            assert listener is not None
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
    finally:
        os.umask(before)
    assert not path.exists()


def test_the_socket_is_given_to_its_group(path: Path) -> None:
    group = (os.getgroups() or [os.getgid()])[-1] if os.geteuid() else 64998
    with control_socket(str(path), group=group, passed=()):
        assert path.stat().st_gid == group


def test_a_group_that_does_not_exist_is_named_and_nothing_stays_open(path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"listen.control_group: no group"),
        control_socket(str(path), group="no-such-group", passed=()),
    ):
        pass


def test_a_path_that_nobody_listens_on_is_taken_over(path: Path) -> None:
    bound(path, listens=False).close()
    with control_socket(str(path), group="", passed=()), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))


def test_a_path_that_somebody_listens_on_is_left_alone(path: Path) -> None:
    with (
        bound(path, listens=True),
        pytest.raises(AddressInUseError, match=r"listen.control"),
        control_socket(str(path), group="", passed=()),
    ):
        pass
    assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with (
        pytest.raises(AddressInUseError, match="is no socket"),
        control_socket(str(path), group="", passed=()),
    ):
        pass
    assert path.read_text() == "precious"


def test_a_link_is_neither_followed_nor_removed(path: Path) -> None:
    with bound(path.with_name("somebody"), listens=True) as somebody:
        path.symlink_to(path.with_name("somebody"))
        with (
            pytest.raises(AddressInUseError, match=r"listen\.control: .* is no socket"),
            control_socket(str(path), group="", passed=()),
        ):
            pass
        somebody.setblocking(False)
        with pytest.raises(BlockingIOError):
            somebody.accept()
    assert path.is_symlink()


def test_a_link_that_takes_the_sockets_place_is_given_to_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = path.with_name("secret")
    secret.touch(0o600)
    before = secret.stat()

    class Robbed(socket.socket):
        def bind(self, address: str) -> None:  # type: ignore[override]
            super().bind(address)
            path.unlink()
            path.symlink_to(secret)

    monkeypatch.setattr(socket, "socket", Robbed)
    with (
        pytest.raises(AddressInUseError, match="was replaced by somebody else"),
        control_socket(str(path), group=64998 if os.geteuid() == 0 else os.getgid(), passed=()),
    ):
        pass
    after = secret.stat()
    assert (after.st_mode, after.st_gid) == (before.st_mode, before.st_gid)


def test_a_path_that_goes_while_it_is_looked_at_is_bound(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(path, listens=False).close()
    left_there = socket_file.left_there

    def lose(looked_at: str) -> AbstractContextManager[str | None]:
        path.unlink()
        return left_there(looked_at)

    monkeypatch.setattr(socket_file, "left_there", lose)
    with control_socket(str(path), group="", passed=()):
        assert path.is_socket()


def test_a_directory_that_is_not_there_is_named(path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"listen.control: .*No such file"),
        control_socket(str(path.parent / "none" / "c"), group="", passed=()),
    ):
        pass


def test_only_the_default_place_may_lack_its_directory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = str(path.parent / "none" / "c")
    monkeypatch.setattr(address, "DEFAULT", absent)
    with control_socket(absent, group="", passed=()) as listener:
        assert listener is None


def test_a_passed_socket_is_used_as_it_is_and_its_path_stays(path: Path) -> None:
    passed = bound(path, listens=True)
    path.chmod(0o600)
    other = bound(path.with_name("other"), listens=True)
    with other, control_socket(str(path), group="", passed=[other, passed]) as listener:
        assert listener is passed
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.exists()
    assert passed.fileno() == -1


def test_at_the_end_a_successors_socket_stays(path: Path) -> None:
    with control_socket(str(path), group="", passed=()):
        path.unlink()
        successor = bound(path.with_name("new"), listens=True)
        path.with_name("new").rename(path)
    assert path.exists()
    successor.close()


def test_one_that_cannot_be_given_to_its_group_leaves_the_place_free_for_another_try(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key: str, group: str | int) -> int:
        raise NotNowError(f"{key}: no group {group!r} is found here now")

    monkeypatch.setattr(address, "group_number", away)
    with pytest.raises(NotNowError):
        address.bound_again(str(path), "kdb")
    assert not path.exists()
    monkeypatch.setattr(address, "group_number", lambda *_: os.getgid())
    address.bound_again(str(path), "kdb").close()
    assert path.is_socket()
