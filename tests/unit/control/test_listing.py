"""Processes and names, page by page."""

from typing import Any

import pytest

from sessiond.core.session import ProcessAbout, ProcessKey
from tests.fakes import login, presented, principal, process_key, verdict
from tests.unit.control.viewing import Viewing, problem, viewing
from tests.unit.kdb.fakes import FakeLine

pytestmark = pytest.mark.anyio


async def every(v: Viewing, path: str, what: str, **query: Any) -> list[list[Any]]:
    """Return all pages."""
    pages, after = [], None
    while True:
        found = await v.get(path, **query, **({} if after is None else {"after": after}))
        pages.append(found[what])
        after = found["next"]
        if after is None:
            return pages


async def test_a_process_is_listed_with_what_it_says_and_how_many_sessions_it_has() -> None:
    async with viewing() as v:
        await v.log_in(1)
        await v.log_in(2)
        found = await v.get("/v1/processes")
        assert found["next"] is None
        first, second, third = found["processes"]
        assert first == {
            "name": "rdb100",
            "type": "rdb",
            "host": "tick.example.com",
            "pid": 100,
            "uid": process_key().uid,
            "hook": "0.1.0",
            "connected": True,
            "sessions": 2,
        }
        assert (second["name"], second["sessions"]) == ("rdb200", 0)
        assert (third["hook"], third["connected"]) == ("", True)


async def test_a_process_that_left_is_listed_as_long_as_sessions_wait_for_it() -> None:
    async with viewing() as v:
        await v.log_in(1, pid=400)
        (*_, gone) = (await v.get("/v1/processes"))["processes"]
        assert (gone["name"], gone["connected"], gone["sessions"]) == ("rdb400", False, 1)
        assert gone["hook"] == ""


async def test_processes_come_in_pages_whatever_they_are_called() -> None:
    async with viewing() as v:
        about = ProcessAbout(name="a:b c", type="x", host="h", pid=9)
        for label in ("a:b c #1 of x", "a:b c #2 of x"):
            key = ProcessKey(uid=500, pid=0, started=0, label=label)
            v.view.connected.enter(key, FakeLine(), about)
        pages = await every(v, "/v1/processes", "processes", limit=1)
        assert [len(page) for page in pages] == [1] * 5
        assert sorted(page[0]["pid"] for page in pages) == [9, 9, 100, 200, 300]


async def test_names_say_whose_they_are_and_how_many_sessions_they_have() -> None:
    async with viewing() as v:
        await v.log_in(1)
        bob = verdict(principal("Bob", issuer="corp"))
        await v.view.table.ask(login(2, presented("bob's", says=bob)))
        found = await v.get("/v1/names")
        assert found == {
            "names": [
                {
                    "name": "alice",
                    "issuer": "corp",
                    "subject": principal().subject,
                    "sessions": 1,
                },
                {
                    "name": "bob",
                    "issuer": "corp",
                    "subject": principal("Bob").subject,
                    "sessions": 1,
                },
            ],
            "next": None,
        }
        pages = await every(v, "/v1/names", "names", limit=1)
        assert [page[0]["name"] for page in pages] == ["alice", "bob"]
        assert [each["name"] for each in (await v.get("/v1/names", begin="BO"))["names"]] == ["bob"]
        await v.ask("DELETE", "/v1/names/alice")
        assert [each["name"] for each in (await v.get("/v1/names"))["names"]] == ["bob"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/processes", {"after": "rdb1"}),
        ("/v1/processes", {"limit": 1001}),
        ("/v1/names", {"limit": 0}),
        ("/v1/names", {"begin": "x" * 1025}),
        ("/v1/names", {"ending": "x"}),
    ],
)
async def test_what_is_no_query_is_refused(path: str, query: dict[str, Any]) -> None:
    async with viewing() as v:
        problem(await v.ask("GET", path, params=query), 400)
