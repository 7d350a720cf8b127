"""The farm of peers: real processes behind the sockets."""

import secrets
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import PeerFarm


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(b"\0sessiond-test-peers-" + secrets.token_hex(8).encode())
        listening.listen(1000)
        listening.settimeout(10)
        yield listening


def peer_pid(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def accept_all(listener: socket.socket, count: int) -> dict[int, socket.socket]:
    """Return the accepted connections by their peer's pid."""
    accepted = [listener.accept()[0] for _ in range(count)]
    return {peer_pid(connection): connection for connection in accepted}


def test_each_connection_comes_from_a_process_of_its_own(listener: socket.socket) -> None:
    with PeerFarm(listener.getsockname(), 20) as farm:
        accepted = accept_all(listener, 20)
        assert set(accepted) == set(farm.pids)
        assert len(farm.sockets) == len(accepted) == 20
        for connection in accepted.values():
            connection.close()


def test_a_socket_belongs_to_the_pid_of_its_place(listener: socket.socket) -> None:
    with PeerFarm(listener.getsockname(), 3) as farm:
        accepted = accept_all(listener, 3)
        for pid, mine in zip(farm.pids, farm.sockets, strict=True):
            with accepted[pid] as theirs:
                theirs.settimeout(10)
                mine.sendall(str(pid).encode())
                assert theirs.recv(100) == str(pid).encode()


def test_a_killed_process_is_gone_and_its_connection_closed(listener: socket.socket) -> None:
    with PeerFarm(listener.getsockname(), 3) as farm:
        accepted = accept_all(listener, 3)
        farm.kill(1)
        with accepted[farm.pids[1]] as dead:
            dead.settimeout(10)
            assert dead.recv(1) == b""
        alive = [Path(f"/proc/{pid}").exists() for pid in farm.pids]
        assert alive == [True, False, True]
        for connection in accepted.values():
            connection.close()


def test_the_processes_end_with_the_farm(listener: socket.socket) -> None:
    with PeerFarm(listener.getsockname(), 5):
        accepted = accept_all(listener, 5)
    for pid, connection in accepted.items():
        with connection:
            assert connection.recv(1) == b""
        assert not Path(f"/proc/{pid}").exists()


def test_a_path_is_reached_like_an_abstract_name(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        with PeerFarm(str(tmp_path / "socket"), 2) as farm:
            accepted = accept_all(listening, 2)
            assert set(accepted) == set(farm.pids)
            for connection in accepted.values():
                connection.close()


def test_a_thousand_processes_connect_at_once(listener: socket.socket) -> None:
    with PeerFarm(listener.getsockname(), 1000) as farm:
        accepted = accept_all(listener, 1000)
        assert len(accepted) == len(set(farm.pids)) == 1000
        for connection in accepted.values():
            connection.close()


def test_a_process_connects_as_often_as_it_is_told_to(listener: socket.socket) -> None:
    with PeerFarm(listener.getsockname(), 2, connects=False) as farm:
        for _ in range(2):
            with farm.connect(1), listener.accept()[0] as accepted:
                assert peer_pid(accepted) == farm.pids[1]
        farm.kill(0)


def test_where_nobody_listens_nobody_connects(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError):
        PeerFarm(str(tmp_path / "nobody"), 2)
