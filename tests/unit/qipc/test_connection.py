"""Both ends of a connection, in conversation and apart."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.secret import Secret
from sessiond.qipc import (
    NIL,
    Accepted,
    Asked,
    ClientConnection,
    Handshake,
    MessageKind,
    ProtocolError,
    Push,
    QError,
    Received,
    Response,
    ServerConnection,
    State,
    Value,
    call,
    encode_message,
    int_,
    long,
    string,
    symbol,
)
from tests.unit.qipc.strategies import values

MAX = 65_536  # bytes


def open_pair() -> tuple[ServerConnection, ClientConnection]:
    server, client = ServerConnection(MAX), ClientConnection(MAX)
    server.receive_data(client.greeting("rdb1", "pw"))
    assert isinstance(server.next_event(), Handshake)
    client.receive_data(server.accept())
    assert client.next_event() == Accepted(3)
    return server, client


def test_a_whole_conversation() -> None:
    server, client = open_pair()
    server.receive_data(client.sync(call("hello", int_(1))) + client.async_(symbol("opened")))
    assert server.next_event() == Received(MessageKind.SYNC, call("hello", int_(1)))
    assert server.next_event() == Received(MessageKind.ASYNC, symbol("opened"))
    assert server.next_event() is None
    assert server.owed == 1
    client.receive_data(server.push(string("news")) + server.reply(long(2)))
    assert server.owed == 0
    assert client.next_event() == Push(string("news"))
    assert client.next_event() == Response(long(2))
    server.receive_data(client.sync(NIL))
    assert server.next_event() == Received(MessageKind.SYNC, NIL)
    client.receive_data(server.error("sessiond: no"))
    assert client.next_event() == Response(QError("sessiond: no"))
    assert client.next_event() is None


def test_a_server_may_ask_a_client_too() -> None:
    _, client = open_pair()
    client.receive_data(encode_message(MessageKind.SYNC, string("1+1")))
    assert client.next_event() == Asked(string("1+1"))
    assert client.reply(long(2)) == encode_message(MessageKind.RESPONSE, long(2))
    with pytest.raises(RuntimeError, match="without a question"):
        client.error("again")


@pytest.mark.parametrize(
    ("wire", "user", "password", "capability", "answer"),
    [
        (b"alice:tok\x06\0", "alice", "tok", 6, 3),  # as observed: PyKX
        (b":\x06\0", "", "", 6, 3),  # as observed: PyKX without credentials
        (b"bob:pw\x03\0", "bob", "pw", 3, 3),  # as observed: C API
        (b"bob:pw\x01\0", "bob", "pw", 1, 1),
        (b"bob:pw\0", "bob", "pw", None, 0),  # qPython's second try
        (b"bob:p:w\x03\0", "bob", "p:w", 3, 3),
        (b"bob\x03\0", "bob", "", 3, 3),
        (b"\x03\0", "", "", 3, 3),
        (b"\0", "", "", None, 0),
        ("é:ü\x03\0".encode(), "é", "ü", 3, 3),
    ],
)
def test_a_handshake_is_read_and_answered(
    wire: bytes, user: str, password: str, capability: int | None, answer: int
) -> None:
    server = ServerConnection(MAX)
    server.receive_data(wire)
    event = server.next_event()
    assert isinstance(event, Handshake)
    assert (event.user, event.password.reveal(), event.capability) == (user, password, capability)
    assert server.next_event() is None
    assert server.accept() == bytes([answer])
    assert server.state is State.OPEN
    assert not server.is_mid_message


def test_what_comes_with_the_handshake_waits_for_its_answer() -> None:
    server = ServerConnection(MAX)
    server.receive_data(b"u:p\x03\0" + encode_message(MessageKind.SYNC, NIL))
    assert isinstance(server.next_event(), Handshake)
    assert server.next_event() is None
    server.accept()
    assert server.next_event() == Received(MessageKind.SYNC, NIL)


def test_what_comes_with_the_acceptance_is_read_after_it() -> None:
    client = ClientConnection(MAX)
    client.greeting("u", Secret("p"), 1)
    assert client.next_event() is None
    client.receive_data(b"\x06" + encode_message(MessageKind.ASYNC, NIL))
    assert client.next_event() == Accepted(1)  # never more than was offered
    assert client.next_event() == Push(NIL)


def test_a_handshake_has_at_most_4_kib() -> None:
    longest = b"u:" + b"x" * 4092 + b"\x03\0"
    assert len(longest) == 4096
    server = ServerConnection(MAX)
    server.receive_data(longest[:-1])
    assert server.next_event() is None
    server.receive_data(longest[-1:])
    assert isinstance(server.next_event(), Handshake)
    for too_long in (b"x" + longest, b"x" * 4096):
        server = ServerConnection(MAX)
        server.receive_data(too_long)
        with pytest.raises(ProtocolError, match="too long"):
            server.next_event()


def test_a_server_may_take_longer_handshakes_and_big_endian_messages() -> None:
    server = ServerConnection(MAX, any_order=True)
    server.max_handshake = 65536
    server.receive_data(b"u:" + b"p" * 65532 + b"\3")
    assert server.next_event() is None
    server.receive_data(b"\0")
    assert isinstance(server.next_event(), Handshake)
    server.accept()
    server.receive_data(bytes.fromhex("000000000000000d" + "fa" + "00000001"))
    assert server.next_event() == Received(MessageKind.ASYNC, int_(1))

    other = ServerConnection(MAX)
    other.max_handshake = 65536
    other.receive_data(b"p" * 65536)
    with pytest.raises(ProtocolError, match="too long"):
        other.next_event()


def test_a_handshake_that_is_not_utf8_is_refused_and_not_shown() -> None:
    server = ServerConnection(MAX)
    server.receive_data(b"hunter2\xff\x03\0")
    with pytest.raises(ProtocolError, match="UTF-8") as caught:
        server.next_event()
    assert caught.value.__context__ is None


def test_no_repr_of_a_handshake_shows_what_was_typed() -> None:
    server = ServerConnection(MAX)
    server.receive_data(b"hunter2:hunter2\x03\0")
    assert "hunter2" not in repr(server.next_event())


def test_the_greeting_is_what_kx_clients_send() -> None:
    assert ClientConnection(MAX).greeting("bob", "pw") == b"bob:pw\x03\0"
    assert ClientConnection(MAX).greeting("bob", Secret("p:w"), 1) == b"bob:p:w\x01\0"
    assert ClientConnection(MAX).greeting("") == b":\x03\0"


@pytest.mark.parametrize(
    ("user", "password", "capability"),
    [("a:b", "", 3), ("a\0", "", 3), ("a", "\0", 3), ("a", "b", 0), ("a", "b", 4)],
)
def test_a_greeting_that_would_be_read_otherwise_is_refused(
    user: str, password: str, capability: int
) -> None:
    client = ClientConnection(MAX)
    with pytest.raises(ValueError, match="no colon"):
        client.greeting(user, password, capability)
    assert client.state is State.START


@pytest.mark.parametrize(
    "wire",
    [
        encode_message(MessageKind.RESPONSE, NIL),
        encode_message(MessageKind.RESPONSE, QError("x")),
        encode_message(MessageKind.SYNC, QError("x")),
        encode_message(MessageKind.ASYNC, QError("x")),
        bytes.fromhex("000100000d000000fa01000000"),
        bytes.fromhex("010100000d000000ec01000000"),
    ],
)
@pytest.mark.parametrize("end", [0, 1])
def test_what_nobody_may_send_breaks_the_connection_for_good(wire: bytes, end: int) -> None:
    connection = open_pair()[end]
    connection.receive_data(wire + encode_message(MessageKind.ASYNC, NIL))
    with pytest.raises(ProtocolError):
        connection.next_event()
    assert connection.state is State.BROKEN
    connection.receive_data(encode_message(MessageKind.ASYNC, NIL))
    with pytest.raises(ProtocolError, match="broken before"):
        connection.next_event()
    assert connection.owed == 0


def test_a_client_takes_as_many_responses_as_it_asked_for() -> None:
    _, client = open_pair()
    client.sync(NIL)
    client.receive_data(encode_message(MessageKind.RESPONSE, NIL) * 2)
    assert client.next_event() == Response(NIL)
    with pytest.raises(ProtocolError, match="nothing that was asked"):
        client.next_event()


def test_what_was_asked_before_the_break_can_still_be_answered() -> None:
    server, client = open_pair()
    server.receive_data(client.sync(NIL) + b"\0" * 8)
    assert server.next_event() == Received(MessageKind.SYNC, NIL)
    with pytest.raises(ProtocolError):
        server.next_event()
    client.receive_data(server.push(NIL) + server.reply(int_(1)))
    assert (client.next_event(), client.next_event()) == (Push(NIL), Response(int_(1)))


def test_steps_out_of_order_are_a_bug_of_the_program() -> None:
    server, client = ServerConnection(MAX), ClientConnection(MAX)
    for step in (server.accept, lambda: server.push(NIL), lambda: client.sync(NIL)):
        with pytest.raises(RuntimeError, match="not legal in state START"):
            step()
    with pytest.raises(RuntimeError, match="without a question"):
        server.reply(NIL)
    server.receive_data(client.greeting("u"))
    with pytest.raises(RuntimeError, match="not legal in state GREETED"):
        client.greeting("u")
    server.next_event()
    server.accept()
    with pytest.raises(RuntimeError, match="not legal in state OPEN"):
        server.accept()


def test_a_client_hears_nothing_before_it_has_greeted() -> None:
    client = ClientConnection(MAX)
    client.receive_data(b"\3")
    assert client.next_event() is None
    assert client.is_mid_message


def test_an_answer_that_cannot_be_sent_is_still_owed() -> None:
    server, client = open_pair()
    server.receive_data(client.sync(NIL))
    server.next_event()
    with pytest.raises(ValueError):
        server.reply(int_(2**40))
    assert server.owed == 1
    assert server.reply(int_(1))


@pytest.mark.parametrize("start", ["greeting", "open"])
def test_a_part_of_a_message_shows_from_its_first_byte(start: str) -> None:
    server = ServerConnection(MAX)
    wire = b"u:p\x03\0"
    if start == "open":
        server.receive_data(wire)
        server.next_event()
        server.accept()
        wire = encode_message(MessageKind.SYNC, NIL)
    assert not server.is_mid_message
    for octet in wire[:-1]:
        server.receive_data(bytes([octet]))
        assert server.next_event() is None
        assert server.is_mid_message
    server.receive_data(wire[-1:])
    assert server.next_event() is not None
    assert not server.is_mid_message


def test_limits_are_those_of_the_connection() -> None:
    def served(server: ServerConnection, value: Value) -> Any:
        server.receive_data(b"u:p\x03\0")
        server.next_event()
        server.accept()
        server.receive_data(encode_message(MessageKind.SYNC, value))
        return server.next_event()

    nested = call("f", int_(1))
    assert isinstance(served(ServerConnection(100, max_depth=1, max_items=200), nested), Received)
    for server in (
        ServerConnection(20),
        ServerConnection(100, max_depth=0),
        ServerConnection(100, max_items=199),
    ):
        with pytest.raises(ProtocolError):
            served(server, nested)


@given(
    sent=st.lists(st.tuples(st.booleans(), values), max_size=4),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
)
def test_however_the_bytes_are_cut_the_events_are_the_same(
    sent: list[tuple[bool, Value]], cuts: list[int]
) -> None:
    server = ServerConnection(MAX, max_depth=50)
    wire = b"u:p\x03\0" + b"".join(encode_message(MessageKind(sync), v) for sync, v in sent)
    edges = sorted([0, *(cut % (len(wire) + 1) for cut in cuts), len(wire)])
    events = []
    for start, end in pairwise(edges):
        server.receive_data(wire[start:end])
        while event := server.next_event():
            events.append(event)
            if isinstance(event, Handshake):
                server.accept()
    assert events[1:] == [Received(MessageKind(sync), value) for sync, value in sent]
    assert server.owed == sum(sync for sync, _ in sent)


@given(
    wire=st.binary(max_size=200),
    at=st.integers(0),
    octet=st.integers(0, 255),
    any_order=st.booleans(),
)
def test_whatever_a_client_sends_nothing_is_raised_but_a_protocol_error(
    wire: bytes, at: int, octet: int, any_order: bool
) -> None:
    good = bytearray(b"u:p\x03\0" + encode_message(MessageKind.SYNC, call("f", string("x"))))
    good[at % len(good)] = octet
    server = ServerConnection(MAX, any_order=any_order)
    server.receive_data(bytes(good) + wire)
    try:
        while event := server.next_event():
            if isinstance(event, Handshake):
                server.accept()
    except ProtocolError as error:
        assert str(error)  # noqa: PT017 - any other exception is our bug


def test_a_server_says_how_large_the_next_message_is_once_it_is_whole() -> None:
    server, client = open_pair()
    wire = client.async_(string("x" * 100))
    server.receive_data(wire[:50])
    assert server.ready == 0
    server.receive_data(wire[50:])
    assert server.ready == len(wire)
    assert server.next_event() == Received(MessageKind.ASYNC, string("x" * 100))
    assert server.ready == 0


def test_before_the_handshake_no_message_is_ready() -> None:
    server, client = ServerConnection(MAX), ClientConnection(MAX)
    server.receive_data(client.greeting("rdb1", "pw"))
    assert server.ready == 0


def test_a_bad_header_breaks_the_connection_for_who_asks_what_is_ready_too() -> None:
    server, _ = open_pair()
    server.receive_data(b"\x00" * 8)
    with pytest.raises(ProtocolError, match="little-endian"):
        assert server.ready
    assert server.state is State.BROKEN
    assert server.ready == 0


def test_larger_messages_are_taken_from_when_they_are_admitted() -> None:
    server, client = ServerConnection(100), ClientConnection(MAX)
    server.receive_data(client.greeting("rdb1"))
    assert isinstance(server.next_event(), Handshake)
    client.receive_data(server.accept())
    assert client.next_event() == Accepted(3)
    server.admit(1000)
    server.receive_data(client.async_(string("x" * 500)))
    assert server.next_event() == Received(MessageKind.ASYNC, string("x" * 500))
    server.receive_data(client.async_(string("x" * 1000)))
    with pytest.raises(ProtocolError, match="too large"):
        server.next_event()


def test_an_answer_may_be_encoded_elsewhere() -> None:
    server, client = open_pair()
    server.receive_data(client.sync(NIL))
    assert server.next_event() == Received(MessageKind.SYNC, NIL)
    client.receive_data(server.answer(encode_message(MessageKind.RESPONSE, long(2))))
    assert client.next_event() == Response(long(2))
    with pytest.raises(RuntimeError, match="without a question"):
        server.answer(b"")


def test_pushes_may_be_encoded_elsewhere_and_go_in_one_piece() -> None:
    server, client = open_pair()
    one, two = (encode_message(MessageKind.ASYNC, long(number)) for number in (1, 2))
    assert server.tell(one) == one == server.push(long(1))
    client.receive_data(server.tell(one, two))
    assert [client.next_event(), client.next_event()] == [Push(long(1)), Push(long(2))]
    with pytest.raises(RuntimeError, match="not legal"):
        ServerConnection(MAX).tell(one)
