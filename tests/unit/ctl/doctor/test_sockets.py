"""Sockets are judged by who holds them, and by whether he answers."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sessiond.config import ListenConfig
from sessiond.ctl.doctor import sockets
from sessiond.ctl.doctor.files import Where
from sessiond.kdb.addresses import Addresses

OURS = Where(owner=os.geteuid(), credentials=None)


@contextmanager
def listening(address: bytes, answer: bytes = b"\x03") -> Iterator[None]:
    """Answer one connection's handshake, if there is something to answer with."""
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as kept:
        listener.bind(address)
        listener.listen(1)

        def serve() -> None:
            connection = kept.enter_context(listener.accept()[0])
            if answer:
                assert connection.recv(64) == sockets.HANDSHAKE
                connection.sendall(answer)
            else:
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(10)


def test_each_name_of_the_port_is_tried_as_q_does(folder: Path) -> None:
    listen = ListenConfig(directory=str(folder), port=5000)
    with ExitStack() as stack:
        for address in Addresses(str(folder), 5000, True):
            stack.enter_context(listening(address))
        found = list(sockets.q_sockets(listen, OURS))
    assert [each.outcome.value for each in found] == ["ok"] * 3
    assert [" (padded)" in each.found for each in found] == [False, True, False]
    assert all(f"held by process {os.getpid()}" in each.found for each in found)


def test_where_nobody_listens_the_daemon_is_to_be_started(folder: Path) -> None:
    listen = ListenConfig(directory=str(folder), port=5000, path=False)
    found = list(sockets.q_sockets(listen, OURS))
    assert [each.outcome.value for each in found] == ["wrong"] * 2
    assert {each.advice for each in found} == {"start the daemon"}


def test_a_path_that_is_gone_under_a_daemon_that_serves_is_not_one_that_must_be_started(
    folder: Path,
) -> None:
    listen = ListenConfig(directory=str(folder), port=5000)
    with ExitStack() as stack:
        for address in Addresses(str(folder), 5000, False):
            stack.enter_context(listening(address))
        found = list(sockets.q_sockets(listen, OURS))
    assert [each.outcome.value for each in found] == ["ok", "ok", "wrong"]
    assert "the path is gone" in found[2].found
    assert "systemctl start sessiond-path.socket sessiond" in found[2].advice


def test_a_socket_of_somebody_elses_is_wrong(folder: Path) -> None:
    address = os.fsencode(folder / "c")
    if os.geteuid() == 0:  # root may stand for systemd: so it must be another one
        child = os.fork()
        if child == 0:
            os.setuid(64000)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(b"\0" + address)
            listener.listen(1)
            listener.accept()
            os._exit(0)
        try:
            found = sockets._socket("s", "n", b"\0" + address, OURS, greeting=b"")
            while "nobody listens" in found.found:
                found = sockets._socket("s", "n", b"\0" + address, OURS, greeting=b"")
        finally:
            os.waitpid(child, 0)
        assert found.outcome.value == "wrong"
        assert "of 64000" in found.found
        assert "stop that process" in found.advice


def test_the_control_socket_is_only_connected_to(folder: Path) -> None:
    with listening(os.fsencode(folder / "c"), answer=b""):
        found = sockets.control_socket(str(folder / "c"), OURS)
    assert found.outcome.value == "ok"


def test_who_hangs_up_has_refused_this_user(folder: Path) -> None:
    address = os.fsencode(folder / "c")
    with listening(address, answer=b""):
        found = sockets._socket("s", "n", address, OURS, greeting=sockets.HANDSHAKE)
    assert (found.outcome.value, "allow_users" in found.advice) == ("warning", True)


def test_who_does_not_answer_is_to_be_restarted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "WITHIN", 0.05)
    address = os.fsencode(folder / "c")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(1)
        found = sockets._socket("s", "n", address, OURS, greeting=sockets.HANDSHAKE)
    assert (found.outcome.value, "no answer within" in found.found) == ("wrong", True)


def test_who_may_not_connect_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, outcome in (
        (PermissionError(13, "Permission denied"), "warning"),
        (OSError("path too long"), "wrong"),
    ):

        class Refusing(socket.socket):
            def connect(self, _: object, error: OSError = error) -> None:
                raise error

        monkeypatch.setattr(socket, "socket", Refusing)
        found = sockets.control_socket(str(folder / "c"), OURS)
        monkeypatch.undo()
        assert found.outcome.value == outcome
