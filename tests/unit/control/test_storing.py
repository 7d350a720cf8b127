"""Token stores over HTTP: each status means what it says, and an error says what to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
import structlog

from sessiond.control.access import Access
from sessiond.system.peer import AllowList, Peer
from sessiond.tokenstores.lock import LONGEST_WAIT
from tests.fakes import idle
from tests.unit.control.viewing import ADMIN, STRANGER, Viewing, problem, viewing

pytestmark = pytest.mark.anyio

ALICE = Peer(uid=64001, groups=frozenset(), pid=11, started=1)
BOB = Peer(uid=64002, groups=frozenset({64100}), pid=12, started=1)
TOKEN, LOCK, STORES = "/v1/stores/token", "/v1/stores/lock", "/v1/stores"
CONTEXT = "externalToken://alice/Ωmega?&=+%"
AT = {"context": CONTEXT, "name": "oauth"}
VALUE = b'{"access": "eyJhbGciOi"}\x00\xff'


@asynccontextmanager
async def storing(access: Access | None = None) -> AsyncIterator[Viewing]:
    named = Access.of(readers=(), admins=(), must_name_readers=True)
    async with viewing(access=access or named) as v:
        allow(v)
        v.peer = ALICE
        yield v


def allow(v: Viewing, **different: Any) -> None:
    listed = AllowList.listed("stores.users", [ALICE.uid, "@64100"])
    stores = replace(v.settings.now.stores, **{"allowed": listed, **different})
    v.settings.now = replace(v.settings.now, stores=stores)


async def lock(v: Viewing, wait_ms: int = 5000, **at: str) -> int:
    answer = await v.ask("POST", LOCK, params=AT | at, json={"wait_ms": wait_ms})
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["fence"]
    return int(answer.json()["fence"])


async def put(v: Viewing, value: bytes, fence: object = None, **at: str) -> Any:
    headers = {} if fence is None else {"Lock": str(fence)}
    return await v.ask("PUT", TOKEN, params=AT | at, content=value, headers=headers)


async def test_a_value_is_written_under_its_lock_read_and_removed() -> None:
    async with storing() as v:
        assert "there is no value" in problem(await v.ask("GET", TOKEN, params=AT), 404)
        fence = await lock(v)
        written = await put(v, VALUE, fence)
        assert (written.status_code, written.content) == (204, b"")
        read = await v.ask("GET", TOKEN, params=AT)
        assert (read.status_code, read.content) == (200, VALUE)
        assert read.headers["content-type"] == "application/octet-stream"
        assert read.headers["cache-control"] == "no-store"
        assert (await put(v, b"", fence)).status_code == 204
        problem(await v.ask("GET", TOKEN, params=AT), 404)
        released = await v.ask("DELETE", LOCK, params=AT, headers={"Lock": str(fence)})
        assert (released.status_code, released.content) == (204, b"")
        told = problem(await v.ask("DELETE", LOCK, params=AT, headers={"Lock": str(fence)}), 409)
        assert "take the lock anew" in told


@pytest.mark.parametrize(
    ("fence", "status", "told"),
    [
        (None, 428, "POST /v1/stores/lock"),
        ("", 428, "POST /v1/stores/lock"),
        (1, 409, "take the lock anew"),
        ("nonsense", 409, "take the lock anew"),
        ("-1", 409, "take the lock anew"),
        ("\u00b2", 409, "take the lock anew"),
        ("9" * 5000, 409, "take the lock anew"),
    ],
)
async def test_without_a_fence_that_holds_nothing_is_written_or_released(
    fence: object, status: int, told: str
) -> None:
    async with storing() as v:
        held = await lock(v)
        headers = {} if fence is None else {"Lock": str(fence).encode()}
        for method, path in (("PUT", TOKEN), ("DELETE", LOCK)):
            answer = await v.ask(method, path, params=AT, headers=headers)
            assert told in problem(answer, status)
        assert (await put(v, VALUE, held)).status_code == 204


async def test_a_value_has_65536_bytes_at_most() -> None:
    async with storing() as v:
        fence = await lock(v)
        assert (await put(v, b"x" * 65_536, fence)).status_code == 204
        assert "more than 65536 bytes" in problem(await put(v, b"y" * 65_537, fence), 413)
        assert (await v.ask("GET", TOKEN, params=AT)).content == b"x" * 65_536


@pytest.mark.parametrize("told", ["text/plain; charset=utf-8", "application/json", "nonsense", ""])
async def test_a_value_may_be_said_to_be_anything(told: str) -> None:
    async with storing() as v:
        headers = {"Lock": str(await lock(v)), "content-type": told}
        answer = await v.ask("PUT", TOKEN, params=AT, content=VALUE, headers=headers)
        assert answer.status_code == 204
        assert (await v.ask("GET", TOKEN, params=AT)).content == VALUE


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"wait_ms": 0}', 200),
        ('{"wait_ms": -2147483648}', 200),
        ('{"wait_ms": 9007199254740992}', 200),
        ('{"wait_ms": 1.5}', 400),
        ('{"wait_ms": "1"}', 400),
        ('{"wait_ms": 1e99}', 400),
        ("{}", 400),
        ("", 400),
        ('{"wait_ms": 1, "fence": 2}', 400),
    ],
)
async def test_a_lock_is_asked_for_with_milliseconds(body: str, status: int) -> None:
    async with storing() as v:
        for media_type in ("application/json", "application/x-www-form-urlencoded"):  # as curl's -d
            answer = await v.ask(
                "POST",
                LOCK,
                params=AT | {"name": media_type},
                content=body,
                headers={"content-type": media_type},
            )
            assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "query",
    [
        "context=c",
        "name=n",
        "context=&name=n",
        f"context={'c' * 257}&name=n",
        "context=a%00b&name=n",
        "context=a%0ab&name=n",
        "context=%c2%85&name=n",
        "context=%e2%80%a8&name=n",
        "context=%ff&name=n",
        "context=c&name=n&more=1",
        "context=c&context=d&name=n",
    ],
)
async def test_a_place_that_is_none_is_refused(query: str) -> None:
    async with storing() as v:
        for method, path in (("GET", TOKEN), ("PUT", TOKEN), ("POST", LOCK), ("DELETE", LOCK)):
            problem(await v.ask(method, f"{path}?{query}", json={"wait_ms": 0}), 400)


@pytest.mark.parametrize(
    "context", ["/", "a/../b", "c" * 256, "Ω" * 256, "🔑", "a b", "sources:x", "."]
)
async def test_a_context_may_be_any_line(context: str) -> None:
    async with storing() as v:
        fence = await lock(v, context=context)
        assert (await put(v, VALUE, fence, context=context)).status_code == 204
        read = await v.ask("GET", TOKEN, params=AT | {"context": context})
        assert read.content == VALUE


async def test_who_is_not_named_gets_403_before_anything_is_read() -> None:
    async with storing() as v:
        await v.ask("POST", LOCK, params=AT, json={"wait_ms": 0})
        v.peer = STRANGER
        with structlog.testing.capture_logs() as logs:
            for method, path in (("GET", TOKEN), ("PUT", TOKEN), ("POST", LOCK), ("DELETE", LOCK)):
                told = problem(await v.ask(method, f"{path}?nonsense", content=b"{"), 403)
                assert told == "user 64999 is not among stores.users, who may do that"
        assert len(logs) == 4


async def test_groups_and_root_are_named_too_and_contexts_are_each_his_own() -> None:
    async with storing() as v:
        assert (await put(v, VALUE, await lock(v))).status_code == 204
        for peer in (BOB, ADMIN):
            v.peer = peer
            asked = [
                await v.ask("GET", TOKEN, params=AT),
                await v.ask("POST", LOCK, params=AT, json={"wait_ms": 0}),
                await put(v, VALUE, 1),
                await v.ask("DELETE", LOCK, params=AT, headers={"Lock": "1"}),
            ]
            for each in asked:
                assert "another user's" in problem(each, 403)
            mine = await lock(v, context=f"of {peer.uid}")
            assert (await put(v, b"m", mine, context=f"of {peer.uid}")).status_code == 204
        allow(v, is_shared=True)
        assert (await v.ask("GET", TOKEN, params=AT)).content == VALUE


async def test_who_may_keep_tokens_here_may_look_at_nothing_else() -> None:
    async with storing() as v:
        for path in ("/v1/status", "/v1/sessions", STORES, "/metrics", "/openapi.json"):
            assert "listen.control_readers" in problem(await v.ask("GET", path), 403)
        problem(await v.ask("DELETE", STORES, params={"context": CONTEXT}), 403)


async def test_without_the_table_there_are_no_stores() -> None:
    async with storing() as v:
        allow(v, allowed=None)
        for method, path in (("GET", TOKEN), ("PUT", TOKEN), ("POST", LOCK), ("DELETE", LOCK)):
            told = problem(await v.ask(method, path, params=AT, content=b"{}"), 404)
            assert "wanted [stores] in the configuration" in told


async def test_there_is_room_for_so_many_contexts() -> None:
    async with storing() as v:
        allow(v, max_contexts=1)
        assert (await put(v, VALUE, await lock(v))).status_code == 204
        full = await put(v, VALUE, await lock(v, context="another"), context="another")
        assert "stores.max_contexts" in problem(full, 507)


class Waiting:
    """A request for a lock that waits, as uvicorn has it, and its peer may hang up."""

    def __init__(self, v: Viewing) -> None:
        self.v = v
        self.gone = anyio.Event()
        self.status = 0

    async def run(self) -> None:
        body = [b'{"wait_ms": 600000}']

        async def receive() -> Any:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.status = message.get("status", self.status)

        scope = {
            "type": "http",
            "method": "POST",
            "path": LOCK,
            "query_string": b"context=c&name=n",
            "headers": [],
            "state": {"peer": self.v.peer},
        }
        await self.v.app(scope, receive, send)


async def test_who_hangs_up_waits_no_more_and_the_next_has_the_lock() -> None:
    async with storing() as v, anyio.create_task_group() as tasks:
        at = {"context": "c", "name": "n"}
        fence = await lock(v, context="c", name="n")
        first, second = Waiting(v), Waiting(v)
        for each in (first, second):
            tasks.start_soon(each.run)
            await idle()
        assert v.view.stores.locks.waiting == 2
        first.gone.set()
        await idle()
        assert v.view.stores.locks.waiting == 1
        await v.ask("DELETE", LOCK, params=at, headers={"Lock": str(fence)})
        await idle()
        assert second.status == 200


async def test_a_request_that_waits_for_a_minute_is_to_be_repeated() -> None:
    async with storing() as v, anyio.create_task_group() as tasks:
        await lock(v)
        answers = list[Any]()

        async def wait() -> None:
            body = {"wait_ms": 600_000}
            answers.append(await v.ask("POST", LOCK, params=AT, json=body))

        tasks.start_soon(wait)
        await v.clock.advance(LONGEST_WAIT)
        assert "ask again" in problem(answers[0], 408)


async def test_who_waits_too_often_is_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessiond.tokenstores.locks.MAX_WAITING", 1)
    async with storing() as v, anyio.create_task_group() as tasks:
        await lock(v)
        tasks.start_soon(partial(v.ask, "POST", LOCK, params=AT, json={"wait_ms": 5000}))
        await idle()
        answer = await v.ask("POST", LOCK, params=AT, json={"wait_ms": 5000})
        assert "too many locks of yours" in problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
        tasks.cancel_scope.cancel()


async def test_reads_wait_for_no_turn_while_others_are_under_way() -> None:
    async with storing() as v:
        assert (await put(v, VALUE, await lock(v))).status_code == 204
        v.store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(v.ask, "GET", TOKEN, params=AT))
            found = list[bytes]()

            async def read() -> None:
                found.append((await v.ask("GET", TOKEN, params=AT)).content)

            for _ in range(10):
                tasks.start_soon(read)
            await idle()
            v.store.gate.set()
        assert found == [VALUE] * 10


async def test_metrics_and_the_status_count_and_name_nobody() -> None:
    async with storing() as v:
        await put(v, VALUE, await lock(v))
        await v.ask("GET", TOKEN, params=AT)
        await v.clock.advance(5)
        await lock(v)
        v.peer = ADMIN
        lines = (await v.ask("GET", "/metrics")).text.splitlines()
        for line in (
            "sessiond_stores_contexts 1.0",
            "sessiond_stores_reads_total 1.0",
            "sessiond_stores_writes_total 1.0",
            'sessiond_stores_locks_taken_total{was="free"} 1.0',
            'sessiond_stores_locks_taken_total{was="stale"} 1.0',
            "sessiond_stores_locks_held 1.0",
            "sessiond_stores_locks_waiting 0.0",
        ):
            assert line in lines
        assert not [line for line in lines if "externalToken" in line]
        status = await v.get("/v1/status")
        assert status["stores"] == {"contexts": 1, "locks": 1, "waiting": 0}
