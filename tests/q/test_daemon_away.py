"""The daemon goes and comes back: tokens wait, all else goes on, nothing live is lost."""

from pathlib import Path

import pytest

from sessiond.qipc import (
    Dictionary,
    Value,
    boolean,
    call,
    dictionary,
    guids,
    int_,
    integer,
    integers,
    list_,
    long,
    mapping,
    string,
    symbol,
    symbols,
)
from tests.q.conftest import Start
from tests.q.interpreter import Client, Interpreter
from tests.q.scripted import Arguments, ScriptedDaemon

pytestmark = pytest.mark.needs("q")

TOKEN = "bearer:an-opaque-access-token"
CHECK = '.z.pw:{[u;p] p~"secret"}'


def entered(q: Interpreter, user: str, password: str = TOKEN) -> Client:
    client = q.login(user, password)
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")  # before the next one logs in
    return client


def alive(client: Client) -> bool:
    return client.ask(call("count", symbols(["a", "b"]))) == long(2)


def test_without_a_daemon_tokens_are_refused_and_plain_passwords_work(start_q: Start) -> None:
    q = start_q(CHECK)
    assert q.login("alice", TOKEN) is None
    assert alive(entered(q, "alice", "secret"))
    assert q.prints("login of alice refused: unavailable")


def test_a_daemon_that_dies_leaves_the_live_sessions_alone(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    q = start_q(CHECK, port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    alice = entered(q, "alice")
    daemon.stop()
    q.wait_until("not .sessiond.ready[]")
    assert alive(alice)
    assert q.login("bob", TOKEN) is None
    assert alive(entered(q, "bob", "secret"))
    assert q.evaluate("exec user from .sessiond.sessions") == ",`alice"


def test_after_a_restart_of_the_daemon_q_reconciles_and_closes_what_it_is_told(
    start_q: Start, tmp_path: Path
) -> None:
    with ScriptedDaemon(tmp_path) as before:
        q = start_q(".went:0#0i\n.z.pc:{.went,:x}", port=before.port)
        q.wait_until(".sessiond.ready[]")
        alice, bob = entered(q, "alice"), entered(q, "bob")
        entered(q, "carol").close()
        before.next_call("disconnect")
        q.run(".went:0#0i")
        expected = {before.sessions["alice"], before.sessions["bob"]}
    q.wait_until("not .sessiond.ready[]")
    bobs = int(q.evaluate("first exec handle from .sessiond.sessions where user=`bob")[:-1])
    with ScriptedDaemon(tmp_path, port=before.port) as after:
        # bob's handle, and one that holds no token session: the latter must not be touched
        after.answers["reconcile"] = lambda _: list_(int_(bobs), int_(0), int_(999))
        handles, sessions = after.next_call("reconcile")
        assert set(guids(sessions)) == expected
        assert bobs in integers(handles)
        assert bob.is_closed()
        after.settle()
        assert alive(alice)
        assert q.evaluate("exec user from .sessiond.sessions") == ",`alice"
        assert q.evaluate(".went") == f",{bobs}i"
        assert alive(entered(q, "dave"))


def test_a_process_without_sessions_reconciles_with_empty_lists(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    start_q(port=daemon.port)
    handles, sessions = daemon.next_call("reconcile")
    assert (integers(handles), guids(sessions)) == ([], [])


def test_a_session_that_is_pushed_away_during_reconcile_is_closed_once(
    start_q: Start, tmp_path: Path
) -> None:
    with ScriptedDaemon(tmp_path) as before:
        q = start_q(".went:0#0i\n.z.pc:{.went,:x}", port=before.port)
        q.wait_until(".sessiond.ready[]")
        alice = entered(q, "alice")
        session = before.sessions["alice"]
    with ScriptedDaemon(tmp_path, port=before.port) as after:

        def push_then_tell(arguments: Arguments) -> Value:
            (handle,) = integers(arguments[0])
            after.push("revoked", session, handle)
            return list_(int_(handle))

        after.answers["reconcile"] = push_then_tell
        assert alice.is_closed()
        after.next_call("reconcile")
        after.settle()
        assert q.evaluate("count .went") == "1"


def test_bye_makes_q_leave_and_come_back_soon(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(".sessiond.retry:0D00:00:00.05", port=daemon.port)
    daemon.next_call("reconcile")
    alice = entered(q, "alice")
    daemon.push("bye", None, 0)
    daemon.next_call("hello")
    handles, _ = daemon.next_call("reconcile")
    assert len(integers(handles)) == 1
    assert alive(alice)
    q.wait_until(".sessiond.ready[]")


def test_a_daemon_that_dies_while_a_login_waits_refuses_that_login_only(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    q = start_q(CHECK, port=daemon.port)
    q.wait_until(".sessiond.ready[]")

    def die(_: Arguments) -> Value:
        daemon.hang_up()
        return symbol("unsaid")

    daemon.answers["connect"] = die
    assert q.login("alice", TOKEN) is None
    assert alive(entered(q, "alice", "secret"))
    assert q.evaluate("count .sessiond.sessions") == "0"
    q.wait_until(".sessiond.ready[]")


def test_an_end_that_happened_while_the_daemon_was_away_is_told_by_reconcile(
    start_q: Start, tmp_path: Path
) -> None:
    with ScriptedDaemon(tmp_path) as before:
        q = start_q(port=before.port)
        q.wait_until(".sessiond.ready[]")
        alice, bob = entered(q, "alice"), entered(q, "bob")
        kept = before.sessions["bob"]
    q.wait_until("not .sessiond.ready[]")
    alice.close()
    q.wait_until("1=count .sessiond.sessions")
    with ScriptedDaemon(tmp_path, port=before.port) as after:
        _, sessions = after.next_call("reconcile")
        assert guids(sessions) == [kept]
        assert alive(bob)


def test_trouble_is_logged_when_it_changes_not_at_each_attempt(start_q: Start) -> None:
    q = start_q()
    q.run(".sessiond.attempts:0")
    q.run(".sessiond.attempt:{[f;x] .sessiond.attempts+:1; f[]}[.sessiond.attempt]")
    q.wait_until(".sessiond.attempts>3")
    assert q.prints("no daemon at", 1)
    assert q.printed.count("no daemon at") == 1


def test_the_processs_own_timer_goes_on(start_q: Start) -> None:
    q = start_q(".own.ticks:0\n.z.ts:{.own.ticks+:1}\n\\t 10")
    assert q.evaluate('10=system"t"') == "1b"
    q.wait_until(".own.ticks>2")


def test_the_status_says_how_things_stand(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    entered(q, "alice")
    q.wait_until("1=.sessiond.status[]`open")
    assert q.evaluate(".sessiond.status[]`connected`proof`server") == '(1b;1b;"scripted")'
    daemon.stop()
    q.wait_until("not .sessiond.status[]`connected")
    assert q.evaluate("0<count .sessiond.status[]`trouble") == "1b"


def test_loading_the_hook_twice_is_refused(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    entered(q, "alice")
    q.evaluate('@[system;"l ",.sessiond.directory,"/sessiond.q";{x}]')
    assert q.evaluate("exec user from .sessiond.sessions") == ",`alice"
    assert q.evaluate(".sessiond.ready[]") == "1b"


def test_a_push_with_an_odd_shape_is_trapped(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    alice = entered(q, "alice")
    for odd in (boolean(True), list_(), dictionary({"event": long(1)}), string("x")):
        daemon.send(call(".sessiond.upd", odd))
    daemon.push("revoked", None, 0, reason=Dictionary(symbols([]), list_()))
    daemon.settle()
    assert alive(alice)
    assert q.evaluate(".sessiond.ready[]") == "1b"


def test_the_call_of_connect_names_its_parts(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q(port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    entered(q, "alice")
    (asked,) = daemon.next_call("connect")
    assert list(mapping(asked)) == ["user", "password", "handle", "address"]
    assert integer(mapping(asked)["address"]) == 0x7F000001


def test_a_login_never_dials(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = start_q()
    q.run("\\t 0")
    q.run(f".sessiond.address:`::{daemon.port}")  # somebody is there now, but the timer is off
    assert q.login("alice", TOKEN) is None
    assert q.login("alice", "hunter2") is None
    assert bytes(daemon.received) == b""
    q.run(f".sessiond.port:{daemon.port}")
    q.run("\\t 10")
    q.wait_until(".sessiond.ready[]")
    assert daemon.received


def test_a_new_daemon_that_answers_without_a_name_is_none(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    daemon.answers["hello"] = lambda _: dictionary(
        {"server": long(1), "instance": long(1), "proof": long(1), "deadline": long(1)}
    )
    q = start_q(".sessiond.proof:0b", port=daemon.port)
    q.wait_until("0<count .sessiond.trouble")
    assert q.evaluate(".sessiond.ready[]") == "0b"
