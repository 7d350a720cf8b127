"""What is said between the daemon and a subscriber's process, whole, cut up and damaged."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import anyio
import msgspec
import pytest
from anyio.abc import ByteStream, UNIXSocketStream
from hypothesis import given
from hypothesis import strategies as st

from sessiond.extensions.subscribers import wire
from sessiond.extensions.subscribers.wire import (
    Batch,
    Failed,
    Frames,
    FromChild,
    Ready,
    Received,
    Refused,
    Setup,
    Stop,
    ToChild,
    WireError,
    frame_of,
    one_line,
)
from tests.unit.extensions.subscribers.fed import event

pytestmark = pytest.mark.anyio

FROM_CHILD = st.one_of(
    st.builds(Ready, batch=st.integers(1, 1000)),
    st.builds(Received, sequence=st.integers(0, 2**63 - 1)),
    st.builds(Failed, sequence=st.integers(0, 2**63 - 1), error=st.text(max_size=500)),
    st.builds(Refused, problems=st.just(("no",)), are_keys=st.booleans()),
)
_decoder = msgspec.json.Decoder(FromChild)


def decoded(*data: bytes) -> list[FromChild]:
    frames, found = Frames(max_size=wire.MAX_FROM_CHILD), []
    for each in data:
        frames.receive_data(each)
        found += [_decoder.decode(body) for body in frames.whole()]
    return found


@given(sent=st.lists(FROM_CHILD, max_size=5), cuts=st.lists(st.integers(0, 400)))
def test_however_the_bytes_arrive_the_messages_are_the_same(
    sent: list[FromChild], cuts: list[int]
) -> None:
    data = b"".join(map(frame_of, sent))
    edges = sorted([0, *(cut % (len(data) + 1) for cut in cuts), len(data)])
    assert decoded(*(data[start:end] for start, end in pairwise(edges))) == sent


@given(message=FROM_CHILD, at=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_damaged_message_is_refused_or_another_message(
    message: FromChild, at: int, byte: int
) -> None:
    data = bytearray(frame_of(message))
    data[at % len(data)] = byte
    with suppress(WireError, msgspec.DecodeError, UnicodeDecodeError):
        decoded(bytes(data))


@pytest.mark.parametrize("size", [0, wire.MAX_FROM_CHILD + 1, 2**32 - 1])
def test_a_frame_that_is_empty_or_too_long_is_refused_before_it_is_there(size: int) -> None:
    frames = Frames(max_size=wire.MAX_FROM_CHILD)
    frames.receive_data(size.to_bytes(4))
    with pytest.raises(WireError):
        list(frames.whole())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xff",
        b"null",
        b"{}",
        b'{"message":"stop"}',
        b'{"message":"ready","batch":0}',
        b'{"message":"ready","batch":1001}',
        b'{"message":"received","sequence":-1}',
        b'{"message":"received","sequence":9223372036854775808}',
        b'{"message":"received","sequence":true}',
        b'{"message":"received"}',
        b'{"message":"received","sequence":1,"more":1}',
        b'{"message":"failed","sequence":1,"error":"%b"}' % (b"x" * 501),
        b'{"more":%b%b,"message":"ready"}' % (b"[" * 8000, b"]" * 8000),
        b'{"message":"failed","sequence":1,"error":"\\udc00 "}',
        b'{"message":"refused","problems":[],"are_keys":true}',
        b'{"message":"refused","problems":["%b"],"are_keys":false}' % (b"x" * 501),
    ],
)
async def test_what_is_no_message_of_a_childs_is_refused(body: bytes) -> None:
    async with ends() as (here, there):
        await there.send(len(body).to_bytes(4) + body)
        with pytest.raises(WireError):
            await wire.daemons_end(here).receive()


async def test_what_the_daemon_sends_arrives_as_it_was() -> None:
    sent: list[ToChild] = [
        Setup(plugin="p", name="n", settings={"a": [1, {"b": 2.5}]}, memory=1),
        Batch(events=(event(1), event(2))),
        Stop(),
    ]
    async with ends() as (here, there):
        daemon, child = wire.daemons_end(here), wire.childs_end(there)
        for message in sent:
            await daemon.send(message)
        assert [await child.receive() for _ in sent] == sent
        await here.aclose()
        with pytest.raises(anyio.EndOfStream):
            await child.receive()


async def test_an_end_that_breaks_is_an_end() -> None:
    class Broken:
        async def receive(self) -> bytes:
            raise anyio.BrokenResourceError

    with pytest.raises(anyio.EndOfStream):
        await wire.daemons_end(Broken()).receive()  # type: ignore[arg-type]  # all that is used


def test_a_strangers_text_is_one_printable_line_of_bounded_length() -> None:
    assert one_line("a\n\tb\x1b[2J\u202e c") == "a b?[2J? c"
    assert one_line("x" * 10_000) == "x" * 500


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    """Return two connected ends."""
    left, right = socket.socketpair()
    here, there = (
        await UNIXSocketStream.from_socket(left),
        await UNIXSocketStream.from_socket(right),
    )
    async with here, there:
        yield here, there
