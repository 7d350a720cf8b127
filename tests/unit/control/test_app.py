"""The control API, operation by operation: who may, what is asked, what is answered."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import msgspec
import pytest
import structlog
from msgspec import structs

from sessiond import __version__
from sessiond.control import bodies
from sessiond.control.access import Access, Right
from sessiond.control.operations import OPERATIONS
from sessiond.control.request_body import MAX_BODY
from sessiond.core.errors import IssuerUnavailable, Refusal
from tests.fakes import (
    HOUR,
    START,
    MemoryStore,
    bind,
    idle,
    login,
    presented,
    principal,
    session_id,
    verdict,
    web_login,
)
from tests.unit.control.viewing import INSTANCE, STRANGER, TOKEN, problem, viewing
from tests.unit.extensions.roles.fakes import ScriptedSource, asked
from tests.unit.gate.fakes import jwt

pytestmark = pytest.mark.anyio


async def test_the_status_has_what_there_is() -> None:
    async with viewing() as v:
        await v.log_in(1)
        await v.view.table.ask(login(2, presented("other", "refresh")))
        await v.clock.advance(5)
        found = await v.get("/v1/status")
        assert found == {
            "version": __version__,
            "instance": str(INSTANCE),
            "ready_at": "2026-03-02T09:00:00Z",
            "uptime": 5.0,
            "issuers": [
                {
                    "name": "corp",
                    "healthy": True,
                    "trouble": "",
                    "last_success_at": "2026-03-02T09:00:00Z",
                    "last_error": "",
                    "last_error_at": None,
                }
            ],
            "role_sources": [],
            "queues": {"table": 0, "logins": 0},
            "connections": 3,
            "refused_connections": 4,
            "hooks": {"0.1.0": 2, "": 1},
            "configuration": {
                "loaded_at": "2026-03-02T09:00:00Z",
                "generation": 1,
                "last_error": "",
                "last_error_at": None,
                "needs_restart": [],
            },
            "sessions": {"unbound": 1, "open": 1, "waiting": 0, "web": 0},
            "grants": 2,
            "revocations": 0,
            "subscribers": [],
            "store": {"path": "/nowhere/sessiond.db", "bytes": 0},
            "stores": None,
            "sources": [],
            "tickets": None,
            "last_sequence": 1,
            "next_refresh_at": "2026-03-02T09:36:00Z",
        }
        assert msgspec.convert(found, bodies.Status).issuers[0].healthy


async def test_an_issuer_that_was_never_reached_is_not_healthy() -> None:
    async with viewing() as v:
        v.health.last_success_at = None
        (found,) = (await v.get("/v1/status"))["issuers"]
        assert (found["healthy"], found["trouble"]) == (False, "it has not been asked yet")
        v.health.heard(IssuerUnavailable("login.example.com could not be asked: unplugged"))
        (found,) = (await v.get("/v1/status"))["issuers"]
        assert not found["healthy"]
        assert found["trouble"] == "login.example.com could not be asked: unplugged"
        assert 'sessiond_issuer_healthy{issuer="corp"} 0.0' in (await v.ask("GET", "/metrics")).text


async def test_an_issuer_whose_breaker_is_open_is_not_healthy() -> None:
    async with viewing() as v:
        v.view.issuers["corp"].breaker.hold(60)
        (found,) = (await v.get("/v1/status"))["issuers"]
        assert (found["healthy"], found["trouble"]) == (False, "it has asked to be left alone")


async def test_a_role_source_has_health_of_its_own() -> None:
    async with viewing() as v, anyio.create_task_group() as tasks:
        source = asked(ScriptedSource(OSError("no route")), v.clock, tasks)
        issuers = {"corp": replace(v.view.issuers["corp"], roles=(source,))}
        v.settings.now = replace(v.settings.now, issuers=issuers)
        for _ in range(3):
            with pytest.raises(IssuerUnavailable):
                await source.answer(principal(), now=v.clock.now())
        tasks.cancel_scope.cancel()
        status = await v.get("/v1/status")
        assert status["issuers"][0]["healthy"]
        (found,) = status["role_sources"]
        assert (found["name"], found["issuer"], found["healthy"]) == ("ldap", "corp", False)
        assert found["last_error"] == "plugin 'ldap' failed: OSError"
        text = (await v.ask("GET", "/metrics")).text
        assert 'sessiond_role_source_healthy{issuer="corp",role_source="ldap"} 0.0' in text
        assert 'sessiond_issuer_healthy{issuer="corp"} 1.0' in text


async def test_what_nobody_expected_is_counted() -> None:
    async with viewing() as v:
        v.verifier.says = RuntimeError("nobody expected it")
        await v.ask("POST", "/v1/explain", json={"user": "alice", "password": jwt()})
        text = (await v.ask("GET", "/metrics")).text
        assert 'sessiond_unexpected_failures_total{name="corp",task="login"} 1.0' in text


async def test_a_session_has_all_members_and_no_token() -> None:
    async with viewing() as v:
        await v.log_in(1)
        found = await v.get(f"/v1/sessions/{session_id(1)}")
        assert found == {
            "session": str(session_id(1)),
            "user": "alice",
            "subject": "subject of alice",
            "issuer": "corp",
            "process": {"name": "rdb100", "type": "rdb", "host": "tick.example.com", "pid": 100},
            "handle": 1,
            "roles": ["reader"],
            "attributes": {},
            "state": "open",
            "parent": None,
            "hops": 0,
            "auth_time": None,
            "acr": [],
            "opened_at": "2026-03-02T09:00:00Z",
            "expires_at": "2026-03-02T10:00:00Z",
            "refresh_at": None,
            "because": {"roles": {"reader": ["verifier"]}, "cut": []},
        }


async def test_a_session_that_was_not_opened_has_no_such_time() -> None:
    async with viewing() as v:
        await v.view.table.ask(login(1))
        found = await v.get(f"/v1/sessions/{session_id(1)}")
        assert (found["state"], found["opened_at"]) == ("unbound", None)


async def test_a_login_over_http_has_no_handle_and_what_it_let_in_says_by_whom() -> None:
    async with viewing() as v:
        table = v.view.table
        tokens = presented("web", says=verdict(length=10 * HOUR))
        await table.ask(web_login(1, tokens, cookie="cookie", base="https://gw", state="state"))
        child = await table.ask(bind(1, handle=9))
        web = await v.get(f"/v1/sessions/{session_id(1)}")
        assert (web["state"], web["handle"], web["parent"]) == ("web", 0, None)
        assert web["opened_at"] is not None
        found = (await v.get("/v1/sessions"))["sessions"]
        assert {each["session"]: each["parent"] for each in found} == {
            str(session_id(1)): None,
            str(child): str(session_id(1)),
        }
        status = await v.get("/v1/status")
        assert status["sessions"] == {"unbound": 0, "open": 1, "waiting": 0, "web": 1}


@pytest.mark.parametrize("which", [str(session_id(9)), "nonsense", TOKEN])
async def test_a_session_that_is_not_there_is_404(which: str) -> None:
    async with viewing() as v:
        assert TOKEN not in problem(await v.ask("GET", f"/v1/sessions/{which}"), 404)


async def test_pages_are_followed_by_next() -> None:
    async with viewing() as v:
        for number in (1, 2, 3):
            await v.log_in(number)
        first = await v.get("/v1/sessions", limit=2)
        assert first["next"] == first["sessions"][-1]["session"] == str(session_id(2))
        second = await v.get("/v1/sessions", limit=2, after=first["next"])
        assert [each["session"] for each in second["sessions"]] == [str(session_id(3))]
        assert second["next"] is None
        assert (await v.get("/v1/sessions", user="bob"))["sessions"] == []
        assert len((await v.get("/v1/sessions", process="rdb100:100"))["sessions"]) == 3


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "after=x", "usr=a", "user=a&user=b", f"{TOKEN}=1"],
)
async def test_a_query_that_is_wrong_is_400_and_never_repeated(query: str) -> None:
    async with viewing() as v:
        assert "eyJ" not in problem(await v.ask("GET", f"/v1/sessions?{query}"), 400)


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.right is not Right.CONNECT],  # who have lists of their own
    ids=lambda each: f"{each.method} {each.path}",
)
async def test_who_is_no_reader_gets_403_from_everything(operation: Any) -> None:
    async with viewing(access=Access.of(readers=[64000], admins=[64001])) as v:
        v.peer = STRANGER
        path = operation.path.replace("{id}", str(session_id(1))).replace("{user}", "alice")
        assert "64999" in problem(await v.ask(operation.method, path, json={}), 403)
        problem(await v.ask("GET", "/openapi.json"), 403)


async def test_a_refused_request_is_logged_without_what_it_named() -> None:
    async with viewing() as v:
        v.peer = STRANGER
        with structlog.testing.capture_logs() as logs:
            await v.ask("DELETE", f"/v1/names/{TOKEN}")
        assert [(each["uid"], each["path"]) for each in logs] == [(64999, "/v1/names/{user}")]


async def test_a_reader_reads_and_neither_revokes_nor_forgives_nor_explains() -> None:
    async with viewing() as v:
        await v.log_in(1)
        v.peer = STRANGER
        for path in ("/v1/status", "/v1/sessions", "/v1/revocations", "/healthz", "/openapi.json"):
            assert (await v.ask("GET", path)).status_code == 200
        for method, path in (
            ("POST", "/v1/revocations"),
            ("POST", "/v1/explain"),
            ("DELETE", f"/v1/revocations/{session_id(1)}"),
            ("DELETE", "/v1/names/alice"),
        ):
            content = {"json": {"all": True, "reason": "x"}} if method == "POST" else {}
            problem(await v.ask(method, path, **content), 403)
        assert await v.alive() == {1}


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"content-type": "application/json"}, 400),
        (b"\xff", {"content-type": "application/json"}, 400),
        (b"[]", {"content-type": "application/json; charset=utf-8"}, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b'"' + b"x" * MAX_BODY, {"content-type": "application/json"}, 413),
    ],
)
async def test_a_body_that_is_none_is_refused(
    content: bytes, headers: dict[str, str], status: int
) -> None:
    async with viewing() as v:
        response = await v.ask("POST", "/v1/revocations", content=content, headers=headers)
        problem(response, status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/sessions", 405),
        ("HEAD", "/v1/sessions", 405),
        ("GET", "/v1/explain", 405),
    ],
)
async def test_what_is_not_there_is_a_problem_too(method: str, path: str, status: int) -> None:
    async with viewing() as v:
        response = await v.ask(method, path)
        assert response.status_code == status
        if status == 405:
            assert response.headers["allow"]


async def test_what_is_not_there_says_what_is() -> None:
    async with viewing() as v:
        assert "wanted GET, HEAD here" in problem(await v.ask("PUT", "/v1/processes"), 405)
        assert "wanted one of /openapi.json" in problem(await v.ask("GET", "/v1/nothing"), 404)


@pytest.mark.parametrize("given", ["-1", "x", "9" * 30, "\u0661"])
async def test_a_place_in_the_events_is_a_number(given: str) -> None:
    async with viewing() as v:
        problem(await v.ask("GET", "/v1/events", params={"after": given}), 400)
        response = await v.ask("GET", "/v1/events", headers={"last-event-id": given.encode()})
        problem(response, 400)


@pytest.mark.parametrize(
    ("query", "header", "first"),
    [("", None, 3), ("?after=0", None, 0), ("?after=2", None, 2), ("?after=0", "1", 1)],
)
async def test_a_stream_begins_now_or_where_it_is_asked_to(
    query: str, header: str | None, first: int
) -> None:
    async with viewing() as v:
        for number in (1, 2, 3):
            await v.log_in(number)
        v.closing.set()  # else the answer has no end
        headers = {} if header is None else {"last-event-id": header}
        response = await v.ask("GET", f"/v1/events{query}", headers=headers)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.text == f"id: {first}\n\n"


async def test_while_nothing_can_be_written_what_is_there_is_still_shown() -> None:
    async with viewing() as v:
        await v.log_in(1)
        v.store.failing = 1000
        await v.ask("POST", "/v1/revocations", json={"user": "alice", "reason": "x"})
        for path in ("/healthz", "/v1/status", "/v1/sessions", "/metrics"):
            assert (await v.ask("GET", path)).status_code == 200
        text = (await v.ask("GET", "/metrics")).text
        assert 'sessiond_commits_total{outcome="ok"} 2.0' in text
        assert 'sessiond_commits_total{outcome="failed"} 0.0' not in text


async def test_metrics_count_and_name_no_user() -> None:
    async with viewing() as v:
        await v.log_in(1)
        v.view.table.note_refusal(
            user="mallory", issuer="corp", process=None, reason=Refusal.EXPIRED
        )
        await v.clock.advance(timedelta(seconds=2))
        text = (await v.ask("GET", "/metrics")).text
        for line in (
            'sessiond_sessions{state="open"} 1.0',
            'sessiond_logins_total{issuer="corp",outcome="opened",reason=""} 1.0',
            'sessiond_logins_total{issuer="corp",outcome="refused",reason="expired"} 1.0',
            'sessiond_issuer_healthy{issuer="corp"} 1.0',
            "sessiond_connections 3.0",
            "sessiond_connections_refused_total 4.0",
            "sessiond_table_inbox 0.0",
            "sessiond_grants 1.0",
            "sessiond_last_sequence 2.0",
        ):
            assert line in text.splitlines()
        assert "mallory" not in text
        assert "alice" not in text


async def test_a_stopping_daemon_answers_503() -> None:
    async with viewing(store=MemoryStore()) as v:
        v.view.table.close()
        await idle()
        assert "stopping" in problem(await v.ask("GET", "/healthz"), 503)


async def test_a_bug_is_a_500_that_says_nothing_of_itself() -> None:
    async with viewing() as v:
        v.view.refused = lambda: 1 // 0
        with pytest.raises(ZeroDivisionError):  # Starlette raises it on, for the log
            await v.ask("GET", "/v1/status")
        v.view.refused = lambda: 4
        assert (await v.get("/v1/status"))["refused_connections"] == 4


async def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessiond.control.request_body.BODY_WITHIN", 0.01)

    async def nothing() -> Any:
        yield b"{"
        await anyio.sleep_forever()

    async with viewing() as v:
        headers = {"content-type": "application/json"}
        response = await v.ask("POST", "/v1/explain", content=nothing(), headers=headers)
        problem(response, 408)


async def test_roles_attributes_and_times_come_as_they_are() -> None:
    async with viewing() as v:
        standing = await v.log_in(1)
        listed = msgspec.convert(await v.get(f"/v1/sessions/{session_id(1)}"), bodies.Session)
        assert listed.expires_at == standing.expires_at == START + timedelta(hours=1)
        assert structs.replace(standing.session).roles == listed.roles == ("reader",)
        assert UUID(int=1) == listed.session
