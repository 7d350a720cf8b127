"""HTTP and websockets: who comes in by a bearer token or a cookie, and what becomes of him."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from sessiond.qipc import (
    NULL_GUID,
    NULL_SYMBOL,
    Value,
    dictionary,
    guid,
    integer,
    integers,
    list_,
    mapping,
    string,
    symbol,
    symbols,
    text,
    timespan,
    timestamp,
)
from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Client, Interpreter
from tests.q.people import People
from tests.q.scripted import Arguments, ScriptedDaemon, allowed, answered

pytestmark = pytest.mark.needs("q")

HOST = "Host: q.example:5007"
BEARER = "Authorization: Bearer an-opaque-access-token"
COOKIE = "Cookie: theme=dark; __Host-sessiond-5007=her-secret-cookie"
SIGNOUT = "https://q.example:5007/.sessiond/signout?t=T"
PAGE = r"""
.sessiond.web:1b
.test.seen:()
.z.ph:{[x] .test.seen,:enlist x; .h.hy[`txt;.Q.s1 (.sessiond.who[.z.w]`name;.sessiond.signout[])]}
.z.pp:{[x] .test.seen,:enlist x; .h.hy[`txt;.Q.s1 .sessiond.who[.z.w]`name]}
.z.ws:{[x]}
"""


@pytest.fixture
def people(daemon: ScriptedDaemon) -> People:
    return People(daemon)


def served(start_q: Start, daemon: ScriptedDaemon, before: str = "") -> Interpreter:
    q = start_q(PAGE + before, port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    return q


@pytest.fixture
def q(start_q: Start, daemon: ScriptedDaemon) -> Interpreter:
    return served(start_q, daemon)


def value(header: str) -> str:
    return header.partition(": ")[2]


TOKEN = value(BEARER).removeprefix("Bearer ")


def test_a_bearer_is_let_in_by_the_name_that_the_daemon_says(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    people.know(TOKEN, "alice", ("reader",))
    assert '(`alice;"")' in q.get("/", HOST, BEARER)
    assert q.evaluate(".adapter.user") == "`alice"
    assert q.evaluate("exec first roles from .sessiond.sessions") == ",`reader"


def test_the_daemon_gets_what_the_request_says_and_who_sent_it(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    q.get(
        "/some/where?a=1%20b",
        "hOST: q.example:5007",
        "AUTHORIZATION: bEARER  a.b.c",
        COOKIE,
        "Accept: text/html,*/*",
        "Origin: https://q.example:5007",
        "Sec-Fetch-Site: same-origin",
    )
    brought = mapping(daemon.next_call("web")[0])
    assert {name: text(brought[name]) for name in brought if name != "address"} == {
        "target": "/some/where?a=1%20b",
        "bearer": "a.b.c",
        "cookie": value(COOKIE),
        "accept": "text/html,*/*",
        "origin": "https://q.example:5007",
        "host": "q.example:5007",
        "site": "same-origin",
    }
    assert integer(brought["address"]) == 0x7F000001


def test_what_the_daemon_answers_is_sent_as_it_is(q: Interpreter, daemon: ScriptedDaemon) -> None:
    headers = "Location: https://issuer.example/\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n"
    daemon.answers["web"] = lambda _: answered("redirect", 302, headers)
    assert q.get("/", HOST) == f"HTTP/1.1 302 Found\r\n{headers}\r\n"
    daemon.answers["web"] = lambda _: answered("deny", 202, headers)
    assert q.get("/", HOST).startswith("HTTP/1.1 202 Accepted\r\n")
    denied = "WWW-Authenticate: Bearer\r\nContent-Length: 3\r\n"
    daemon.answers["web"] = lambda _: answered("deny", 499, denied, "no\n")
    assert q.get("/", HOST) == f"HTTP/1.1 499 \r\n{denied}\r\nno\n"
    assert q.evaluate("count .test.seen") == "0"


@pytest.mark.parametrize("header", [BEARER, COOKIE])
def test_a_page_of_many_requests_costs_one_call(
    q: Interpreter, people: People, header: str
) -> None:
    people.know(TOKEN, "alice")
    people.know(value(COOKIE), "alice")
    for number in range(20):
        assert "`alice" in q.get(f"/part{number}?x", HOST, header)
    assert people.asked == 1


def test_a_verdict_is_asked_for_again_when_its_time_is_over(q: Interpreter, people: People) -> None:
    soon = timespan(timedelta(milliseconds=50))
    people.know(TOKEN, "alice", keep=soon)
    q.get("/", HOST, BEARER)
    q.wait_until("all .z.p>exec until from .sessiond.kept")
    people.know(TOKEN, "alice", ("trader",), keep=soon)
    q.get("/", HOST, BEARER)
    assert people.asked == 2
    assert q.evaluate("exec first roles from .sessiond.sessions") == ",`trader"


def test_the_setting_bounds_how_long_a_verdict_is_kept(
    start_q: Start, daemon: ScriptedDaemon, people: People
) -> None:
    q = served(start_q, daemon, ".sessiond.webcache:0D\n")
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    q.get("/", HOST, BEARER)
    assert people.asked == 2


def test_without_a_word_of_the_daemon_the_setting_alone_counts(
    start_q: Start, daemon: ScriptedDaemon, people: People
) -> None:
    q = served(start_q, daemon, ".sessiond.webcache:0D00:00:07\n")
    people.know(TOKEN, "alice", keep=NULL_SYMBOL)
    q.get("/", HOST, BEARER)
    assert q.evaluate("exec until<.z.p+0D00:00:07 from .sessiond.kept") == ",1b"


def test_no_verdict_is_kept_beyond_the_end_of_the_session(q: Interpreter, people: People) -> None:
    end = datetime.now(UTC) + timedelta(seconds=30)
    people.know(TOKEN, "alice", expires=timestamp(end))
    q.get("/", HOST, BEARER)
    assert q.evaluate("exec until~expires from .sessiond.kept lj .sessiond.sessions") == "1b"
    q.run("update expires:.z.p from `.sessiond.sessions;")
    q.get("/", HOST, BEARER)
    assert people.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        (HOST, "Cookie: __Host-sessiond-5007=another"),
        (HOST, COOKIE, "Cookie: sessiond-5007=another"),
        ("Host: other.example", COOKIE),
        (HOST, COOKIE, "Origin: https://evil.example"),
        (HOST, COOKIE, BEARER),
        (HOST, "Authorization: Bearer __Host-sessiond-5007=her-secret-cookie"),
    ],
)
def test_a_verdict_counts_for_the_same_secret_host_and_origin_alone(
    q: Interpreter, people: People, other: tuple[str, ...]
) -> None:
    people.know(value(COOKIE), "alice")
    assert "`alice" in q.get("/", HOST, COOKIE)
    people.forget(value(COOKIE))
    assert "`alice" in q.get("/", HOST, COOKIE)
    assert "go away" in q.get("/", *other)
    assert people.asked == 2


@pytest.mark.parametrize(
    ("target", "site"),
    [
        ("/?delete%20t", "cross-site"),
        ("/%3Fdelete%20t", "same-site"),
        ("/.sessiond/signout?t=T", "same-origin"),
        ("/", "made-up"),
    ],
)
def test_what_another_site_asks_for_and_the_daemons_own_pages_are_asked_for_each_time(
    q: Interpreter, people: People, target: str, site: str
) -> None:
    people.know(value(COOKIE), "alice")
    q.get("/", HOST, COOKIE)
    q.get(target, HOST, COOKIE, f"Sec-Fetch-Site: {site}")
    q.get(target, HOST, COOKIE, f"Sec-Fetch-Site: {site}")
    assert people.asked == 3


def test_after_a_page_of_the_daemons_own_what_was_kept_of_the_session_is_asked_for_anew(
    q: Interpreter, people: People
) -> None:
    people.know(value(COOKIE), "alice")
    q.get("/", HOST, COOKIE)
    people.forget(value(COOKIE))
    q.get("/.sessiond/signout?t=T", HOST, COOKIE)
    assert "go away" in q.get("/", HOST, COOKIE)


@pytest.mark.parametrize("event", ["revoked", "expired"])
def test_a_push_takes_a_verdict_back_at_once(
    q: Interpreter, daemon: ScriptedDaemon, people: People, event: str
) -> None:
    session = people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    people.forget(TOKEN)
    assert "`alice" in q.get("/", HOST, BEARER)
    daemon.push(event, session, 0)
    daemon.settle()
    assert "go away" in q.get("/", HOST, BEARER)
    assert q.evaluate("count each (.sessiond.sessions;.sessiond.webs;.sessiond.kept)") == "0 0 0"
    assert "disconnect" not in daemon.names()


def test_pushes_change_a_web_session_and_answer_nothing(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session = people.know(TOKEN, "alice", ("reader",))
    q.get("/", HOST, BEARER)
    later = datetime(2099, 1, 1, tzinfo=UTC)
    daemon.push("roles", session, 0, roles=symbols(["trader"]))
    daemon.push("refreshed", session, 0, expires=timestamp(later))
    daemon.settle()
    shown = "exec (first roles;first expires) from .sessiond.sessions"
    assert q.evaluate(shown) == "(,`trader;2099.01.01D00:00:00.000000000)"
    daemon.push("refreshed", uuid4(), 0)  # one that q forgot is no reason to end it
    daemon.settle()
    assert "disconnect" not in daemon.names()


def test_a_push_with_a_handle_is_none_of_a_web_session(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session = people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    daemon.push("revoked", session, 7)  # so is a websocket answered that is one too many
    daemon.settle()
    assert q.evaluate("count .sessiond.webs") == "1"


def test_a_session_that_ended_while_its_verdict_was_on_the_way_lets_nobody_in(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session = people.know(TOKEN, "alice")
    daemon.push("revoked", session, 0)
    daemon.settle()
    assert "503 Service Unavailable" in q.get("/", HOST, BEARER)
    assert q.evaluate("count .sessiond.sessions") == "0"


def test_the_user_of_a_page_is_whom_its_own_request_let_in(q: Interpreter, people: People) -> None:
    people.know(TOKEN, "alice")
    people.know("another", "bob")
    assert "`alice" in q.get("/", HOST, BEARER)
    assert "`bob" in q.get("/", HOST, "Authorization: Bearer another")
    assert "`alice" in q.get("/", HOST, BEARER)
    q.get("/", HOST, "Authorization: Bearer bad")
    assert q.evaluate(".sessiond.who 0i") == "()!()"


def test_a_page_has_the_attributes_of_its_user(q: Interpreter, people: People) -> None:
    people.know(TOKEN, "alice", attributes=dictionary({"user_department": string("sales")}))
    q.get("/", HOST, BEARER)
    assert q.evaluate(".sessiond.attribute[0i;`user_department]") == '"sales"'
    assert q.evaluate(".sessiond.attributeof[`alice;`user_department]") == '"sales"'
    q.get("/", HOST, "Authorization: Bearer bad")
    assert q.evaluate(".sessiond.attribute[0i;`user_department]") == '""'


@pytest.mark.parametrize(
    "comes",
    [
        ".sessiond.opened[0b;905i]",
        ".sessiond.closed 905i",
        "update at:at-.sessiond.unopened from `.sessiond.pages; .sessiond.beat[]",
    ],
)
def test_a_handle_whose_number_another_has_is_nobodys_page(
    q: Interpreter, people: People, comes: str
) -> None:
    people.know(TOKEN, "alice")
    q.evaluate(f'.sessiond.acof[905i;("";(enlist`Authorization)!enlist "Bearer {TOKEN}")]')
    assert q.evaluate("(.sessiond.who 905i)`name") == "`alice"
    q.run(f"{comes};")
    assert q.evaluate(".sessiond.who 905i") == "()!()"


def test_what_came_before_a_password_on_a_handle_does_not_count_after_it(
    q: Interpreter, people: People
) -> None:
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    q.run('.z.pw[`bob;"no password"];')
    assert q.evaluate(".sessiond.who .z.w") == "()!()"


def test_a_web_session_is_on_no_handle(q: Interpreter, people: People) -> None:
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    assert q.evaluate("(.sessiond.who 0Ni;.sessiond.on 0Ni)") == "(()!();`guid$())"
    q.run(".sessiond.closed 0Ni;")
    assert "`alice" in q.get("/", HOST, BEARER)
    assert people.asked == 1


def test_a_post_is_let_in_as_well(q: Interpreter, daemon: ScriptedDaemon, people: People) -> None:
    people.know(TOKEN, "alice")
    assert "`alice" in q.get("/place", HOST, BEARER, method="POST", body="a=1")
    assert text(mapping(daemon.next_call("web")[0])["target"]) == "/place"
    assert (
        q.evaluate('(.sessiond.request .sessiond.read ("place {a body}";()!()))`target')
        == '"/place"'
    )


def test_a_page_gets_the_address_where_its_user_signs_out(q: Interpreter, people: People) -> None:
    people.know(value(COOKIE), "alice", signout=string(SIGNOUT))
    assert SIGNOUT in q.get("/", HOST, COOKIE)
    assert q.evaluate(".sessiond.signoutof 77i") == '""'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (("Authorization: Bearer a", "Authorization: Bearer b"), "400 Bad Request"),
        (("Authorization: Bearer a", "authorization: Basic b"), "400 Bad Request"),
        (("Authorization: Bearer",), "400 Bad Request"),
        (("Authorization: bearer  ",), "400 Bad Request"),
        (("Host: evil.example",), "400 Bad Request"),
        (("Origin: a", "Origin: b"), "400 Bad Request"),
        ((f"Origin: {'a' * 4097}",), "431 Request Header Fields Too Large"),
        ((f"Cookie: {'a;' * 257}",), "431 Request Header Fields Too Large"),
    ],
)
def test_what_can_be_meant_in_two_ways_or_is_too_long_is_answered_here(
    q: Interpreter, people: People, headers: tuple[str, ...], status: str
) -> None:
    assert q.get("/", HOST, *headers).startswith(f"HTTP/1.1 {status}\r\n")
    assert people.asked == 0


def test_nothing_is_sent_that_the_daemon_would_hang_up_for(q: Interpreter, people: People) -> None:
    shown = '.[.sessiond.acof;(905i;{});{{[e] e}}] [1] like "HTTP/1.1 4?? *"'
    for asked in (
        '(2000000#"a";()!())',
        '("";(enlist`Cookie)!enlist 2000000#"a;")',
        '("";(enlist`Authorization)!enlist "Bearer ",2000000#"a")',
    ):
        assert q.evaluate(shown.format(asked)) == "1b"
    assert people.asked == 0


@pytest.mark.parametrize("odd", ["1 2", "`sym", "::", '"x"', "()", "(1 2;`a)", "0Ng", "{x}"])
def test_a_header_of_any_type_is_no_error(q: Interpreter, people: People, odd: str) -> None:
    names = "`Host`Cookie`Authorization`Accept`Origin`Other"
    q.evaluate(f'.sessiond.acof[905i;("";{names}!6#enlist {odd})]')
    q.evaluate(f".sessiond.acof[905i;{odd}]")
    assert "error: HTTP" not in q.said
    q.evaluate(f'.sessiond.masked ("";{names}!6#enlist {odd})')


def test_a_request_that_has_the_number_of_the_daemons_handle_is_not_taken_for_the_daemon(
    q: Interpreter, people: People
) -> None:
    people.know(TOKEN, "alice")
    q.run("\\t 0")
    request = f'("";(enlist`Authorization)!enlist "Bearer {TOKEN}")'
    assert "503" in q.evaluate(f".sessiond.acof[.sessiond.daemon;{request}]")
    assert q.evaluate(".sessiond.daemon") == "0Ni"
    assert people.asked == 0


def test_an_error_lets_nobody_in(q: Interpreter, people: People) -> None:
    q.run(".sessiond.request:{[x] '`broken};")
    assert "401 Unauthorized" in q.get("/", HOST, BEARER)
    assert q.prints("HTTP: broken")


@pytest.mark.parametrize(
    "answer",
    [
        symbol("allow"),
        dictionary({"action": string("allow")}),
        dictionary({"action": symbol("allow")}),
        allowed(uuid4(), ""),
        dictionary({**mapping(allowed(uuid4(), "alice")), "session": NULL_GUID}),
        dictionary({**mapping(allowed(uuid4(), "alice")), "roles": string("admin")}),
        dictionary({**mapping(allowed(uuid4(), "alice")), "signout": symbol("a")}),
        answered("deny", headers="A: b"),
        dictionary({**mapping(answered("redirect")), "status": symbol("302")}),
        dictionary({**mapping(answered("deny")), "body": list_()}),
        answered("let"),
    ],
)
def test_an_answer_that_is_not_whole_lets_nobody_in(
    q: Interpreter, daemon: ScriptedDaemon, answer: Value
) -> None:
    daemon.answers["web"] = lambda _: answer
    assert "503 Service Unavailable" in q.get("/", HOST, BEARER)
    q.get("/", HOST, BEARER)
    assert q.evaluate("count .sessiond.sessions") == "0"
    assert q.prints("does not say who comes by HTTP: not an answer")
    assert q.said.count("does not say who comes by HTTP") == 1


def test_the_session_of_a_handle_is_no_web_session(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    client = q.login("alice", "bearer:" + TOKEN)
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")
    daemon.answers["web"] = lambda _: allowed(daemon.sessions["alice"], "alice")
    assert "503" in q.get("/", HOST, BEARER)
    assert q.evaluate("count .sessiond.webs") == "0"


def test_without_the_daemon_what_is_kept_lasts_its_time_and_then_nobody_is_let_in(
    start_q: Start, daemon: ScriptedDaemon, people: People
) -> None:
    q = served(start_q, daemon, '.z.pw:{[u;p] p~"pw"}\n')
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    daemon.stop()
    q.wait_until("not .sessiond.ready[]")
    assert "`alice" in q.get("/", HOST, BEARER)
    q.run("update until:.z.p from `.sessiond.kept;")
    for headers in ((BEARER,), (COOKIE,), (), ("Accept: text/html",)):
        answer = q.get("/", HOST, *headers)
        assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
        assert "WWW-Authenticate" not in answer
    assert "200 OK" in q.http("GET /", "bob", "pw")  # a password needs no daemon


def test_when_the_daemon_is_back_everybody_is_asked_for_anew(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    people.forget(TOKEN)
    daemon.hang_up()
    q.wait_until("(.sessiond.ready[]) and 0=count .sessiond.webs")
    assert "go away" in q.get("/", HOST, BEARER)


def test_web_sessions_are_no_part_of_reconcile(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    client = q.login("bob", "bearer:bob")
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")
    daemon.names()
    daemon.hang_up()
    handles, _ = daemon.next_call("reconcile")
    assert len(integers(handles)) == 1


def test_who_brings_a_password_is_judged_by_it_and_the_daemon_is_not_asked(
    start_q: Start, daemon: ScriptedDaemon, people: People
) -> None:
    q = served(start_q, daemon, '.z.pw:{[u;p] p~"pw"}\n')
    assert "200 OK" in q.http("GET /", "bob", "pw")
    assert "401" in q.http("GET /", "bob", "wrong")
    assert people.asked == 0
    daemon.answers["web"] = lambda _: answered("basic")
    assert "401" in q.get("/", HOST)


def test_a_cookie_counts_before_a_password(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    people.know(value(COOKIE), "alice")
    assert "`alice" in q.get("/", HOST, COOKIE, "Authorization: Basic Ym9iOnB3")
    daemon.answers["web"] = lambda _: answered("redirect", 302, "Location: /\r\n")
    for target in ("/.sessiond/callback?code=c", "/.sessiond/signin"):
        assert "302 Found" in q.get(target, HOST, "Authorization: Basic Ym9iOnB3")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_secret_is_handed_on_kept_or_printed(
    q: Interpreter, people: People, method: str
) -> None:
    people.know(value(COOKIE), "alice")
    people.know(TOKEN, "alice")
    q.get("/a", HOST, COOKIE, method=method)
    q.get("/b", HOST, COOKIE.replace("C", "c"), BEARER, method=method)
    given = q.evaluate(".test.seen")
    assert "theme=dark; __Host-sessiond-5007=***" in given
    everything = given + q.evaluate(
        "(.sessiond.kept;.sessiond.webs;.sessiond.sessions;.sessiond.pages)"
    )
    for secret in ("her-secret", TOKEN):
        assert secret not in everything
        assert secret not in q.logged


def test_what_is_kept_is_bounded_and_the_oldest_goes(q: Interpreter, people: People) -> None:
    q.run(".sessiond.mostwebs:3; .sessiond.mostkept:5; .sessiond.mosteach:2;")
    for number in range(6):
        people.know(f"token{number}", f"user{number}")
        q.get("/", HOST, f"Authorization: Bearer token{number}")
    assert q.evaluate("exec user from .sessiond.sessions") == "`user3`user4`user5"
    for number in range(4):
        people.know(f"sessiond-5007=c{number}", "user5")
        q.get("/", HOST, f"Cookie: sessiond-5007=c{number}")
    assert q.evaluate("count .sessiond.kept") == "4"  # of user3, user4, and two of user5
    asked = people.asked
    q.get("/", HOST, "Cookie: sessiond-5007=c3")
    q.get("/", HOST, "Cookie: sessiond-5007=c2")
    q.get("/", HOST, "Authorization: Bearer token3")
    assert people.asked == asked
    q.get("/", HOST, "Cookie: sessiond-5007=c1")
    q.get("/", HOST, "Authorization: Bearer token0")
    assert people.asked == asked + 2


def test_so_are_verdicts_in_all(q: Interpreter, people: People) -> None:
    q.run(".sessiond.mostkept:3;")
    bearers = [f"Authorization: Bearer token{number}" for number in range(4)]
    for number, header in enumerate(bearers):
        people.know(f"token{number}", f"user{number}")
        q.get("/", HOST, header)
    assert q.evaluate("count each (.sessiond.kept;.sessiond.webs)") == "3 4"
    for header in reversed(bearers):
        q.get("/", HOST, header)
    assert people.asked == 5


def test_a_session_that_nobody_uses_is_forgotten_at_its_end(q: Interpreter, people: People) -> None:
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    q.run("update expires:.z.p from `.sessiond.sessions;")
    q.wait_until("0=count .sessiond.webs")
    assert q.evaluate("count each (.sessiond.sessions;.sessiond.kept)") == "0 0"


def test_no_symbol_is_made_of_what_comes_in(q: Interpreter, people: People) -> None:
    q.run(
        '.test.web:{[i] i:string i; .sessiond.acof[905i;(i,"x";`Host`Origin`Authorization`Cookie!'
        '(i,"h";i,"o";i," x";"sessiond-5007=",i))]};'
    )
    q.run(".test.more:{[n] a:.Q.w[]`syms; .test.web each n+til 50; (.Q.w[]`syms)-a};")
    q.evaluate(".test.more 100")
    assert q.evaluate(".test.more 200") == "0"
    assert people.asked == 100


# ---- websockets ----


def opened(q: Interpreter, people: People, *headers: str) -> Client:
    client = q.socket(HOST, *headers)
    assert client is not None
    return client


def test_a_websocket_has_a_session_of_its_own_and_its_end_closes_it(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session, child = people.know(value(COOKIE), "alice", ("reader",)), uuid4()
    people.children[session] = guid(child)
    client = opened(q, people, COOKIE)
    sent, handle = daemon.next_call("opened")
    assert sent == guid(session)
    number = integer(handle)
    assert number > 0
    row = f'first 0!select from .sessiond.sessions where session="G"$"{child}"'
    assert q.evaluate(f"({row})`handle`user`name`open`ws") == f"({number}i;`alice;`alice;1b;1b)"
    assert q.evaluate(f"(.sessiond.who {number}i)`roles") == ",`reader"
    daemon.push("roles", child, number, roles=symbols(["trader"]))
    daemon.settle()
    assert q.evaluate(f"(.sessiond.who {number}i)`roles") == ",`trader"
    daemon.push("revoked", child, number)
    assert client.is_closed()
    daemon.settle()
    assert q.evaluate("exec handle from .sessiond.sessions") == ",0Ni"  # the page's goes on


def test_a_websocket_that_leaves_is_told_as_any_handle_that_leaves(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session, child = people.know(TOKEN, "alice"), uuid4()
    people.children[session] = guid(child)
    client = opened(q, people, BEARER)
    _, handle = daemon.next_call("opened")
    client.close()
    assert daemon.next_call("disconnect") == (handle, guid(child))
    q.wait_until("1=count .sessiond.sessions")


def test_a_websocket_without_a_session_of_its_own_is_closed(
    start_q: Start, daemon: ScriptedDaemon, people: People
) -> None:
    pairs = ".test.came:.test.went:0\n.z.wo:{[h] .test.came+:1}\n.z.wc:{[h] .test.went+:1}\n"
    q = served(start_q, daemon, pairs)
    session = people.know(TOKEN, "alice")
    for answer in (NULL_GUID, symbol("no"), list_()):
        people.children[session] = answer
        assert opened(q, people, BEARER).is_closed()
    assert q.prints("refused: its web session is over", 3)
    assert q.evaluate("(.test.came;.test.went)") == "3 3"
    assert q.evaluate("count .sessiond.sessions") == "1"


def test_a_websocket_is_closed_when_its_child_ends_while_q_waits_for_it(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session, child = people.know(TOKEN, "alice"), uuid4()

    def ends_first(arguments: Arguments) -> Value:
        daemon.push("revoked", child, integer(arguments[1]))
        return guid(child)

    daemon.answers["opened"] = ends_first
    assert opened(q, people, BEARER).is_closed()
    assert q.evaluate("exec handle from .sessiond.sessions") == ",0Ni"

    orphan = uuid4()

    def parent_ends(arguments: Arguments) -> Value:
        daemon.push("revoked", session, 0)
        return guid(orphan)

    daemon.answers["opened"] = parent_ends
    daemon.names()
    assert opened(q, people, BEARER).is_closed()
    _, told = daemon.next_call("disconnect")
    assert told == guid(orphan)
    assert q.evaluate("count .sessiond.sessions") == "0"


def test_while_the_daemon_is_away_no_websocket_opens(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    people.know(TOKEN, "alice")
    q.get("/", HOST, BEARER)
    daemon.stop()
    q.wait_until("not .sessiond.ready[]")
    assert opened(q, people, BEARER).is_closed()


def test_an_error_while_a_websocket_opens_closes_it(q: Interpreter, people: People) -> None:
    people.know(TOKEN, "alice")
    q.run(".sessiond.socket:{[p;h] '`broken};")
    assert opened(q, people, BEARER).is_closed()


def test_who_is_not_let_in_gets_no_websocket(q: Interpreter, people: People) -> None:
    assert q.socket(HOST, BEARER) is None
    assert q.socket(HOST, COOKIE, "Origin: https://evil.example") is None


# ---- where it may be ----


def test_without_the_setting_nothing_is_asked_of_http(
    start_q: Start, daemon: ScriptedDaemon, people: People
) -> None:
    q = start_q(PAGE.replace("web:1b", "web:0b"), port=daemon.port)
    assert q.evaluate("@[{value x;1b};`.z.ac;0b]") == "0b"
    assert q.evaluate(".sessiond.hasbasic[4.0;2021.07.12]") == "1b"


def test_a_process_keeps_its_own_z_ac_which_may_call_the_hook(
    start_q: Start, daemon: ScriptedDaemon, people: People
) -> None:
    own = '.z.ac:{[x] $[x[0] like "open*";(1;"guest");.sessiond.ac x]}\n'
    q = served(start_q, daemon, own)
    people.know(TOKEN, "alice")
    assert "`alice" in q.get("/", HOST, BEARER)
    assert "go away" in q.get("/", HOST)
    assert "200 OK" in q.get("/open", HOST)
    assert q.prints(".z.ac is this process's own and stays")


@pytest.mark.parametrize(
    ("version", "built", "good"),
    [
        ("4.0", "2021.07.12", "1b"),
        ("4.0", "2021.07.11", "0b"),
        ("3.6", "2022.01.01", "0b"),
        ("4.1", "2024.01.01", "1b"),
    ],
)
def test_which_kdb_asks_for_a_password_by_itself(
    q: Interpreter, version: str, built: str, good: str
) -> None:
    assert q.evaluate(f".sessiond.hasbasic[{version};{built}]") == good


def test_on_an_older_kdb_the_setting_is_refused_at_load(q_executable: str, tmp_path: Path) -> None:
    for file in HOOK.glob("*.q"):
        newer = file.read_text().replace("k<2021.07.12", "k<2099.01.01")
        (tmp_path / file.name).write_text(newer)
    script = f"""
.sessiond.directory:"{tmp_path}"
.sessiond.address:`::1
.sessiond.web:1b
.test.error:@[{{system "l ",x;""}};"{tmp_path}/sessiond.q";{{[e] e}}]
"""
    with Interpreter.start(q_executable, tmp_path, script) as q:
        assert "mend .sessiond.web and start q anew" in q.evaluate(".test.error")
        assert q.prints("0b on kdb+ before 4.0 of 2021.07.12")
        assert q.login("alice", "her password") is None
