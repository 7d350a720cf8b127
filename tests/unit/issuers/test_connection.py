"""A connection driven by hand: what the loop would call, byte by byte."""

import asyncio
from collections.abc import Callable
from typing import cast

import anyio
import h11
import pytest

from sessiond.issuers.connection import (
    MAX_BODY_SIZE,
    MAX_HEAD_SIZE,
    MAX_PIECES,
    Answer,
    BadAnswer,
    Connection,
    Request,
    Unanswered,
)
from sessiond.issuers.url import Origin, Target

pytestmark = pytest.mark.anyio

ORIGIN = Origin("https", "login.example.com", 443)
TARGET = Target(ORIGIN, "login.example.com", "/here?a=b")
GET = Request("GET", TARGET, {"accept": "application/json"})
OK = b"HTTP/1.1 200 OK\r\n"
SLICE = 16_384  # bytes parsed at a time
EMPTY = OK + b"Content-Length: 2\r\n\r\n{}"


class Wire(asyncio.Transport):
    """What was sent, and whether that was the end."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_aborted = False

    def write(self, data: object) -> None:
        self.sent += cast("bytes", data)

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def connection(wire: Wire) -> Connection:
    made = Connection(ORIGIN)
    made.connection_made(wire)
    return made


async def answered(
    connection: Connection, *coming: bytes | Callable[[], object], request: Request = GET
) -> Answer:
    """Return what comes of these bytes, and of what else happens."""

    async def come() -> None:
        for each in coming:
            await anyio.lowlevel.checkpoint()
            if isinstance(each, bytes):
                connection.data_received(each)
            else:
                each()

    answer, _ = await asyncio.gather(connection.exchange(request), come())
    return answer


async def test_what_is_sent_is_one_request(connection: Connection, wire: Wire) -> None:
    await answered(connection, EMPTY)
    head, _, body = wire.sent.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"GET /here?a=b HTTP/1.1",
        b"host: login.example.com",
        b"accept: application/json",
    ]
    assert body == b""


@pytest.mark.parametrize("content", [b"token=x", b""])
async def test_a_form_is_sent_with_its_length(
    connection: Connection, wire: Wire, content: bytes
) -> None:
    await answered(connection, EMPTY, request=Request("POST", TARGET, {}, content))
    assert wire.sent.endswith(b"content-length: %d\r\n\r\n%b" % (len(content), content))


async def test_headers_are_found_by_their_names_and_joined(connection: Connection) -> None:
    answer = await answered(connection, OK + b"X-A: 1\r\nx-a: \xe9\r\nContent-Length: 0\r\n\r\n")
    assert (answer.header(b"x-a"), answer.header(b"x-b")) == ("1, \u00e9", None)
    assert (answer.status, answer.fault, answer.body) == (200, None, b"")


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "said",
    [
        EMPTY,
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + EMPTY,
    ],
)
async def test_however_the_bytes_arrive_the_answer_is_the_same_and_the_next_may_follow(
    connection: Connection, said: bytes, size: int
) -> None:
    for _ in range(3):
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        assert (await answered(connection, *pieces)).body == b"{}"
        assert connection.is_free


@pytest.mark.parametrize(
    "said", [OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.0 200 OK\r\n\r\n{}"]
)
async def test_an_answer_that_is_the_last_closes(
    connection: Connection, wire: Wire, said: bytes
) -> None:
    assert (await answered(connection, said, connection.eof_received)).body == b"{}"
    assert wire.is_aborted


async def test_what_follows_an_answer_is_nobodys(connection: Connection, wire: Wire) -> None:
    """A second answer in one go would be read as the next one's, who may be somebody else."""
    assert (await answered(connection, EMPTY + EMPTY)).body == b"{}"
    assert wire.is_aborted
    assert not connection.is_free


async def test_what_follows_an_answer_is_nobodys_wherever_the_answer_ends(
    connection: Connection, wire: Wire
) -> None:
    """What comes in one go is parsed by slices, and an answer may end with one of them."""
    head = OK + b"Content-Length: %d\r\n\r\n"
    size = SLICE - len(head % 16_000)
    said = head % size + b" " * size
    assert len(said) == SLICE
    await answered(connection, said + EMPTY)
    assert wire.is_aborted
    assert not connection.is_free


async def test_pieces_that_came_alone_do_not_save_up_for_a_flood(connection: Connection) -> None:
    drip = [bytes([each]) for each in OK + b"Transfer-Encoding: chunked\r\n\r\n"]
    with pytest.raises(BadAnswer, match="pieces"):
        await answered(connection, *drip, b"1\r\n \r\n" * (MAX_PIECES + 2))


async def test_what_comes_unasked_closes(connection: Connection, wire: Wire) -> None:
    await answered(connection, EMPTY)
    connection.data_received(EMPTY)
    assert wire.is_aborted
    assert not connection.is_free


async def test_what_comes_between_an_answer_and_its_reading_closes(
    connection: Connection, wire: Wire
) -> None:
    def at_once() -> None:
        connection.data_received(EMPTY)
        connection.data_received(EMPTY)

    assert (await answered(connection, at_once)).body == b"{}"
    assert wire.is_aborted


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "not HTTP"),
        (OK + b"Content-Length: -1\r\n\r\n", "not HTTP"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (OK + b"A: " + b"x" * MAX_HEAD_SIZE * 2, "not HTTP"),
        (OK + b"a: b\r\n" * MAX_HEAD_SIZE + b"\r\n", "not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_PIECES + 2), "pieces"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * (MAX_PIECES + 2), "pieces"),
    ],
)
async def test_what_is_no_answer_is_said_and_closes(
    connection: Connection, wire: Wire, said: bytes, why: str
) -> None:
    with pytest.raises(BadAnswer, match=why):
        await answered(connection, said)
    assert wire.is_aborted


async def test_a_body_past_the_limit_is_left_unread(connection: Connection, wire: Wire) -> None:
    head = OK + b"Content-Length: %d\r\n\r\n" % (4 * MAX_BODY_SIZE)
    answer = await answered(connection, head, b" " * MAX_BODY_SIZE, b" ")
    assert answer.fault == f"answered more than {MAX_BODY_SIZE} bytes"
    assert answer.body == b""
    assert wire.is_aborted


async def test_a_body_of_just_the_limit_is_read(connection: Connection) -> None:
    head = OK + b"Content-Length: %d\r\n\r\n" % MAX_BODY_SIZE
    answer = await answered(connection, head, b" " * MAX_BODY_SIZE)
    assert (answer.fault, len(answer.body)) == (None, MAX_BODY_SIZE)


async def test_a_compressed_body_is_left_unread(connection: Connection, wire: Wire) -> None:
    answer = await answered(connection, OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b")
    assert answer.fault == "compressed its answer without being asked"
    assert wire.is_aborted


async def test_a_body_that_says_it_is_not_compressed_is_read(connection: Connection) -> None:
    said = OK + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}"
    assert (await answered(connection, said)).body == b"{}"


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "reset")])
async def test_closed_before_a_byte_it_is_unanswered(
    connection: Connection, error: Exception | None
) -> None:
    def lose() -> None:
        connection.eof_received()
        connection.connection_lost(error)

    with pytest.raises(Unanswered) as raised:
        await answered(connection, lose)
    assert raised.value.__cause__ is error
    assert not connection.is_free


@pytest.mark.parametrize("said", [OK[:5], OK, EMPTY[:-1]])
@pytest.mark.parametrize("is_reset", [True, False])
async def test_closed_within_its_answer_it_is_none(
    connection: Connection, said: bytes, is_reset: bool
) -> None:
    def lose() -> None:
        if not is_reset:
            connection.eof_received()
        connection.connection_lost(None)

    with pytest.raises(BadAnswer) as raised:
        await answered(connection, said, lose)
    assert not isinstance(raised.value, Unanswered)


async def test_lost_before_it_was_asked_it_is_unanswered(
    connection: Connection, wire: Wire
) -> None:
    connection.connection_lost(None)
    assert not connection.is_free
    with pytest.raises(Unanswered):
        await connection.exchange(GET)
    connection.close()  # again
    assert wire.sent == b""


async def test_whoever_gives_up_closes(connection: Connection, wire: Wire) -> None:
    with anyio.move_on_after(0.001):
        await connection.exchange(GET)
    assert wire.is_aborted
    assert not connection.is_free
    connection.data_received(EMPTY)  # too late, and read by nobody


async def test_a_header_that_cannot_be_sent_is_not(connection: Connection, wire: Wire) -> None:
    with pytest.raises(h11.LocalProtocolError):
        await connection.exchange(Request("GET", TARGET, {"a": "b\r\nc: d"}))
    assert wire.sent == b""


def test_a_request_and_an_answer_do_not_show_what_they_carry() -> None:
    assert "secret" not in repr(Request("POST", TARGET, {"a": "secret"}, b"secret"))
    assert "secret" not in repr(Answer(200, {}, None, b"secret"))
