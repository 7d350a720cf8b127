"""The server on a real socket: peers are known, idle ones leave, and the stop is quick."""

import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from anyio.abc import ByteStream

from sessiond.control import pieces, protocol, server
from sessiond.control.access import Access
from sessiond.control.address import control_socket
from sessiond.control.server import ControlServer
from sessiond.system.peer import AllowList, Peer
from tests.fakes import Settings, login, presented, verdict
from tests.unit.control.viewing import Viewing, viewing

pytestmark = pytest.mark.anyio

EVERYBODY = Access.of(readers=(), admins=())
NOBODY = Access(
    readers=AllowList(frozenset(), frozenset()), admins=AllowList(frozenset(), frozenset())
)


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="sd-") as folder:
        yield str(Path(folder, "c"))


@asynccontextmanager
async def serving(
    path: str, access: Callable[[], Access] = lambda: EVERYBODY
) -> AsyncIterator[tuple[Viewing, ControlServer]]:
    """Serve until the block ends; the stop that follows must end by itself."""
    async with viewing() as v:
        with control_socket(path, group="", passed=()) as listener:
            served = ControlServer(listener, v.view, access)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.run)
                yield v, served
                served.stop()


def client_of(path: str) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=path)
    return httpx.AsyncClient(transport=transport, base_url="http://sessiond")


async def trickle(peer: ByteStream) -> None:
    """Send a byte at a time, until that fails."""
    for pause in repeat(0.01):
        await peer.send(b"x")
        await anyio.sleep(pause)


async def test_requests_are_answered_on_one_connection_after_another(path: str) -> None:
    async with serving(path), client_of(path) as client:
        for _ in range(3):
            assert (await client.get("/healthz")).json() == {"status": "ok"}
        answer = await client.post(
            "/v1/revocations", json={"user": "alice", "reason": "the peer is this user"}
        )
        assert answer.json()["revoked"] == 0


async def test_a_peer_that_cannot_be_known_is_nobody(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: object) -> Peer:
        raise ProcessLookupError("gone")

    async with serving(path), client_of(path) as client:
        monkeypatch.setattr(protocol, "peer_of", unknown)
        with pytest.raises(httpx.TransportError):
            await client.get("/healthz")


async def test_one_user_leaves_connections_to_the_others(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = iter([7, 7, 7, 8])
    monkeypatch.setattr(
        protocol, "peer_of", lambda _: Peer(uid=next(uids), groups=frozenset(), pid=0, started=0)
    )
    monkeypatch.setattr(protocol, "ONE_USERS_SHARE", 2)
    async with serving(path):
        answered = []
        async with client_of(path) as one, client_of(path) as two, client_of(path) as three:
            for client in (one, two, three):
                try:
                    answered.append((await client.get("/healthz")).status_code)
                except httpx.TransportError:
                    answered.append(0)
            async with client_of(path) as other:
                answered.append((await other.get("/healthz")).status_code)
    assert answered == [200, 200, 0, 200]


async def test_there_are_only_so_many_connections(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 1)
    async with serving(path), client_of(path) as one, client_of(path) as two:
        assert (await one.get("/healthz")).status_code == 200
        with pytest.raises(httpx.TransportError):
            await two.get("/healthz")


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHo"])
async def test_a_connection_without_a_request_is_closed(
    path: str, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE", 0.05)
    async with serving(path), await anyio.connect_unix(path) as peer:
        if sent:
            await peer.send(sent)
        with anyio.fail_after(15), pytest.raises(anyio.EndOfStream):
            await peer.receive()


@pytest.mark.parametrize(
    "begins",
    [
        b"GET /healthz HTTP/1.1\r\nHost: ",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    ],
)
async def test_a_request_that_comes_too_slowly_is_cut_though_it_comes(
    path: str, monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE", 0.5)
    async with serving(path), await anyio.connect_unix(path) as peer:
        await peer.send(begins)
        with anyio.fail_after(15), pytest.raises((anyio.BrokenResourceError, BrokenPipeError)):
            await trickle(peer)


async def test_a_read_that_nobody_waits_for_any_more_is_not_made(path: str) -> None:
    async with serving(path) as (v, _), client_of(path) as client:
        asked: list[object] = []
        is_asked = anyio.Event()
        listed = pieces.sessions

        async def sessions(*given: Any, **more: Any) -> Any:
            asked.append(given)
            is_asked.set()
            return await listed(*given, **more)

        hold: Any = v.store.hold()
        v.view.table.submit(login(1, presented("access", says=verdict(begin=v.clock.now()))))
        await v.store.arrived.wait()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "sessions", sessions)
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(client.get, "/v1/sessions")
                with anyio.fail_after(15):
                    await is_asked.wait()
                tasks.cancel_scope.cancel()
            hold.set()
            assert (await client.get("/v1/sessions")).status_code == 200
        assert len(asked) == 2  # the one under way, and the last


async def test_a_stream_ends_with_the_server_and_a_half_sent_request_is_cut(path: str) -> None:
    async with (
        serving(path) as (_, served),
        client_of(path) as client,
        await anyio.connect_unix(path) as half,
        client.stream("GET", "/v1/events") as response,
    ):
        await half.send(
            b"POST /v1/explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10\r\n\r\n{"
        )
        blocks = response.aiter_text()
        assert await anext(blocks) == "id: 0\n\n"
        served.stop()
        assert [block async for block in blocks] == []
        with anyio.fail_after(15), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await half.receive()


async def test_without_a_socket_nobody_is_served() -> None:
    async with viewing() as v:
        with anyio.fail_after(15):
            await ControlServer(None, v.view, lambda: EVERYBODY).run()


def test_the_signals_stay_the_daemons() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with server._Server(uvicorn.Config("nothing:app", log_config=None)).capture_signals():
        assert signal.getsignal(signal.SIGTERM) is before


async def test_others_may_be_let_in_while_it_serves(path: str) -> None:
    access = Settings(NOBODY)
    async with serving(path, access) as _, client_of(path) as client:
        assert (await client.get("/healthz")).status_code == 403
        access.now = EVERYBODY
        assert (await client.get("/healthz")).status_code == 200


async def test_who_follows_events_is_judged_anew_when_others_are_let_in(path: str) -> None:
    access = Settings(EVERYBODY)
    async with (
        serving(path, access) as (_, served),
        client_of(path) as client,
        client.stream("GET", "/v1/events") as response,
    ):
        blocks = response.aiter_text()
        assert await anext(blocks) == "id: 0\n\n"
        access.now = NOBODY
        served.end_streams()
        assert [block async for block in blocks] == []
        assert (await client.get("/v1/events")).status_code == 403
