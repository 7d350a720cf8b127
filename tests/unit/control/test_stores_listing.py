"""What operators see of the token stores, and what they drop."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest
import structlog

from sessiond.control import stores_listing
from sessiond.control.access import Access
from tests.unit.control.test_storing import ALICE, AT, CONTEXT, STORES, VALUE, lock, put, storing
from tests.unit.control.viewing import ADMIN, Viewing, problem

pytestmark = pytest.mark.anyio

READERS = Access.of(readers=[ALICE.uid], admins=())


async def kept(v: Viewing) -> None:
    fence = await lock(v)
    await put(v, VALUE, fence)
    await lock(v, context="locked only")
    for number in range(3):
        at = f"more {number}"
        await put(v, b"x", await lock(v, context=at), context=at)


async def test_contexts_are_listed_with_owners_names_sizes_times_and_locks_never_a_value() -> None:
    async with storing(READERS) as v:
        await kept(v)
        await v.clock.advance(2)
        found: dict[str, Any] = {each["context"]: each for each in (await v.get(STORES))["stores"]}
        assert sorted(found) == sorted(
            [CONTEXT, "locked only", *(f"more {number}" for number in range(3))]
        )
        locked = {
            "name": "oauth",
            "uid": ALICE.uid,
            "pid": ALICE.pid,
            "since": "2026-03-02T09:00:00Z",
            "idle": 2.0,
            "waiting": 0,
        }
        written = {"name": "oauth", "size": len(VALUE), "written_at": "2026-03-02T09:00:00Z"}
        assert found[CONTEXT] == {
            "context": CONTEXT,
            "owner": ALICE.uid,
            "made_at": "2026-03-02T09:00:00Z",
            "values": [written],
            "locks": [locked],
        }
        nothing: dict[str, Any] = {"owner": None, "made_at": None, "values": []}
        assert found["locked only"] == {"context": "locked only", **nothing, "locks": [locked]}
        assert "eyJhbGciOi" not in (await v.ask("GET", STORES)).text


async def test_pages_are_followed_by_next() -> None:
    async with storing(READERS) as v:
        await kept(v)
        names, after = list[str](), dict[str, str]()
        while True:
            page = await v.get(STORES, limit=2, **after)
            names += [each["context"] for each in page["stores"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert len(names) == 5
        assert names == sorted(names)


async def test_a_page_of_many_values_leaves_others_their_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with storing(READERS) as v:
        for number in range(30):
            at = f"more {number}"
            await put(v, b"x", await lock(v, context=at), context=at)

        async def turns(at_once: int) -> int:
            monkeypatch.setattr(stores_listing, "CONTEXTS_AT_ONCE", at_once)
            passed = 0

            async def others() -> None:
                nonlocal passed
                while True:
                    passed += 1
                    await anyio.lowlevel.checkpoint()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(others)
                assert len((await v.get(STORES))["stores"]) == 30
                tasks.cancel_scope.cancel()
            return passed

        assert await turns(1) >= await turns(30) + 20


async def test_an_administrator_drops_a_context_and_that_is_logged() -> None:
    async with storing(READERS) as v:
        await kept(v)
        query = {"context": CONTEXT}
        problem(await v.ask("DELETE", STORES, params=query), 403)
        v.peer = ADMIN
        with structlog.testing.capture_logs() as logs:
            answer = await v.ask("DELETE", STORES, params=query)
        assert answer.json() == {"values": 1, "locks": 1}
        (line,) = logs
        assert (line["event"], line["log_level"]) == ("stored tokens dropped", "warning")
        assert (line["uid"], line["pid"], line["values"], line["locks"]) == (ADMIN.uid, 1, 1, 1)
        v.peer = ALICE
        problem(await v.ask("GET", "/v1/stores/token", params=AT), 404)


async def test_what_is_not_there_is_not_dropped() -> None:
    async with storing() as v:
        v.peer = ADMIN
        problem(await v.ask("DELETE", STORES, params={"context": "nobody's"}), 404)
        problem(await v.ask("DELETE", STORES), 400)
