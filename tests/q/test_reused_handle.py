"""Whoever gets the number of the daemon's handle is not the daemon: hears nothing, is not heard."""

from collections.abc import Iterator

import pytest

from sessiond.qipc import QError, call, dictionary, guid, int_, long, symbol, symbols
from tests.q.conftest import Start
from tests.q.interpreter import Client, Interpreter
from tests.q.scripted import ScriptedDaemon

pytestmark = pytest.mark.needs("q")

TOKEN = "bearer:an-opaque-access-token"
PASSWORD = "secret"
CHECK = '.z.pw:{[u;p] p~"secret"}\n'


@pytest.fixture
def q(start_q: Start, daemon: ScriptedDaemon) -> Iterator[Interpreter]:
    """q with the hook, connected, its timer off: nothing happens between two of its messages."""
    q = start_q(CHECK, port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    q.run("\\t 0")
    daemon.names()
    yield q
    assert b"opaque-access-token-of-bob" not in daemon.received


def entered(q: Interpreter, user: str, password: str = PASSWORD) -> Client:
    client = q.login(user, password)
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")  # before the next one logs in
    return client


def closes_the_daemons_handle(q: Interpreter) -> int:
    """As an application does that closes every handle it sees; return its number."""
    handle = int(q.evaluate(".sessiond.daemon").strip("i"))
    q.run(f".adapter.hangup {handle}i;")
    return handle


def test_a_client_with_the_daemons_number_is_sent_no_token(q: Interpreter) -> None:
    handle = closes_the_daemons_handle(q)
    mallory = entered(q, "mallory")
    assert q.evaluate(f"{handle}i in key .z.W") == "1b"
    assert q.login("bob", TOKEN + "-of-bob") is None
    assert q.prints("login of bob refused: unavailable")
    assert mallory.ask(call("count", symbols(["a", "b"]))) == long(2)
    assert q.evaluate(".sessiond.ready[]") == "0b"
    assert q.prints("its handle was closed, and is a client's now")


def test_it_is_a_client_from_its_login_on_not_only_from_its_opening(q: Interpreter) -> None:
    handle = closes_the_daemons_handle(q)
    # The interpreter's .z.w is 0 inside .z.pw: what kdb+ would have there is told.
    q.run(f".sessiond.client {handle}i")
    assert q.evaluate("null .sessiond.daemon") == "1b"


def test_a_client_with_the_daemons_number_keeps_its_handle_when_the_hook_reconnects(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    closes_the_daemons_handle(q)
    mallory = entered(q, "mallory")
    q.run("\\t 10")
    q.wait_until(".sessiond.ready[]")
    daemon.next_call("reconcile")
    assert mallory.ask(call("count", symbols(["a", "b"]))) == long(2)
    assert q.login("bob", TOKEN) is not None


def test_a_client_with_the_daemons_number_cannot_push(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    alice = entered(q, "alice", TOKEN)
    victim = q.evaluate("first exec handle from .sessiond.sessions").strip("i")
    closes_the_daemons_handle(q)
    mallory = entered(q, "mallory")
    forged = {"event": symbol("revoked"), "session": guid(daemon.sessions["alice"])}
    mallory.ask(call(".sessiond.upd", dictionary({**forged, "handle": int_(int(victim))})))
    assert alice.ask(call("count", symbols(["a", "b"]))) == long(2)


def test_a_websocket_with_the_daemons_number_is_a_client_too(q: Interpreter) -> None:
    closes_the_daemons_handle(q)
    assert q.websocket("mallory", "secret") is not None
    assert q.evaluate(".sessiond.ready[]") == "0b"
    assert q.prints("its handle was closed, and is a client's now")


def test_a_number_that_is_no_handle_any_more_is_sent_nothing(q: Interpreter) -> None:
    closes_the_daemons_handle(q)
    assert q.login("bob", TOKEN + "-of-bob") is None
    assert q.prints("login of bob refused: unavailable")
    assert q.prints("the daemon is away: its handle was closed")


def test_a_handle_of_another_kind_than_the_daemons_was_is_sent_nothing(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    # Where q code opens a handle itself no callback tells: q's -38! does, played here.
    q.run('.sessiond.mark:`p`f!"qu"; .sessiond.markof:{[h] `p`f!"qt"}')
    assert q.login("bob", TOKEN + "-of-bob") is None
    assert q.evaluate("null .sessiond.daemon") == "1b"
    assert "connect" not in daemon.names()


def test_an_answer_that_is_not_the_daemons_ends_the_trust_and_not_the_handle(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    handle = q.evaluate(".sessiond.daemon")
    daemon.answers["connect"] = lambda _: QError(
        "connect"
    )  # as a q would that has no such function
    assert q.login("alice", TOKEN) is None
    assert q.evaluate("null .sessiond.daemon") == "1b"
    assert q.evaluate(f"{handle} in key .z.W") == "1b"


def test_the_hooks_own_new_handle_ends_what_its_number_stood_for(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(q, "alice", TOKEN)
    handle = q.evaluate("first exec handle from .sessiond.sessions")
    q.run('.sessiond.depart "test"')
    q.run(f".adapter.hangup {handle};")
    daemon.names()
    q.run(
        "update handle:hopen .sessiond.target[] from `.sessiond.sessions;"
    )  # the lowest that is free
    q.run("hclose first exec handle from .sessiond.sessions; .sessiond.attempt[]")
    assert q.evaluate(".sessiond.ready[]") == "1b"
    assert q.evaluate("count .sessiond.sessions") == "0"
