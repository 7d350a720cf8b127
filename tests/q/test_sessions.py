"""Token logins, their end, and what the daemon pushes in between."""

from pathlib import Path
from uuid import uuid4

import pytest

from sessiond.qipc import (
    QError,
    Value,
    boolean,
    call,
    dictionary,
    guid,
    guid_of,
    int_,
    integer,
    list_,
    long,
    mapping,
    string,
    symbol,
    symbols,
    text,
    timestamp,
)
from tests.q.conftest import Start
from tests.q.interpreter import Client, Interpreter
from tests.q.scripted import EXPIRES, Arguments, ScriptedDaemon, accepted, refused

pytestmark = pytest.mark.needs("q")

TOKEN = "bearer:an-opaque-access-token"
PLAIN_CHECK = '{[f;u;p] $[p~"pw";1b;f[u;p]]}'  # around .z.pw


@pytest.fixture
def q(start_q: Start, daemon: ScriptedDaemon) -> Interpreter:
    """q with the hook, connected, whose own callbacks count how often they are called."""
    return connected(start_q, daemon)


def connected(start_q: Start, daemon: ScriptedDaemon, before: str = "") -> Interpreter:
    counting = ".came:.went:0#0i\n.z.po:{.came,:x}\n.z.pc:{.went,:x}\n.z.wc:{.gone:x}\n"
    interpreter = start_q(counting + before, port=daemon.port)
    interpreter.wait_until(".sessiond.ready[]")
    return interpreter


def entered(q: Interpreter, user: str, password: str = TOKEN) -> Client:
    client = q.login(user, password)
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")  # before the next one logs in
    return client


def handle_of(q: Interpreter, user: str) -> int:
    return int(
        q.evaluate(f"first exec handle from .sessiond.sessions where user=`{user}").strip("i")
    )


def test_a_token_login_is_asked_for_then_opened_then_closed(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    client = entered(q, "alice")
    (asked,) = daemon.next_call("connect")
    sent = mapping(asked)
    assert text(sent["user"]) == "alice"
    assert text(sent["password"]) == TOKEN
    session, handle = daemon.next_call("opened")
    assert guid_of(session) == daemon.sessions["alice"]
    assert integer(handle) == handle_of(q, "alice")
    client.close()
    left, whose = daemon.next_call("disconnect")
    assert (integer(left), guid_of(whose)) == (integer(handle), guid_of(session))
    q.wait_until("0=count .sessiond.sessions")
    assert q.evaluate(".came~.went") == "1b"


def test_hello_says_who_asks(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(".sessiond.name:`rdb1", port=daemon.port)
    (said,) = daemon.next_call("hello")
    hello = mapping(said)
    assert text(hello["name"]) == "rdb1"
    assert text(hello["type"]) == "q"
    assert integer(hello["pid"]) == q.pid
    assert 16 <= len(text(hello["nonce"])) <= 128
    assert bytes(daemon.received).startswith(b"rdb1:")


@pytest.mark.parametrize(
    "answer",
    [
        refused("expired"),
        QError("sessiond: something is wrong"),
        boolean(True),
        symbol("ok"),
        list_(),
        dictionary({"ok": boolean(True)}),
        dictionary({**mapping(accepted(uuid4(), "alice")), "ok": long(1)}),
        dictionary({**mapping(accepted(uuid4(), "alice")), "session": long(1)}),
        dictionary({**mapping(accepted(uuid4(), "alice")), "roles": symbol("admin")}),
        dictionary({**mapping(accepted(uuid4(), "alice")), "ok": boolean(False)}),
        accepted(uuid4(), "mallory"),
    ],
    ids=str,
)
def test_what_is_no_whole_acceptance_is_a_refusal(
    q: Interpreter, daemon: ScriptedDaemon, answer: Value | QError
) -> None:
    daemon.answers["connect"] = lambda _: answer
    assert q.login("alice", TOKEN) is None
    assert q.evaluate("count .sessiond.sessions") == "0"
    assert q.evaluate(".sessiond.ready[]") == "1b"
    assert q.prints("login of alice refused")


def test_a_verified_name_may_differ_in_case(q: Interpreter, daemon: ScriptedDaemon) -> None:
    daemon.answers["connect"] = lambda _: accepted(uuid4(), "Alice")
    client = entered(q, "aLiCe")
    assert q.evaluate("(0!.sessiond.sessions)`user`name") == "(,`aLiCe;,`Alice)"
    client.close()


def test_the_application_can_ask_who_is_on_a_handle(q: Interpreter, daemon: ScriptedDaemon) -> None:
    attributes = {"department": "rates", "desk": "x"}
    daemon.answers["connect"] = lambda _: accepted(uuid4(), "alice", ["reader"], attributes)
    with_attributes = entered(q, "alice")
    daemon.answers["connect"] = lambda _: accepted(uuid4(), "bob")
    without = entered(q, "bob")
    first, second = handle_of(q, "alice"), handle_of(q, "bob")
    assert q.evaluate(f".sessiond.who[{first}i]`attributes") == '`department`desk!("rates";,"x")'
    assert q.evaluate(f".sessiond.who[{first}i]`roles") == ",`reader"
    assert q.evaluate(f"count .sessiond.who[{second}i]`roles") == "0"
    assert q.evaluate("count .sessiond.who 999i") == "0"
    with_attributes.close()
    without.close()


@pytest.mark.parametrize("event", ["revoked", "expired"])
def test_a_push_closes_the_handle_and_calls_the_processs_own_close_once(
    q: Interpreter, daemon: ScriptedDaemon, event: str
) -> None:
    client = entered(q, "alice")
    other = entered(q, "bob")
    handle = handle_of(q, "alice")
    daemon.push(event, daemon.sessions["alice"], handle)
    assert client.is_closed()
    daemon.settle()
    assert q.evaluate(".went") == f",{handle}i"
    assert q.evaluate("exec user from .sessiond.sessions") == ",`bob"
    assert other.ask(call("count", symbols(["a", "b"]))) == long(2)
    assert "disconnect" not in daemon.names()
    other.close()


def test_a_close_that_fails_in_the_process_is_trapped(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    q = connected(start_q, daemon, ".z.pc:{'`broken}")
    client = entered(q, "alice")
    daemon.push("revoked", daemon.sessions["alice"], handle_of(q, "alice"))
    assert client.is_closed()
    daemon.settle()
    assert q.evaluate(".sessiond.ready[]") == "1b"
    assert q.prints("after closing a handle: broken")


def test_a_stale_push_never_closes_another_users_handle(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice, bob = entered(q, "alice"), entered(q, "bob")
    handles = {user: handle_of(q, user) for user in ("alice", "bob")}
    # alice's session with bob's handle; a session of yesterday with bob's; nobody's session
    daemon.push("revoked", daemon.sessions["alice"], handles["bob"])
    daemon.push("expired", uuid4(), handles["bob"])
    daemon.push("revoked", None, handles["bob"])
    daemon.settle()
    for client in (alice, bob):
        assert client.ask(call("count", symbols(["a"]))) == long(1)
    assert q.evaluate(".went") == "`int$()"


def test_a_handle_that_q_closed_itself_and_gave_to_another_is_not_closed_by_the_old_session(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(q, "alice")
    handle, session = handle_of(q, "alice"), daemon.sessions["alice"]
    q.run(f".adapter.hangup {handle}i;")  # as an application's hclose: nobody calls .z.pc
    q.run(f".z.pw:{PLAIN_CHECK}[.z.pw]")
    other = q.login("bob", "pw")
    assert other is not None
    q.wait_until(f"{handle}i in key .z.W")
    daemon.push("revoked", session, handle)
    daemon.settle()
    assert other.ask(call("count", symbols(["a"]))) == long(1)
    other.close()


def test_a_handle_that_q_closed_itself_is_told_to_the_daemon(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(q, "alice")
    handle = handle_of(q, "alice")
    q.run(f".adapter.hangup {handle}i;")
    left, whose = daemon.next_call("disconnect")
    assert (integer(left), guid_of(whose)) == (handle, daemon.sessions["alice"])
    assert q.evaluate("count .sessiond.sessions") == "0"


def test_a_login_on_the_handle_of_a_session_tells_the_daemon_that_it_left(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(q, "alice")
    handle, session = handle_of(q, "alice"), daemon.sessions["alice"]
    q.run("\\t 0")  # the timer would notice too, a little later
    q.run(f".adapter.hangup {handle}i;")
    q.run(f".z.pw:{PLAIN_CHECK}[.z.pw]")
    other = q.login("bob", "pw")
    assert other is not None
    left, whose = daemon.next_call("disconnect")
    assert (integer(left), guid_of(whose)) == (handle, session)
    other.close()


def test_a_websocket_that_q_closed_itself_is_told_to_the_daemon(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(q, "alice")
    handle = handle_of(q, "alice")
    q.run("update ws:1b from `.sessiond.sessions;")
    q.run(f".adapter.hangup {handle}i;")
    left, whose = daemon.next_call("disconnect")
    assert (integer(left), guid_of(whose)) == (handle, daemon.sessions["alice"])


def test_a_websocket_that_q_does_not_list_stays(q: Interpreter, daemon: ScriptedDaemon) -> None:
    entered(q, "alice")
    q.run("update ws:1b,listed:0b,handle:999i from `.sessiond.sessions;")
    q.run(".sessiond.beat[];")
    assert q.evaluate("exec user from .sessiond.sessions") == ",`alice"
    daemon.settle()
    assert "disconnect" not in daemon.names()


@pytest.mark.parametrize("event", ["refreshed", "roles", "renewed"])
def test_a_session_that_goes_on_and_is_not_here_is_told_to_the_daemon(
    q: Interpreter, daemon: ScriptedDaemon, event: str
) -> None:
    forgotten = uuid4()
    daemon.push(event, forgotten, 7)
    left, whose = daemon.next_call("disconnect")
    assert (integer(left), guid_of(whose)) == (7, forgotten)


def test_what_no_session_of_a_handle_is_gets_no_such_answer(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    daemon.push("revoked", uuid4(), 7)
    daemon.push("refreshed", None, 7)
    daemon.push("refreshed", uuid4(), 0)
    members = {"event": symbol("refreshed"), "session": guid(uuid4()), "handle": symbol("seven")}
    daemon.send(call(".sessiond.upd", dictionary(members)))
    daemon.settle()
    assert "disconnect" not in daemon.names()


def test_news_of_the_session_that_a_login_waits_for_does_not_end_it(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    session = uuid4()

    def with_news(_: Arguments) -> Value:
        daemon.push("refreshed", session, 7)
        return accepted(session, "alice")

    daemon.answers["connect"] = with_news
    client = entered(q, "alice")
    daemon.settle()
    assert "disconnect" not in daemon.names()
    client.close()


def test_one_renewal_a_handle_is_under_way_at_a_time(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice, bob = entered(q, "alice"), entered(q, "bob")
    again = call(".sessiond.renew", string("bearer:a-newer-access-token"))
    for client in (alice, alice, bob, alice):
        client.tell(again)
        client.ask(call("count", symbols(["a"])))
    assert daemon.names().count("renew") == 2
    assert q.prints(f"renewal on handle {handle_of(q, 'alice')} ignored: one is under way")
    daemon.push(
        "renewed", daemon.sessions["alice"], handle_of(q, "alice"), reason=symbol("expired")
    )
    daemon.settle()
    alice.tell(again)
    session, _ = daemon.next_call("renew")
    assert guid_of(session) == daemon.sessions["alice"]


def test_renewals_of_a_handle_have_a_pace_however_fast_they_are_answered(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    q = connected(start_q, daemon)
    q.run(".sessiond.pace:0D01:00")
    alice, bob = entered(q, "alice"), entered(q, "bob")
    again = call(".sessiond.renew", string("bearer:a-newer-access-token"))
    for client, user in [(alice, "alice"), (alice, "alice"), (bob, "bob"), (alice, "alice")]:
        client.tell(again)
        client.ask(call("count", symbols(["a"])))
        daemon.push("renewed", daemon.sessions[user], handle_of(q, user), reason=symbol("expired"))
        daemon.settle()
    assert daemon.names().count("renew") == 2
    q.run("update renewed:renewed-0D01:00 from `.sessiond.sessions;")
    alice.tell(again)
    daemon.next_call("renew")


def test_whoever_calls_for_renewal_all_the_time_does_not_fill_the_log(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice, plain = entered(q, "alice"), q.login("bob", "hunter2")
    assert plain is None
    for words in ["hunter2", "bearer:a-newer-access-token", "Bearer a-newer-access-token"] * 20:
        alice.tell(call(".sessiond.renew", string(words)))
    alice.ask(call("count", symbols(["a"])))
    q.run(".sessiond.noted:.z.p-0D00:00:02")
    alice.tell(call(".sessiond.renew", string("Bearer a-newer-access-token")))
    assert q.prints("more before it")
    lines = [line for line in q.logged.splitlines() if "renewal on handle" in line]
    assert len(lines) < 10
    assert "newer" not in q.logged


def test_a_renewal_that_is_never_answered_holds_the_next_for_two_deadlines_only(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice = entered(q, "alice")
    again = call(".sessiond.renew", string("bearer:a-newer-access-token"))
    alice.tell(again)
    daemon.next_call("renew")
    q.run("update renewing:renewing-2*.sessiond.deadline from `.sessiond.sessions;")
    alice.tell(again)
    daemon.next_call("renew")


def test_a_renewal_that_the_daemon_took_along_does_not_hold_the_next(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice = entered(q, "alice")
    again = call(".sessiond.renew", string("bearer:a-newer-access-token"))
    alice.tell(again)
    daemon.next_call("renew")
    daemon.hang_up()
    daemon.next_call("reconcile")
    q.wait_until(".sessiond.ready[]")
    alice.tell(again)
    daemon.next_call("renew")


def test_nobody_but_the_daemon_can_push(q: Interpreter, daemon: ScriptedDaemon) -> None:
    alice, bob = entered(q, "alice"), entered(q, "bob")
    forged = dictionary(
        {
            "event": symbol("revoked"),
            "session": guid(daemon.sessions["alice"]),
            "handle": int_(handle_of(q, "alice")),
        }
    )
    bob.tell(call(".sessiond.upd", forged))
    bob.ask(call(".sessiond.upd", forged))
    bob.ask(call(".sessiond.upd", symbol("x")))
    assert alice.ask(call("count", symbols(["a"]))) == long(1)
    q.run(f".sessiond.upd `event`session`handle!(`revoked;0Ng;{handle_of(q, 'alice')}i)")
    assert q.evaluate("count .sessiond.sessions") == "2"


def test_a_push_before_the_opening_is_remembered_and_the_opening_closes(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    # The push comes between .z.pw and .z.po: here, from within .z.po, before the hook's turn.
    session = uuid4()
    daemon.answers["connect"] = lambda _: accepted(session, "alice")
    push = "`event`session`handle`reason!(`revoked;first exec session from .sessiond.sessions;0i;`)"
    q.run(f".z.po:{{[f;h] .sessiond.pushed {push}; f h}}[.z.po]")
    client = entered(q, "alice")
    assert client.is_closed()
    daemon.next_call("opened")
    q.wait_until("0=count .sessiond.sessions")
    assert q.evaluate(".came~.went") == "1b"
    assert q.evaluate("count .went") == "1"


def test_a_push_that_overtakes_the_answer_of_connect_refuses_the_login(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    session = uuid4()

    def revoked_meanwhile(_: Arguments) -> Value:
        daemon.push("revoked", session, 0)
        return accepted(session, "alice")

    daemon.answers["connect"] = revoked_meanwhile
    assert q.login("alice", TOKEN) is None
    assert q.evaluate("count .sessiond.sessions") == "0"


def test_while_a_login_waits_for_the_daemon_another_session_can_be_revoked(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice = entered(q, "alice")
    handle, session = handle_of(q, "alice"), daemon.sessions["alice"]

    def revoke_alice(_: Arguments) -> Value:
        daemon.push("revoked", session, handle)
        return accepted(uuid4(), "bob")

    daemon.answers["connect"] = revoke_alice
    bob = entered(q, "bob")
    assert alice.is_closed()
    assert q.evaluate("exec user from .sessiond.sessions") == ",`bob"
    bob.close()


def test_refreshed_roles_and_renewed_change_the_map(q: Interpreter, daemon: ScriptedDaemon) -> None:
    client = entered(q, "alice")
    session, handle = daemon.sessions["alice"], handle_of(q, "alice")
    later = EXPIRES.replace(year=2101)
    daemon.push("refreshed", session, handle, expires=timestamp(later), roles=symbols(["x"]))
    daemon.settle()
    assert (
        q.evaluate("exec first expires from .sessiond.sessions") == "2101.01.01D00:00:00.000000000"
    )
    assert q.evaluate("exec first roles from .sessiond.sessions") == ",`reader"
    daemon.push("roles", session, handle, roles=symbols(["reader", "trader"]))
    daemon.settle()
    assert q.evaluate("exec first roles from .sessiond.sessions") == "`reader`trader"
    assert (
        q.evaluate("exec first expires from .sessiond.sessions") == "2101.01.01D00:00:00.000000000"
    )
    even_later = timestamp(EXPIRES.replace(year=2102))
    daemon.push("renewed", session, handle, expires=even_later, roles=symbols([]))
    daemon.settle()
    assert (
        q.evaluate("exec first expires from .sessiond.sessions") == "2102.01.01D00:00:00.000000000"
    )
    assert q.evaluate("exec first roles from .sessiond.sessions") == "`symbol$()"
    daemon.push("renewed", session, handle, reason=symbol("expired"), roles=symbols(["admin"]))
    daemon.settle()
    assert q.evaluate("exec first roles from .sessiond.sessions") == "`symbol$()"
    assert q.prints("renewal of alice refused: expired")
    client.close()


def test_a_user_renews_the_session_of_his_own_handle_only(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice, bob = entered(q, "alice"), entered(q, "bob")
    alice.tell(call(".sessiond.renew", string("bearer:a-newer-access-token")))
    session, password = daemon.next_call("renew")
    assert guid_of(session) == daemon.sessions["alice"]
    assert text(password) == "bearer:a-newer-access-token"
    alice.tell(call(".sessiond.renew", string("hunter2")))
    alice.tell(call(".sessiond.renew", symbol("bearer:as-symbol")))
    alice.ask(call("count", symbols(["a"])))
    q.run('.sessiond.renew "bearer:from-the-console"')
    assert daemon.names() == []
    assert b"hunter2" not in daemon.received
    alice.close()
    bob.close()


def test_a_login_by_websocket_opens_and_closes_with_its_own_callbacks(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    # The interpreter asks no .z.pw for websockets: its part is played here, for the next handle.
    daemon.answers["connect"] = lambda _: accepted(uuid4(), "alice")
    q.run(f'.z.wo:{{[f;h] .z.pw[`alice;"{TOKEN}"]; .sessiond.adopt h; f h}}[.z.wo]')
    q.run(
        ".sessiond.adopt:{[h] update handle:h from `.sessiond.sessions where not open,handle<>h;}"
    )
    client = q.websocket("alice", TOKEN)
    assert client is not None
    session, handle = daemon.next_call("opened")
    assert q.evaluate("exec ws from .sessiond.sessions") == ",1b"
    daemon.push("revoked", guid_of(session), integer(handle))
    assert client.is_closed()
    daemon.settle()
    assert q.evaluate(".gone") == f"{integer(handle)}i"
    assert q.evaluate("count .went") == "0"


def test_an_http_login_is_asked_for_at_each_request_and_forgotten_in_time(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    session = uuid4()
    daemon.answers["connect"] = lambda _: accepted(session, "alice")
    q = connected(start_q, daemon, ".sessiond.unopened:0D00:00:00.2")
    assert q.evaluate(f'.z.pw[`alice;"{TOKEN}"]') == "1b"
    assert q.evaluate(f'.z.pw[`alice;"{TOKEN}"]') == "1b"
    assert q.evaluate("exec session from .sessiond.sessions") == f",{session}"
    q.wait_until("0=count .sessiond.sessions")
    daemon.settle()
    assert daemon.names().count("connect") == 2


def test_a_token_that_is_too_large_stays_in_q(q: Interpreter, daemon: ScriptedDaemon) -> None:
    assert q.evaluate('.z.pw[`alice;"bearer:",32762#"x"]') == "0b"
    assert q.evaluate('.z.pw[`alice;"bearer:",6000#"x"]') == "1b"
    assert len(text(mapping(daemon.next_call("connect")[0])["password"])) == 6007
    assert daemon.names() == []


def test_no_token_is_ever_printed(q: Interpreter, daemon: ScriptedDaemon) -> None:
    client = entered(q, "alice")
    daemon.answers["connect"] = lambda _: refused("badsignature")
    q.login("alice", TOKEN)
    daemon.answers["connect"] = lambda _: QError("sessiond: wrong argument")
    q.login("alice", TOKEN)
    client.tell(call(".sessiond.renew", string("bearer:a-newer-access-token")))
    daemon.next_call("renew")
    daemon.stop()
    q.wait_until("not .sessiond.ready[]")
    q.login("alice", TOKEN)
    client.tell(call(".sessiond.renew", string("bearer:a-newer-access-token")))
    client.ask(call("count", symbols(["a"])))
    assert "opaque-access-token" not in q.said
    assert "newer-access-token" not in q.said
    assert q.prints("login of alice refused", 3)
    assert q.printed.count("login of alice refused") == 3


def test_a_session_that_is_open_is_given_to_no_other_login(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    session = uuid4()
    daemon.answers["connect"] = lambda _: accepted(session, "alice")
    client = entered(q, "alice")
    assert q.login("alice", TOKEN) is None
    assert client.ask(call("count", symbols(["a"]))) == long(1)
    assert q.evaluate("exec session from .sessiond.sessions where open") == f",{session}"


def test_a_login_ends_what_an_earlier_handle_of_its_number_left_behind(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    client = entered(q, "alice")
    q.run("\\t 0")  # the timer would notice too, a little later
    q.run("update handle:.z.w from `.sessiond.sessions;")
    assert q.evaluate('.z.pw[`bob;"hunter2"]') == "0b"
    assert q.evaluate("count .sessiond.sessions") == "0"
    client.close()


def test_no_symbol_is_made_of_a_password(start_q: Start, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("alice:wonderland\nbob:builder\n")
    q = start_q(f'.sessiond.passwords:hsym`$"{tmp_path}/passwords"')

    header = "eyJhbGciOiJSUzI1NiIsInN0cmFuZ2VyIjoi"
    q.run(f'strangers:("hunter";"bearer:x";"{header}";"access-token-of-them;refresh-token")')
    q.run("ask:{[start;n] .z.pw[`alice;start,string n]}")
    q.run("ask[;0] each strangers;")
    before = int(q.evaluate(".Q.w[]`syms"))
    q.run("{[n] ask[;n] each strangers;} each 1+til 100;")
    after = int(q.evaluate(".Q.w[]`syms"))
    assert after - before < 10


@pytest.mark.parametrize(
    "name", [TOKEN, f" {TOKEN}", "Bearer an-opaque-access-token", "eyJhbGciOiJSUzI1NiJ9.e30."]
)
def test_a_name_that_is_or_almost_is_a_token_is_not_shown(q: Interpreter, name: str) -> None:
    assert q.evaluate(f'.sessiond.shown `$"{name}"') == '"(token)"'
    assert q.evaluate(".sessiond.shown `alice") == '"alice"'
