"""The frame: headers, pieces, limits."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.qipc import (
    NIL,
    ByteOrder,
    Message,
    MessageDecoder,
    MessageKind,
    ProtocolError,
    Value,
    decode,
    encode,
    encode_message,
    int_,
    string,
)
from tests.unit.qipc.strategies import values

MAX = 4096  # bytes
sent_messages = st.lists(st.tuples(st.sampled_from(MessageKind), values), max_size=4)


def decoded(pieces: Iterable[bytes], max_size: int = MAX) -> list[Message]:
    decoder = MessageDecoder(max_size=max_size)
    found = []
    for piece in pieces:
        decoder.receive_data(piece)
        while message := decoder.next_message():
            found.append(message)
    return found


def header(*, order: int = 1, kind: int = 0, third: int = 0, fourth: int = 0, size: int) -> bytes:
    return bytes([order, kind, third, fourth]) + size.to_bytes(4, "little")


def test_a_message_is_the_bytes_that_q_sends() -> None:
    # -8!1i, code.kx.com/q/kb/serialization; h"1+1" as KX's C library was seen to send it
    assert encode_message(MessageKind.ASYNC, int_(1)).hex() == "010000000d000000fa01000000"
    assert (
        encode_message(MessageKind.SYNC, string("1+1")).hex()
        == "01010000110000000a0003000000312b31"
    )


def test_a_big_endian_message_is_taken_by_who_says_so_as_java_sends_it() -> None:
    wire = bytes.fromhex("0001000000000011" + "0a00" + "00000003" + "312b31")
    decoder = MessageDecoder(max_size=MAX, any_order=True)
    decoder.receive_data(wire + encode_message(MessageKind.SYNC, int_(1)))
    java, q = decoder.next_message(), decoder.next_message()
    assert java == Message(MessageKind.SYNC, wire[8:], ByteOrder.BIG)
    assert decode(java.payload, order=java.order) == string("1+1")
    assert q == Message(MessageKind.SYNC, encode(int_(1)), ByteOrder.LITTLE)


@pytest.mark.parametrize("order", [2, 255])
def test_an_order_that_nobody_has_is_refused_by_everybody(order: int) -> None:
    decoder = MessageDecoder(max_size=MAX, any_order=True)
    decoder.receive_data(header(order=order, size=13))
    with pytest.raises(ProtocolError, match="little-endian"):
        decoder.next_message()


@given(sent=sent_messages, cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_however_the_bytes_are_cut_the_messages_are_the_same(
    sent: list[tuple[MessageKind, Value]], cuts: list[int]
) -> None:
    wire = b"".join(encode_message(kind, value) for kind, value in sent)
    edges = sorted([0, *(cut % (len(wire) + 1) for cut in cuts), len(wire)])
    pieces = [wire[start:end] for start, end in pairwise(edges)]
    assert decoded(pieces) == [Message(kind, encode(value)) for kind, value in sent]


@given(
    kind=st.sampled_from(MessageKind), value=values, at=st.integers(0), octet=st.integers(0, 255)
)
def test_a_damaged_message_is_a_protocol_error_or_messages(
    kind: MessageKind, value: Value, at: int, octet: int
) -> None:
    wire = bytearray(encode_message(kind, value))
    wire[at % len(wire)] = octet
    try:
        for message in decoded([bytes(wire)]):
            decode(message.payload)
    except ProtocolError as error:
        assert str(error)  # noqa: PT017 - any other exception is our bug


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (header(order=0, size=13), "little-endian"),
        (header(order=2, size=13), "little-endian"),
        (header(kind=3, size=13), "kind of message"),
        (header(third=1, size=13), "compressed"),
        (header(fourth=1, size=13), "longer than 4 GiB"),
        (header(size=8), "empty or too large"),
        (header(size=0), "empty or too large"),
        (header(size=MAX + 1), "empty or too large"),
        (header(size=2**32 - 1), "empty or too large"),
    ],
)
def test_a_message_is_refused_by_its_header_alone(head: bytes, problem: str) -> None:
    decoder = MessageDecoder(max_size=MAX)
    decoder.receive_data(head[:-1])
    assert decoder.next_message() is None
    decoder.receive_data(head[-1:])
    for _ in range(2):  # and stays refused
        with pytest.raises(ProtocolError, match=problem):
            decoder.next_message()


def test_a_message_of_exactly_the_largest_size_is_taken() -> None:
    wire = encode_message(MessageKind.SYNC, string("x" * (MAX - 14)))
    assert len(wire) == MAX
    assert len(decoded([wire])) == 1
    with pytest.raises(ProtocolError, match="too large"):
        decoded([wire], MAX - 1)


def test_the_smallest_message_has_one_byte_of_payload() -> None:
    assert decoded([header(size=9) + b"x"]) == [Message(MessageKind.ASYNC, b"x")]


def test_a_part_of_a_message_shows() -> None:
    wire = encode_message(MessageKind.SYNC, NIL)
    decoder = MessageDecoder(max_size=MAX)
    seen = []
    for octet in wire:
        decoder.receive_data(bytes([octet]))
        found = decoder.next_message()
        seen.append((found is not None, decoder.is_mid_message))
    assert seen == [(False, True)] * (len(wire) - 1) + [(True, False)]


def test_a_message_is_ready_once_it_is_whole_and_says_its_size() -> None:
    wire = encode_message(MessageKind.ASYNC, int_(1)) + encode_message(MessageKind.SYNC, NIL)
    decoder = MessageDecoder(max_size=MAX)
    seen = list[int]()
    for at in range(len(wire)):
        decoder.receive_data(wire[at : at + 1])
        if size := decoder.ready:
            seen += [size, decoder.ready]
            assert decoder.next_message() is not None
            assert decoder.ready == 0
    assert seen == [13, 13, 10, 10]


def test_a_header_of_no_message_is_refused_by_who_asks_whether_it_is_ready() -> None:
    decoder = MessageDecoder(max_size=MAX)
    decoder.receive_data(header(size=MAX + 1))
    with pytest.raises(ProtocolError, match="too large"):
        assert decoder.ready


def test_a_larger_bound_counts_from_the_next_header_on() -> None:
    decoder = MessageDecoder(max_size=20)
    decoder.receive_data(header(size=21))
    with pytest.raises(ProtocolError, match="too large"):
        decoder.next_message()
    decoder.max_size = 21
    assert decoder.next_message() is None  # it is to be waited for
