"""Publishing to a stand-in that does what tickerplants do on bad days."""

import socket
import struct
import threading
from pathlib import Path

import pytest
from kdb_standin import EVENTS, Served, Tickerplant, answer
from sessiond_kdb import Publisher, subscriber
from sessiond_kdb.connection import TickerplantError, UpdateRefusedError
from sessiond_kdb.rows import columns

from sessiond.qipc import MessageKind, Received, call, string, symbol

UPDATE = call(".u.upd", symbol("sessionevents"), columns(EVENTS, "timestamp"))


def publisher_to(tickerplant: Tickerplant, **keys: object) -> Publisher:
    return subscriber(host="127.0.0.1", port=tickerplant.port, timeout=10.0, **keys)


def test_a_batch_is_one_async_update_and_is_acknowledged_by_a_ping(listener: socket.socket) -> None:
    with Tickerplant(listener) as tickerplant:
        publisher = publisher_to(tickerplant)
        publisher.receive_batch(EVENTS)
        assert tickerplant.messages == [(MessageKind.ASYNC, UPDATE)]
        assert tickerplant.pings == 1
        publisher.stop()


def test_batches_share_one_connection(listener: socket.socket) -> None:
    with Tickerplant(listener) as tickerplant:
        publisher = publisher_to(tickerplant, user="feed")
        for event in EVENTS:
            publisher.receive_batch([event])
        assert tickerplant.logins == [("feed", "")]
        assert len(tickerplant.messages) == tickerplant.pings == len(EVENTS)
        publisher.stop()


def test_a_refused_ping_still_proves_that_the_update_had_its_turn(listener: socket.socket) -> None:
    def refuse(served: Served, received: Received) -> None:
        if received.kind is MessageKind.SYNC:
            served.send(served.wire.error("pm: user role does not permit running this function"))

    with Tickerplant(listener, behave=refuse) as tickerplant:
        publisher = publisher_to(tickerplant)
        publisher.receive_batch(EVENTS)
        assert len(tickerplant.messages) == 1
        publisher.stop()


def test_sync_brings_qs_own_error_back(listener: socket.socket) -> None:
    def fail(served: Served, received: Received) -> None:
        served.send(served.wire.error("length"))

    with Tickerplant(listener, behave=fail) as tickerplant:
        publisher = publisher_to(tickerplant, sync=True)
        with pytest.raises(UpdateRefusedError, match=r"\.u\.upd failed: 'length"):
            publisher.receive_batch(EVENTS)
        tickerplant.behave = answer
        publisher.receive_batch(EVENTS)
        assert tickerplant.messages == [(MessageKind.SYNC, UPDATE)] * 2
        publisher.stop()


def test_what_the_tickerplant_says_meanwhile_is_no_acknowledgement(listener: socket.socket) -> None:
    answered = []

    def chat(served: Served, received: Received) -> None:
        if received.kind is MessageKind.SYNC:
            served.send(served.wire.push(string("heartbeat")) + sync_call_of_the_server())
            answered.append(served.socket.recv(65536))
            served.send(served.wire.reply(string("")))

    with Tickerplant(listener, behave=chat) as tickerplant:
        publisher = publisher_to(tickerplant)
        publisher.receive_batch(EVENTS)
        assert b"not a q process" in answered[0]
        publisher.stop()


def sync_call_of_the_server() -> bytes:
    return bytes.fromhex("01010000 11000000 0a00 03000000 312b31")  # h"1+1"


def test_a_wrong_password_is_an_error_that_does_not_tell_it(
    listener: socket.socket, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("wrong-secret\n")
    password.chmod(0o600)
    with Tickerplant(listener, password="right") as tickerplant:
        publisher = publisher_to(tickerplant, user="feed", password_file=str(password))
        with pytest.raises(TickerplantError, match="perhaps it refuses the user feed") as caught:
            publisher.receive_batch(EVENTS)
        assert "wrong-secret" not in str(caught.value)
        password.write_text("right\n")
        publisher.receive_batch(EVENTS)
        assert tickerplant.logins == [("feed", "wrong-secret"), ("feed", "right")]
        publisher.stop()


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"secret", 0o644, "open to others"),
        (b"\xff\xfe", 0o600, "not UTF-8"),
        (b"a\0b", 0o600, "has a NUL"),
        (None, 0o600, "No such file"),
    ],
)
def test_a_bad_password_file_is_named(
    tmp_path: Path, content: bytes | None, mode: int, message: str
) -> None:
    password = tmp_path / "password"
    if content is not None:
        password.write_bytes(content)
        password.chmod(mode)
    publisher = subscriber(port=1, password_file=str(password))
    with pytest.raises(TickerplantError, match=f"password_file {password}.*{message}"):
        publisher.receive_batch(EVENTS)


def test_nobody_there_is_an_error(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    publisher = subscriber(host="127.0.0.1", port=port)
    with pytest.raises(TickerplantError, match=f"127.0.0.1:{port}: cannot connect.*refused"):
        publisher.receive_batch(EVENTS)
    publisher.stop()


def test_a_reset_before_the_answer_is_an_error_and_the_next_batch_connects_anew(
    listener: socket.socket,
) -> None:
    def reset(served: Served, _: Received) -> None:
        linger = struct.pack("ii", 1, 0)
        served.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        served.socket.close()

    with Tickerplant(listener, behave=reset) as tickerplant:
        publisher = publisher_to(tickerplant)
        with pytest.raises(TickerplantError, match=r"reset|closed the connection|Broken pipe"):
            publisher.receive_batch(EVENTS)
        tickerplant.behave = answer
        publisher.receive_batch(EVENTS)
        assert len(tickerplant.logins) == 2
        assert tickerplant.messages[-1] == (MessageKind.ASYNC, UPDATE)
        publisher.stop()


def test_an_update_without_an_answer_is_not_acknowledged(listener: socket.socket) -> None:
    with Tickerplant(listener, behave=lambda *_: None) as tickerplant:
        publisher = subscriber(host="127.0.0.1", port=tickerplant.port, timeout=0.1)
        with pytest.raises(TickerplantError, match=r"no answer in time$"):
            publisher.receive_batch(EVENTS)


def test_one_that_does_not_even_greet_is_not_waited_for(listener: socket.socket) -> None:
    listener.listen()
    publisher = subscriber(host="127.0.0.1", port=listener.getsockname()[1], timeout=0.1)
    with pytest.raises(TickerplantError, match=r"no answer in time$"):
        publisher.receive_batch(EVENTS)


def test_one_that_speaks_something_else_is_an_error(listener: socket.socket) -> None:
    def babble(served: Served, _: Received) -> None:
        served.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Tickerplant(listener, behave=babble) as tickerplant:
        publisher = publisher_to(tickerplant)
        with pytest.raises(TickerplantError, match="does not speak kdb"):
            publisher.receive_batch(EVENTS)


def test_a_kdb_without_guids_is_refused(listener: socket.socket) -> None:
    listener.listen()

    def accept_as_an_old_one() -> None:
        opened, _ = listener.accept()
        with opened:
            opened.sendall(b"\x01")

    old = threading.Thread(target=accept_as_an_old_one)
    old.start()
    publisher = subscriber(host="127.0.0.1", port=listener.getsockname()[1], timeout=10.0)
    with pytest.raises(TickerplantError, match=r"older than kdb\+ 3\.0"):
        publisher.receive_batch(EVENTS)
    old.join()


@pytest.mark.parametrize("kind", ["exact", "padded", "path"])
def test_a_unix_socket_is_found_under_each_of_its_names(tmp_path: Path, kind: str) -> None:
    path = f"{tmp_path}/kx.5010"
    address = {"exact": f"\0{path}", "padded": f"\0{path}".ljust(108, "\0"), "path": path}[kind]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        with Tickerplant(listener) as tickerplant:
            publisher = subscriber(unix=5010, directory=str(tmp_path), timeout=10.0)
            publisher.receive_batch(EVENTS)
            assert tickerplant.messages == [(MessageKind.ASYNC, UPDATE)]
            publisher.stop()


def test_no_unix_socket_is_an_error(tmp_path: Path) -> None:
    publisher = subscriber(unix=5010, directory=str(tmp_path))
    with pytest.raises(TickerplantError, match=":unix://5010: cannot connect"):
        publisher.receive_batch(EVENTS)
