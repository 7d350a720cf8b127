"""Requests over HTTP: a bearer's is a login, all others go to whom they are for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.queries import ListOwnSessions
from sessiond.core.session import ActiveSession, SessionState
from sessiond.qipc import NIL, timestamp
from sessiond.testing.calls import opened_call, web_call
from sessiond.testing.plain import plain, plain_dict
from sessiond.web.answer import Answer, sent
from sessiond.web.request import Request
from tests.fakes import START, FakeClock, idle, principal, process_key, verdict
from tests.unit.kdb.serving import Process, Serving, serving

pytestmark = pytest.mark.anyio

TOKEN = "access-token-of-alice"
SOON = 2.0  # seconds
NOBODY = ("", UUID(int=0), -(2**63))


async def web(q: Process, target: str = "/", **said: str) -> dict[str, Any]:
    """Return the answer about a request, in Python's terms."""
    return plain_dict(await q.sync(web_call(target, **said)))


def denial(answer: dict[str, Any]) -> tuple[str, int, str]:
    assert (answer["user"], answer["session"], answer["expires"]) == NOBODY
    return answer["action"], answer["status"], answer["reason"]


def counted(daemon: Serving, action: str, reason: str) -> float | None:
    """Return how many requests were counted."""
    registry = daemon.context.login_services.metrics.registry
    labels = {"action": action, "reason": reason}
    return registry.get_sample_value("sessiond_web_requests_total", labels)


async def test_a_bearer_is_a_login_by_the_tokens_own_name_with_a_session_on_no_handle(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        daemon.verifier.says = verdict(
            principal("Alice"), roles=("reader",), attributes={"desk": "rates"}
        )
        q = await daemon.process()
        answer = await web(q, bearer=TOKEN)
        [session] = daemon.kept
        assert (session.state, session.handle, session.typed) == (SessionState.WEB, 0, "Alice")
        assert answer == {
            "action": "allow",
            "user": "Alice",
            "session": session.id,
            "roles": ["reader"],
            "attributes": {"desk": "rates"},
            "expires": timestamp(START + timedelta(hours=1)).value,
            "status": 0,
            "headers": "",
            "body": "",
            "signout": "",
            "reason": "",
            "keep": 60 * 10**9,
        }


async def test_a_bearer_that_comes_again_has_the_same_session(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        answers = [await web(q, bearer=TOKEN) for _ in range(3)]
        assert len({answer["session"] for answer in answers}) == len(daemon.kept) == 1
        assert (await web(q, bearer=TOKEN + "2"))["session"] != answers[0]["session"]
        assert daemon.web.asked == []


@pytest.mark.parametrize(
    ("said", "denied"),
    [
        (TokenRejected(Refusal.INACTIVE, "the issuer says so"), ("deny", 401, "inactive")),
        (TokenRejected(Refusal.NOROLES, "none"), ("deny", 403, "noroles")),
        (IssuerUnavailable("no answer"), ("deny", 503, "unavailable")),
    ],
)
async def test_a_bearer_who_is_refused_is_denied_and_told_of_without_a_name(
    clock: FakeClock, said: Any, denied: tuple[str, int, str]
) -> None:
    async with serving(clock) as daemon:
        daemon.verifier.says = said
        q = await daemon.process()
        with capture_logs() as lines:
            assert denial(await web(q, "/secret", bearer=TOKEN, cookie="a=b")) == denied
        [line] = [each for each in lines if each["event"] == "web request"]
        assert (line["outcome"], line["status"], line["reason"]) == denied
        assert (line["user"], line["issuer"], line["process"]) == ("", "corp", "gw1")
        assert line["detail"]
        assert not [each for each in (TOKEN, "secret", "a=b") if each in repr(lines)]
        assert counted(daemon, "deny", denied[2]) == 1
        await clock.advance(1)
        [told] = daemon.store.events
        assert (told.kind, told.reason, told.user) == (  # type: ignore[union-attr]
            *("login.refused", denied[2], ""),
        )
        assert await daemon.live(q) == 0


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        (AccessRules(ceilings=(Ceiling(users=("bob*",)),)), ("deny", 403, "notallowed")),
        (AccessRules(ceilings=(Ceiling(roles=("other",)),)), ("deny", 403, "noroles")),
        (AccessRules(ceilings=(Ceiling(acr=("phr",)),)), ("deny", 401, "stepup")),
    ],
)
async def test_a_bearer_in_order_who_may_not_be_here_is_told_of_by_the_verified_name(
    clock: FakeClock, rules: AccessRules, denied: tuple[str, int, str]
) -> None:
    async with serving(clock) as daemon:
        daemon.verifier.says = verdict(principal("Alice"), roles=("reader",))
        daemon.reload(rules)
        q = await daemon.process()
        with capture_logs() as lines:
            assert denial(await web(q, bearer=TOKEN)) == denied
        [line] = [each for each in lines if each["event"] == "web request"]
        assert (line["outcome"], line["reason"], line["user"]) == ("deny", denied[2], "Alice")
        await clock.advance(1)
        [told] = daemon.store.events
        assert (told.reason, told.user) == (denied[2], "Alice")  # type: ignore[union-attr]


async def test_what_is_no_bearer_token_goes_to_no_issuer(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        assert denial(await web(q, bearer=f"{TOKEN};{TOKEN}")) == ("deny", 401, "malformed")
        assert daemon.verifier.asked == []


async def test_a_hung_issuer_costs_a_bearer_the_deadline_and_leaves_no_session(
    clock: FakeClock,
) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        hung = daemon.verifier.hold()
        answer = await daemon.late(q, web_call(bearer=TOKEN))
        assert denial(answer) == ("deny", 503, "deadline")
        hung.set()
        assert await daemon.live(q) == 0


async def test_a_bearer_who_is_on_disk_too_late_is_withdrawn(clock: FakeClock) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        disk = daemon.store.hold()
        answer = await daemon.late(q, web_call(bearer=TOKEN))
        assert denial(answer) == ("deny", 503, "deadline")
        disk.set()
        assert await daemon.live(q) == 0


async def test_all_else_is_handed_on_with_who_asks(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        daemon.web.says = sent("redirect", 302, ("Location", "https://issuer/"))
        said = {"accept": "text/html", "origin": "https://gw", "host": "gw", "site": "none"}
        with capture_logs() as lines:
            answer = await web(q, "/page?a=b", cookie="c=d", **said)
        assert denial(answer) == ("redirect", 302, "")
        assert "\r\nLocation: https://issuer/\r\n" in answer["headers"]
        [asked] = daemon.web.asked
        assert (asked.target, asked.cookie) == ("/page?a=b", "c=d")
        assert {name: getattr(asked, name) for name in said} == said
        assert (asked.process, asked.about.name) == (process_key(100), "gw1")
        [line] = [each for each in lines if each["event"] == "web request"]
        assert (line["outcome"], line["user"], line["issuer"]) == ("redirect", "", "")
        assert counted(daemon, "redirect", "") == 1
        assert not [each for each in ("page", "c=d", "issuer/") if each in repr(lines)]


async def test_bytes_that_are_no_utf_8_are_handed_on_as_text(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        call = web_call("/x", cookie="c=d")
        raw = q.wire.sync(call).replace(b"c=d", b"c=\xff").replace(b"/x", b"/\xff")
        await q.end.send(raw)
        assert plain_dict(await q.answer())["action"] == "basic"
        [asked] = daemon.web.asked
        assert (asked.target, asked.cookie) == ("/\ufffd", "c=\ufffd")


async def test_an_answer_that_takes_others_is_waited_for_beside_other_messages(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        daemon.web.is_at_once = False
        await q.ask(web_call("/first"))
        await idle()
        assert q.end.unread == 0
        daemon.web.may_go_on.set()
        assert plain_dict(await q.answer())["action"] == "basic"


async def let_in(daemon: Serving, q: Process) -> ActiveSession:
    """Return the session of somebody whom the room lets in, which is waited for."""
    await web(q, bearer=TOKEN)
    daemon.web.is_at_once = False
    daemon.web.may_go_on.set()
    [active] = await daemon.table.ask(ListOwnSessions(process=process_key(100)))
    daemon.web.says = Answer(action="allow", active=active)
    return active


async def test_who_is_let_in_is_so_by_what_is_so_as_the_answer_leaves(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        daemon.verifier.says = verdict(principal("Alice"), roles=("reader",))
        q = await daemon.process()
        active = await let_in(daemon, q)
        before = structs.replace(active.session, roles=("admin",))
        daemon.web.says = Answer(action="allow", active=replace(active, session=before))
        assert (await web(q))["roles"] == ["reader"]


async def test_who_is_taken_back_as_he_is_let_in_is_not(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await let_in(daemon, q)
        answers = [daemon.web.says, sent("deny", 401, reason="expired")]

        async def answer(request: Request, *, deadline: float) -> Answer:
            if len(answers) == 2:
                await daemon.revoke_all()  # its push leaves before the answer
            return answers.pop(0)

        monkeypatch.setattr(daemon.web, "answer", answer)
        assert denial(await web(q)) == ("deny", 401, "expired")
        assert (await q.next_push())["event"] == "revoked"


async def test_nobody_is_let_in_by_a_table_that_is_closing(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await let_in(daemon, q)
        daemon.table.close()
        assert denial(await web(q)) == ("deny", 503, "deadline")


async def test_an_answer_that_comes_too_late_is_not_waited_for(clock: FakeClock) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        daemon.web.is_at_once = False
        answer = await daemon.late(q, web_call())
        assert denial(answer) == ("deny", 503, "deadline")
        assert "\r\nRetry-After: " in f"\r\n{answer['headers']}"
        await idle()
        assert daemon.web.was_left
        assert counted(daemon, "deny", "deadline") == 1


async def test_a_process_that_leaves_waits_no_more(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        daemon.web.is_at_once = False
        await q.ask(web_call())
        await idle()
        daemon.connections[0].cut()
        await q.over.wait()
        await idle()
        assert daemon.web.was_left


@pytest.mark.parametrize(
    ("key", "most", "status"),
    [
        ("target", 16384, 414),
        ("cookie", 16384, 431),
        *((name, 4096, 431) for name in ("accept", "origin", "host", "site")),
    ],
)
async def test_what_is_too_long_is_read_by_nobody(
    clock: FakeClock, key: str, most: int, status: int
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        answer = await web(q, **{key: "x" * (most + 1)})
        assert denial(answer) == ("deny", status, "toolarge")
        assert (len(daemon.web.asked), len(daemon.verifier.asked)) == (0, 0)
        await web(q, **{key: "x" * most})
        assert len(daemon.web.asked) + len(daemon.verifier.asked) == 1


async def test_a_web_is_sync(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        with capture_logs() as lines:
            await q.tell(web_call())
            await q.ping()
        assert "web must be sync" in {each.get("error") for each in lines}
        assert daemon.web.asked == []


async def test_an_opened_of_a_login_over_http_is_answered_with_the_session_of_its_handle(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = (await web(q, bearer=TOKEN))["session"]
        child = plain(await q.sync(opened_call(session, 9)))
        held = {each.handle: each for each in daemon.kept}
        assert (held[9].id, held[9].parent, held[9].state) == (child, session, SessionState.OPEN)
        assert held[0].id == session
        await daemon.revoke_all()
        await idle()
        pushes = [await q.next_push(), await q.next_push()]
        reasons = {each["handle"]: each["reason"] for each in pushes}
        assert reasons == {0: "operator", 9: "parent"}
        assert plain(await q.sync(opened_call(session, 9))) == UUID(int=0)
        assert (await q.next_push())["reason"] == "unbound"


async def test_any_other_opened_is_answered_with_nothing(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = (await q.connect())["session"]
        assert await q.sync(opened_call(session, 5)) == NIL
