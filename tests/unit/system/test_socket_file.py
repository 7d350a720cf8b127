"""A socket's file where others may write: what they plant changes nothing of theirs or ours."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiond.core.errors import AddressInUseError
from sessiond.system import socket_file


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unbound:
        yield unbound


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "kx.5099"


@pytest.fixture
def another_group() -> int:
    return (os.getgroups() or [os.getgid()])[-1] if os.geteuid() else 64998


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("wanted", [0o666, 0o660, 0o600])
def test_a_socket_is_born_with_its_mode_whatever_the_umask(
    listener: socket.socket, place: Path, wanted: int
) -> None:
    before = os.umask(0o027)
    try:
        socket_file.bind(listener, str(place), wanted)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert mode(place) == wanted


def test_the_umask_comes_back_when_there_is_nothing_to_bind_to(
    listener: socket.socket, place: Path
) -> None:
    before = os.umask(0o027)
    try:
        with pytest.raises(FileNotFoundError):
            socket_file.bind(listener, str(place / "none"), 0o666)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_link_is_never_bound_through(listener: socket.socket, place: Path) -> None:
    place.symlink_to(place.with_name("elsewhere"))
    with pytest.raises(OSError, match="in use"):
        socket_file.bind(listener, str(place), 0o666)
    assert not place.with_name("elsewhere").exists()


def test_a_socket_is_given_to_a_group(
    listener: socket.socket, place: Path, another_group: int
) -> None:
    socket_file.bind(listener, str(place), 0o660)
    socket_file.give(str(place), another_group)
    assert place.lstat().st_gid == another_group
    assert mode(place) == 0o660


@pytest.mark.parametrize("planted", ["a link", "a file", "a hard link"])
def test_what_took_the_sockets_place_is_given_to_nobody(
    listener: socket.socket, place: Path, another_group: int, planted: str
) -> None:
    victim = place.with_name("victim")
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(str(victim))
        match planted:
            case "a link":
                place.symlink_to(victim)
            case "a hard link":
                place.hardlink_to(victim)
            case _:
                place.write_text("precious")
        groups = [each.lstat().st_gid for each in (place, victim)]
        with pytest.raises(AddressInUseError, match="was replaced by somebody else"):
            socket_file.give(str(place), another_group)
        assert [each.lstat().st_gid for each in (place, victim)] == groups


def test_where_nothing_is_there_is_nothing_to_connect_to(place: Path) -> None:
    with socket_file.left_there(str(place)) as there:
        assert there is None


def test_the_socket_that_was_looked_at_is_the_one_that_is_connected_to(
    listener: socket.socket, place: Path
) -> None:
    listener.bind(str(place))
    listener.listen()
    with socket_file.left_there(str(place)) as there, socket.socket(socket.AF_UNIX) as client:
        assert there is not None
        place.unlink()
        place.symlink_to("/nowhere")
        client.connect(there)


def test_whoever_listens_is_reached_though_he_accepts_nobody(
    listener: socket.socket, place: Path
) -> None:
    listener.bind(str(place))
    listener.listen(0)
    with socket_file.holder(str(place), name="it") as held:
        assert held is not None
        assert held.getpeername() == str(place)


def test_where_nobody_listens_any_more_nobody_is_reached(
    listener: socket.socket, place: Path
) -> None:
    listener.bind(str(place))
    with socket_file.holder(str(place), name="it") as held:
        assert held is None


def test_what_cannot_be_told_counts_as_held(place: Path) -> None:
    with (
        pytest.raises(AddressInUseError, match="it: No such file or directory"),
        socket_file.holder(str(place), name="it"),
    ):
        pass


@pytest.mark.parametrize("target", ["a socket", "nothing"])
def test_a_link_is_no_socket_whatever_it_leads_to(
    listener: socket.socket, place: Path, target: str
) -> None:
    if target == "a socket":
        listener.bind(str(place.with_name("target")))
        listener.listen()
    place.symlink_to(place.with_name("target"))
    with (
        pytest.raises(AddressInUseError, match="is no socket"),
        socket_file.left_there(str(place)),
    ):
        pass
    listener.setblocking(False)
    if target == "a socket":
        with pytest.raises(BlockingIOError):  # nobody has knocked there
            listener.accept()


def test_what_is_gone_already_is_removed(place: Path) -> None:
    socket_file.remove(str(place))


def test_what_is_not_ours_to_remove_is_named_with_its_owner(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.touch()

    def refuse(_: Path) -> None:
        raise PermissionError  # as a directory with the sticky bit does

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(AddressInUseError, match=f"was left there by user {os.geteuid()}"):
        socket_file.remove(str(place))
