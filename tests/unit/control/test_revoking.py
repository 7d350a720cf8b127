"""Taking back, forgiving and forgetting on an operator's word."""

import pwd
from typing import Any

import pytest

from sessiond.core.access import Denied
from sessiond.core.errors import Refusal
from sessiond.core.events import (
    Operator,
    OperatorForgave,
    OperatorForgot,
    OperatorRevoked,
    SessionRevoked,
)
from sessiond.kdb import replies
from tests.fakes import idle, login, presented, session_id
from tests.unit.control.viewing import ADMIN, TOKEN, problem, viewing

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("body", "ended", "left", "lasts"),
    [
        ({"session": str(session_id(1))}, 1, {2, 3}, False),
        ({"session": str(session_id(9))}, 0, {1, 2, 3}, False),
        ({"process": "rdb100"}, 2, {3}, False),
        ({"process": "rdb200:200"}, 1, {1, 2}, False),
        ({"process": "nobody"}, 0, {1, 2, 3}, False),
        ({"user": "ALICE"}, 3, set(), True),
        ({"user": "bob"}, 0, {1, 2, 3}, True),
        ({"issuer": "corp"}, 3, set(), True),
        ({"all": True}, 3, set(), True),
    ],
)
async def test_revoking_ends_what_it_names(
    body: dict[str, Any], ended: int, left: set[int], lasts: bool
) -> None:
    async with viewing() as v:
        await v.log_in(1)
        await v.log_in(2)
        await v.log_in(3, pid=200)
        response = await v.ask("POST", "/v1/revocations", json={**body, "reason": "left us"})
        answer = response.json()
        assert (response.status_code, answer["revoked"]) == (200, ended)
        assert await v.alive() == left
        in_force = (await v.get("/v1/revocations"))["revocations"]
        assert [each["id"] for each in in_force] == ([answer["id"]] if lasts else [])
        if lasts:
            assert (in_force[0]["reason"], in_force[0]["at"]) == ("left us", "2026-03-02T09:00:00Z")


async def test_revoking_is_answered_when_it_was_pushed() -> None:
    async with viewing() as v:
        await v.log_in(1)
        await idle()
        assert v.line.pushed == []
        await v.ask("POST", "/v1/revocations", json={"all": True, "reason": "drill"})
        assert [each.kind for each in v.store.events[-2:]] == [
            "operator.revoked",
            "session.revoked",
        ]
        assert v.line.pushed == [replies.push_of(v.store.events[-1])]
        assert v.store.events[-1].kind == "session.revoked"


@pytest.mark.parametrize(
    "body",
    [
        {"session": str(session_id(1))},
        {"process": "rdb100"},
        {"user": "alice"},
        {"issuer": "corp"},
        {"all": True},
    ],
)
async def test_each_revocation_is_told_with_who_and_why(body: dict[str, Any]) -> None:
    async with viewing() as v:
        await v.log_in(1)
        before = len(v.store.events)
        await v.ask("POST", "/v1/revocations", json={**body, "reason": "left us"})
        order, end = v.store.events[before:]
        assert isinstance(order, OperatorRevoked)
        assert order.by == Operator(uid=ADMIN.uid, name=pwd.getpwuid(ADMIN.uid).pw_name)
        assert (order.reason, order.scope, order.count) == ("left us", next(iter(body)), 1)
        assert isinstance(end, SessionRevoked)
        assert (end.reason, end.detail) == ("operator", "left us")


async def test_forgiving_and_forgetting_are_told_with_who_and_why() -> None:
    async with viewing() as v:
        await v.log_in(1)
        answer = await v.ask("POST", "/v1/revocations", json={"user": "alice", "reason": "x"})
        path = f"/v1/revocations/{answer.json()['id']}"
        await v.ask("DELETE", path, params={"reason": "a mistake"})
        await v.ask("DELETE", "/v1/names/alice")
        forgave, forgot = v.store.events[-2:]
        assert isinstance(forgave, OperatorForgave)
        assert isinstance(forgot, OperatorForgot)
        assert forgave.by is not None
        assert forgave.by == forgot.by
        assert (forgave.user, forgave.reason) == ("alice", "a mistake")
        assert (forgot.user, forgot.reason) == ("alice", "")


@pytest.mark.parametrize("path", [f"/v1/revocations/{session_id(1)}", "/v1/names/alice"])
async def test_words_that_cannot_be_shown_change_nothing(path: str) -> None:
    async with viewing() as v:
        await v.log_in(1)
        problem(await v.ask("DELETE", path, params={"reason": "\u202e"}), 400)
        assert [each["name"] for each in (await v.get("/v1/names"))["names"]] == ["alice"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "x"},
        {"user": "alice"},
        {"user": "alice", "reason": ""},
        {"user": "alice", "reason": "two\nlines"},
        {"user": "alice", "reason": "x" * 501},
        {"user": "alice", "reason": "\u202ex"},
        {"user": "alice", "session": str(session_id(1)), "reason": "x"},
        {"all": False, "reason": "x"},
        {"user": None, "reason": "x"},
        {"user": "", "reason": "x"},
        {"user": "\u0430lice", "reason": "x"},
        {"user": TOKEN, "reason": "x"},
        {"session": TOKEN, "reason": "x"},
        {"issuer": TOKEN, "reason": "x"},
        {"issuer": "nobody", "reason": "x"},
        {"user": "alice", "reason": "x", TOKEN: 1},
    ],
)
async def test_a_revocation_that_is_wrong_is_400_and_changes_nothing(body: dict[str, Any]) -> None:
    async with viewing() as v:
        await v.log_in(1)
        assert "eyJ" not in problem(await v.ask("POST", "/v1/revocations", json=body), 400)
        assert await v.alive() == {1}
        assert (await v.get("/v1/revocations"))["revocations"] == []


async def test_a_revocation_that_is_not_on_disk_says_so_and_ends_access_all_the_same() -> None:
    async with viewing() as v:
        await v.log_in(1)
        v.store.failing = 1
        response = await v.ask("POST", "/v1/revocations", json={"user": "alice", "reason": "x"})
        assert "not on disk" in problem(response, 503)
        assert await v.alive() == set()


async def test_forgiving_lets_the_same_token_in_again() -> None:
    async with viewing() as v:
        await v.clock.advance(1)
        tokens = presented(presented_at=v.clock.now())
        answer = await v.ask("POST", "/v1/revocations", json={"user": "alice", "reason": "x"})
        denied = await v.view.table.ask(login(1, tokens))
        assert isinstance(denied, Denied)
        assert denied.reason is Refusal.REVOKED
        path = f"/v1/revocations/{answer.json()['id']}"
        response = await v.ask("DELETE", path)
        assert (response.status_code, response.content) == (204, b"")
        assert not isinstance(await v.view.table.ask(login(1, tokens)), Denied)
        assert "in force" in problem(await v.ask("DELETE", path), 404)


async def test_forgetting_lets_a_name_belong_to_another_subject() -> None:
    async with viewing() as v:
        await v.log_in(1)
        assert (await v.ask("DELETE", "/v1/names/Alice")).status_code == 204
        assert "nobody" in problem(await v.ask("DELETE", "/v1/names/alice"), 404)
        assert "nobody" in problem(await v.ask("DELETE", "/v1/names/CORP%2Fbob"), 404)
