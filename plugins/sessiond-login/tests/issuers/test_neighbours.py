"""Whose a connection to a loopback port is."""

import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from sessiond_login.issuers import neighbours
from sessiond_login.issuers.neighbours import is_strangers

NOBODY = 65534
FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="the system does not tell whose a connection is"
)


@pytest.fixture(params=FAMILIES)
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with socket.socket(FAMILIES[request.param]) as listening:
        listening.bind((request.param, 0))
        listening.listen()
        listening.settimeout(20.0)
        yield listening


@contextmanager
def accepted_from(listener: socket.socket, client: socket.socket) -> Iterator[socket.socket]:
    client.connect(listener.getsockname()[:2])
    accepted, _ = listener.accept()
    with accepted:
        yield accepted


def test_a_connection_of_this_user_is_no_strangers(listener: socket.socket) -> None:
    with socket.socket(listener.family) as client, accepted_from(listener, client) as accepted:
        assert not is_strangers(accepted)


def test_nor_is_one_that_is_made_by_an_address_of_the_other_family() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_INET6) as one:
        one.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
        accepted, _ = listener.accept()
        with accepted:
            assert not is_strangers(accepted)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_one_of_another_user_is(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    connecting = ["bash", "-c", 'exec 3<>"/dev/tcp/$0/$1"; cat', host, str(port)]
    with subprocess.Popen(connecting, user=NOBODY, stdin=subprocess.PIPE):
        accepted, _ = listener.accept()
        with accepted:
            assert is_strangers(accepted)


def test_one_that_its_maker_has_closed_could_be_anybodys(listener: socket.socket) -> None:
    """The system lists it as root's."""
    with socket.socket(listener.family) as client, accepted_from(listener, client) as accepted:
        client.sendall(b"GET / HTTP/1.1")
        client.close()
        assert is_strangers(accepted)


def test_so_could_one_that_was_reset(listener: socket.socket) -> None:
    with socket.socket(listener.family) as client, accepted_from(listener, client) as accepted:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert is_strangers(accepted)


def test_where_the_system_does_not_tell_nobody_is_kept_out(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(neighbours, "_TABLES", (tmp_path / "none",))
    with socket.socket(listener.family) as client, accepted_from(listener, client) as accepted:
        assert not is_strangers(accepted)


def test_of_a_long_table_only_what_has_this_port_is_read(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(text: str) -> tuple[IPv6Address, int]:
        read.append(text)
        return IPv6Address("::"), 0

    monkeypatch.setattr(neighbours, "_read", noted)
    with ExitStack() as held:
        other = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        for _ in range(50):
            held.enter_context(socket.create_connection(other.getsockname()))
        client = held.enter_context(socket.socket(listener.family))
        accepted = held.enter_context(accepted_from(listener, client))
        is_strangers(accepted)
    port = f":{listener.getsockname()[1]:04X}"
    assert read
    assert all(port in one + other for one, other in zip(read[::2], read[1::2], strict=True))
