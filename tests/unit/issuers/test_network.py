"""Connections that are made, kept, used again and given up, over loopback."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

import anyio
import pytest
import trustme

from sessiond.issuers import network as network_module
from sessiond.issuers.connection import BadAnswer, Connection, Request, Unanswered
from sessiond.issuers.network import MAX_IDLE, Network, connected
from sessiond.issuers.url import Origin, Target
from tests.unit.issuers.fake import TLS, HandClock

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
END = b""  # close instead of an answer
SILENCE = b"silence"


class Issuer:
    """Answers what it is told to, then closes; and knows on how many connections it was asked."""

    def __init__(self, script: Sequence[Sequence[bytes]]) -> None:
        self.script = [list(each) for each in script]  # by connection, an answer for each request
        self.asked: list[int] = []  # on which connection
        self.connections = 0
        self.transports: list[asyncio.Transport] = []  # in the order of the connections
        self.over = 0  # connections that have ended
        self.port = 0

    def target(self, host: str = "127.0.0.1", scheme: str = "http") -> Target:
        return Target(Origin(scheme, host, self.port), f"{host}:{self.port}", "/")


class Served(asyncio.Protocol):
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._number, self._answers = issuer.connections, issuer.script[issuer.connections]
        issuer.connections += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._issuer.transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        assert data.endswith(b"\r\n\r\n")  # one request
        self._issuer.asked.append(self._number)
        if self._answers != [SILENCE]:
            self._transport.write(self._answers.pop(0))
        if not self._answers:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._issuer.over += 1


@asynccontextmanager
async def serving(*script: list[bytes], tls: ssl.SSLContext | None = None) -> AsyncIterator[Issuer]:
    issuer = Issuer(script)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Served(issuer), "127.0.0.1", 0, ssl=tls)
    issuer.port = server.sockets[0].getsockname()[1]
    try:
        yield issuer
        await until(lambda: issuer.over == issuer.connections)
    finally:
        server.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def network(clock: HandClock, *, most_idle: int = 4) -> Network:
    return Network(tls=TLS, most_idle=most_idle, clock=clock)


def get(issuer: Issuer, *, is_repeatable: bool = True) -> Request:
    return Request("GET", issuer.target(), {}, is_repeatable=is_repeatable)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - what the other side sees has no event
            await asyncio.sleep(0)


async def test_a_connection_is_used_again(clock: HandClock) -> None:
    async with serving([OK, OK, OK]) as issuer:
        kept = network(clock)
        for _ in range(3):
            assert (await kept.exchange(get(issuer))).body == b"{}"
        assert issuer.asked == [0, 0, 0]
        kept.close()


async def test_one_that_was_idle_for_long_is_not(clock: HandClock) -> None:
    async with serving([OK, OK, OK], [OK, OK]) as issuer:
        kept = network(clock)
        await kept.exchange(get(issuer))
        clock.pass_(MAX_IDLE)
        await kept.exchange(get(issuer))
        clock.pass_(MAX_IDLE + 0.1)
        await kept.exchange(get(issuer))
        assert issuer.asked == [0, 0, 1]
        await until(lambda: issuer.over == 1)
        kept.close()


async def test_one_that_the_issuer_has_closed_is_not_even_tried(clock: HandClock) -> None:
    async with serving([OK], [OK]) as issuer:
        kept = network(clock)
        await kept.exchange(get(issuer, is_repeatable=False))
        (idle,) = kept._idle
        await until(lambda: not idle.is_free)
        assert (await kept.exchange(get(issuer, is_repeatable=False))).body == b"{}"
        assert issuer.asked == [0, 1]
        kept.close()


async def test_an_answer_that_came_unasked_and_was_not_read_yet_is_nobodys(
    clock: HandClock,
) -> None:
    """The loop has been busy since: it would read it as the answer to whoever asks next."""
    async with serving([OK, OK], [OK]) as issuer:
        kept = network(clock)
        await kept.exchange(get(issuer))
        issuer.transports[0].write(OK.replace(b"{}", b"[]"))
        assert (await kept.exchange(get(issuer))).body == b"{}"
        assert issuer.asked == [0, 1]
        kept.close()


async def test_one_that_is_closed_is_not_tried_before_the_loop_has_seen_that(
    clock: HandClock,
) -> None:
    async with serving([OK, END], [OK]) as issuer:
        kept = network(clock)
        await kept.exchange(get(issuer, is_repeatable=False))
        issuer.transports[0].write_eof()
        assert (await kept.exchange(get(issuer, is_repeatable=False))).body == b"{}"
        assert issuer.asked == [0, 1]
        kept.close()


async def test_what_may_be_repeated_is_where_a_kept_connection_is_closed_at_that_moment(
    clock: HandClock,
) -> None:
    async with serving([OK, END], [OK]) as issuer:
        kept = network(clock)
        await kept.exchange(get(issuer))
        assert (await kept.exchange(get(issuer))).body == b"{}"
        assert issuer.asked == [0, 0, 1]
        kept.close()


async def test_it_is_repeated_once_and_only_where_nothing_came(clock: HandClock) -> None:
    async with serving([OK, END], [END], [OK, OK[:20]]) as issuer:
        kept = network(clock)
        await kept.exchange(get(issuer))
        with pytest.raises(Unanswered):
            await kept.exchange(get(issuer))
        assert issuer.asked == [0, 0, 1]
        await kept.exchange(get(issuer))
        with pytest.raises(BadAnswer, match="within"):
            await kept.exchange(get(issuer))
        assert issuer.asked == [0, 0, 1, 2, 2]


async def test_what_must_not_be_repeated_is_sent_once(clock: HandClock) -> None:
    """A refresh token may have been spent: sent again, it would count as stolen."""
    async with serving([OK, END], [OK]) as issuer:
        kept = network(clock)
        await kept.exchange(get(issuer, is_repeatable=False))
        with pytest.raises(Unanswered):
            await kept.exchange(get(issuer, is_repeatable=False))
        assert issuer.asked == [0, 0]


async def test_no_more_are_kept_than_allowed_and_none_for_somebody_else(clock: HandClock) -> None:
    async with serving([OK, OK], [OK, OK]) as one, serving([OK, OK]) as other:
        kept = network(clock, most_idle=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kept.exchange, get(one))
            tasks.start_soon(kept.exchange, get(one))
        await until(lambda: one.over == 1)
        await kept.exchange(get(other))
        await until(lambda: one.over == 2)
        assert other.asked == [0]
        kept.close()


async def test_closed_it_keeps_nothing(clock: HandClock) -> None:
    async with serving([OK, OK], [OK, OK]) as issuer:
        closed = network(clock)
        await closed.exchange(get(issuer))
        closed.close()
        await closed.exchange(get(issuer))
        await until(lambda: issuer.over == 2)
        assert issuer.asked == [0, 1]


async def test_whoever_gives_up_leaves_no_connection(clock: HandClock) -> None:
    async with serving([SILENCE]) as issuer:
        kept = network(clock)
        with anyio.move_on_after(0.05):
            await kept.exchange(get(issuer))
        assert issuer.asked == [0]
        assert not kept._idle
        await until(lambda: issuer.over == 1)  # the other side sees its end


async def test_a_kept_connection_is_one_of_tls_too(clock: HandClock) -> None:
    authority, shown = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(shown)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving([OK, OK], tls=shown) as issuer:
        kept = Network(tls=trusting, most_idle=1, clock=clock)
        request = replace(get(issuer), target=issuer.target("localhost", "https"))
        for _ in range(2):
            assert (await kept.exchange(request)).body == b"{}"
        assert issuer.asked == [0, 0]
        kept.close()


class Addresses:
    """The addresses of a name: what comes of each, which were tried, and which closed again."""

    def __init__(self) -> None:
        self.fates: dict[str, Callable[[], Awaitable[None]]] = {}
        self.tried: list[str] = []
        self.closed: list[str] = []

    async def look_up(self, host: str, port: int, **_: object) -> Sequence[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.fates]

    async def connect(self, address: str, origin: Origin, _: ssl.SSLContext) -> Connection:
        self.tried.append(address)
        await self.fates[address]()
        made = Connection(Origin(origin.scheme, address, origin.port))
        made.close = partial(self.closed.append, address)  # type: ignore[method-assign]
        return made


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Addresses:
    addresses = Addresses()
    monkeypatch.setattr(anyio, "getaddrinfo", addresses.look_up)
    monkeypatch.setattr(network_module, "_connected_to", addresses.connect)
    monkeypatch.setattr(network_module, "NEXT_ADDRESS_AFTER", 0.01)
    return addresses


NAME = Origin("https", "login.example.com", 443)


async def at_once() -> None:
    pass


async def refused() -> None:
    raise ConnectionRefusedError(111, "refused")


async def unreachable() -> None:
    raise OSError(113, "no route to host")


async def test_the_next_address_is_tried_where_one_refuses_of_the_other_family_first(
    addresses: Addresses,
) -> None:
    addresses.fates = {"10.0.0.1": refused, "10.0.0.2": at_once, "::1": refused, "::2": at_once}
    assert (await connected(NAME, TLS)).origin.host == "10.0.0.2"
    assert addresses.tried == ["10.0.0.1", "::1", "10.0.0.2"]


async def test_an_address_that_says_nothing_holds_up_no_other(addresses: Addresses) -> None:
    addresses.fates = {"::1": anyio.sleep_forever, "10.0.0.1": at_once}
    with anyio.fail_after(5):
        assert (await connected(NAME, TLS)).origin.host == "10.0.0.1"


async def test_where_every_address_refuses_the_first_ones_word_counts(addresses: Addresses) -> None:
    addresses.fates = {"10.0.0.1": refused, "10.0.0.2": unreachable}
    with pytest.raises(ConnectionRefusedError):
        await connected(NAME, TLS)


async def test_a_connection_that_is_not_needed_any_more_is_closed(addresses: Addresses) -> None:
    second = anyio.Event()

    async def together() -> None:
        if len(addresses.tried) == 2:
            second.set()
        with anyio.CancelScope(shield=True):
            await second.wait()

    addresses.fates = {"10.0.0.1": together, "10.0.0.2": together}
    winner = (await connected(NAME, TLS)).origin.host
    assert sorted([winner, *addresses.closed]) == ["10.0.0.1", "10.0.0.2"]


async def test_whoever_gives_up_as_it_is_made_leaves_none(addresses: Addresses) -> None:
    scope = anyio.CancelScope()

    async def given_up() -> None:
        scope.cancel()

    addresses.fates = {"10.0.0.1": given_up}
    with scope:
        await connected(NAME, TLS)
    assert addresses.closed == ["10.0.0.1"]
