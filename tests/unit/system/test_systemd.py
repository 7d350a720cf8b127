"""systemd's protocols, spoken with real sockets."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sessiond.core.errors import ConfigError
from sessiond.system.systemd import (
    credentials_directory,
    notify,
    passed_sockets,
    reloading,
    watchdog_interval,
    with_credentials,
)

FIRST = 200  # descriptors that a test run is not using


@contextmanager
def listening_for_notes(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.setblocking(False)
        yield receiver


def test_a_note_reaches_systemd_at_a_path(tmp_path: Path) -> None:
    with listening_for_notes(str(tmp_path / "n")) as receiver:
        environ = {"NOTIFY_SOCKET": str(tmp_path / "n")}

        assert notify("READY=1", "STATUS=3 sessions", environ=environ)
        assert receiver.recv(100) == b"READY=1\nSTATUS=3 sessions"


def test_a_note_reaches_systemd_at_an_abstract_name(tmp_path: Path) -> None:
    name = str(tmp_path / "n")
    with listening_for_notes(f"\0{name}") as receiver:
        assert notify("WATCHDOG=1", environ={"NOTIFY_SOCKET": f"@{name}"})
        assert receiver.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "relative"])
def test_without_an_address_nothing_is_sent(address: str | None) -> None:
    assert not notify("READY=1", environ={} if address is None else {"NOTIFY_SOCKET": address})


def test_a_systemd_that_is_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert not notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_a_systemd_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    with listening_for_notes(str(tmp_path / "n")):
        environ = {"NOTIFY_SOCKET": str(tmp_path / "n")}
        sent = [notify("STATUS=" + "x" * 10_000, environ=environ) for _ in range(1000)]

    assert sent[0]
    assert not sent[-1]


def test_a_reload_has_its_moment_in_microseconds() -> None:
    assert reloading(12.5) == ("RELOADING=1", "MONOTONIC_USEC=12500000")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_interval(environ) == seconds


@contextmanager
def passing(*sockets: socket.socket) -> Iterator[dict[str, str]]:
    """Put copies of sockets where a service manager would."""
    for number, each in enumerate(sockets):
        os.dup2(each.fileno(), FIRST + number)
    yield {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid())}


def listener(address: str, stack: ExitStack) -> socket.socket:
    made = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    made.bind(address)
    made.listen()
    return made


def test_passed_sockets_come_in_order_and_accept(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), f"\0{tmp_path / 'two'}"
    with ExitStack() as stack, passing(listener(one, stack), listener(two, stack)) as environ:
        found = [stack.enter_context(each) for each in passed_sockets(environ, first=FIRST)]

        assert [each.getsockname() for each in found] == [one, two.encode()]
        assert not any(each.get_inheritable() for each in found)
        caller = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        caller.connect(one)
        stack.enter_context(found[0].accept()[0])


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "2"},
        {"LISTEN_FDS": "2", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "-1", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_was_not_passed_to_this_process_is_left_alone(environ: dict[str, str]) -> None:
    assert passed_sockets(environ) == []


def test_a_passed_socket_that_does_not_listen_is_a_config_error(tmp_path: Path) -> None:
    with ExitStack() as stack:
        good = listener(str(tmp_path / "one"), stack)
        idle = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with passing(good, idle) as environ:
            with pytest.raises(
                ConfigError,
                match=f"passed descriptor {FIRST + 1} is another socket, wanted a listen",
            ):
                passed_sockets(environ, first=FIRST)
            for descriptor in (FIRST, FIRST + 1):  # neither is left open
                with pytest.raises(OSError, match="Bad file descriptor"):
                    os.fstat(descriptor)


def test_a_passed_network_socket_is_a_config_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as wrong,
        passing(wrong) as environ,
        pytest.raises(ConfigError, match="wanted a listening Unix stream socket"),
    ):
        passed_sockets(environ, first=FIRST)


def test_a_passed_file_is_a_config_error(tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as file:
        os.dup2(file.fileno(), FIRST)
        try:
            environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
            with pytest.raises(ConfigError, match=f"passed descriptor {FIRST} is not a socket"):
                passed_sockets(environ, first=FIRST)
        finally:
            os.close(FIRST)


def test_where_credentials_are(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert credentials_directory(environ, "x.service") == tmp_path
    assert credentials_directory({}, "no-such-unit.service") is None
    assert with_credentials(environ) == environ


def test_credentials_that_may_not_be_looked_at_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"HOME": "/"}
    assert with_credentials(environ) is environ  # the service does not run here

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    assert credentials_directory({"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None
