"""A simulated q process, at a daemon's end that the test holds."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest

from sessiond import __version__
from sessiond.api import Secret
from sessiond.core.errors import CallError
from sessiond.kdb.calls import Hello, read_call
from sessiond.qipc import (
    NIL,
    Handshake,
    Push,
    Received,
    Response,
    ServerConnection,
    boolean,
    call,
    dictionary,
    guid,
    int_,
    list_,
    mapping,
    string,
    symbol,
    table,
    text,
    unpack_call,
)
from sessiond.qipc.messages import MessageKind, encode_message
from sessiond.testing import FakeProcess, Issued, QReplyError
from sessiond.testing.calls import hello_call, ticket_call, token_call
from sessiond.testing.plain import instant, plain, plain_rows
from sessiond.testing.wire import ProcessWire

SESSION = UUID(int=7)
ACCEPTED = dictionary({"ok": boolean(True), "session": guid(SESSION)})
REFUSED = dictionary({"ok": boolean(False), "reason": symbol("expired")})


class Daemon:
    """Answers by the name of the call; what it was asked is in `asked`."""

    def __init__(self, connection: socket.socket) -> None:
        self.wire = ServerConnection(1 << 20)
        self.connection = connection
        self.heard = b""
        self.asked: list[str] = []
        self.passwords: list[str] = []
        self.answers: dict[str, Callable[[], bytes]] = {}

    def serve(self) -> None:
        """Serve until the other end says no more."""
        with self.connection:
            while data := self.connection.recv(65536):
                self.heard += data
                self.wire.receive_data(data)
                while (event := self.wire.next_event()) is not None:
                    self._take(event)

    def _take(self, event: Handshake | Received) -> None:
        if isinstance(event, Handshake):
            self.connection.sendall(self.wire.accept())
            return
        if event.value == string(""):
            name = "ping"
        else:
            name, arguments = unpack_call(event.value)
            if name == "connect":
                self.passwords.append(text(mapping(arguments[0])["password"]))
        self.asked.append(name)
        if event.kind is MessageKind.SYNC:
            self.connection.sendall(self.answers.get(name, lambda: self.wire.reply(NIL))())


@contextmanager
def served() -> Iterator[tuple[Daemon, socket.socket]]:
    ours, theirs = socket.socketpair()
    daemon = Daemon(theirs)
    thread = Thread(target=daemon.serve)
    thread.start()
    with ours:
        yield daemon, ours
    thread.join()


def told(event: str) -> dict[str, str]:
    return {"event": event}


def push(daemon: Daemon, event: str) -> bytes:
    return daemon.wire.push(call(".sessiond.upd", dictionary({"event": symbol(event)})))


def test_pushes_that_come_before_an_answer_are_kept_in_order() -> None:
    with served() as (daemon, ours):
        daemon.answers["sessions"] = lambda: (
            push(daemon, "refreshed")
            + push(daemon, "revoked")
            + daemon.wire.reply(table({"handle": string("ab")}))
        )
        q = FakeProcess(ours)
        assert q.sessions() == [{"handle": "a"}, {"handle": "b"}]
        assert q.pushes == [told("refreshed"), told("revoked")]
        assert [q.next_push(), q.next_push()] == [told("refreshed"), told("revoked")]


def test_answers_that_come_before_a_push_are_kept_too() -> None:
    with served() as (daemon, ours):
        daemon.answers["one"] = lambda: daemon.wire.reply(int_(1))
        daemon.answers["two"] = lambda: daemon.wire.error("no") + push(daemon, "bye")
        q = FakeProcess(ours)
        q.ask(call("one", NIL))
        q.ask(call("two", NIL))
        assert q.next_push() == told("bye")
        assert q.answer() == int_(1)
        with pytest.raises(QReplyError, match="no"):
            q.answer()


def test_rows_that_are_published_are_no_pushes() -> None:
    with served() as (daemon, ours):
        rows = table({"sym": string("x")})
        daemon.answers["ping"] = lambda: (
            daemon.wire.push(call("upd", symbol("sessionevents"), rows)) + daemon.wire.reply(NIL)
        )
        q = FakeProcess(ours)
        q.ping()
        assert q.pushes == []
        assert q.next_published() == ("sessionevents", rows)


def test_what_the_hook_does_not_have_is_an_error() -> None:
    with served() as (daemon, ours):
        daemon.answers["ping"] = lambda: daemon.wire.push(call("exit", int_(0)))
        with pytest.raises(CallError, match="a push to exit"):
            FakeProcess(ours).ping()


@pytest.mark.parametrize(
    ("token", "password"),
    [
        (Secret("a"), "bearer:a"),
        (Issued(access=Secret("a"), refresh=Secret("r"), expires_in=60.0), "a;r"),
        ("as typed", "as typed"),
    ],
)
def test_a_token_is_brought_as_its_user_would(token: Secret | Issued | str, password: str) -> None:
    with served() as (daemon, ours):
        daemon.answers["connect"] = lambda: daemon.wire.reply(ACCEPTED)
        q = FakeProcess(ours)
        assert q.log_in("alice", token)["session"] == SESSION
        assert daemon.passwords == [password]
        assert daemon.asked == ["connect", "opened", "ping"]


def test_what_the_hook_asks_is_asked_in_its_words() -> None:
    with served() as (daemon, ours):
        welcome = dictionary({"server": string("sessiond")})
        daemon.answers["hello"] = lambda: daemon.wire.reply(welcome)
        daemon.answers["renew"] = lambda: daemon.wire.reply(ACCEPTED)
        daemon.answers["reconcile"] = lambda: daemon.wire.reply(list_(int_(5)))
        q = FakeProcess(ours, name="rdb1")
        assert q.hello() == {"server": string("sessiond")}
        assert q.renew(SESSION, "a;r") == {"ok": True, "session": SESSION}
        assert q.reconcile({5: SESSION, 6: SESSION}) == [5]
        q.disconnect(6, SESSION)
        q.log_out()
        asked = ["hello", "renew", "reconcile", "disconnect", "disconnect", "ping"]
        assert daemon.asked == asked
    assert daemon.heard.startswith(b"rdb1:")


def test_tickets_and_source_tokens_are_asked_for_by_name() -> None:
    issued = dictionary({"ok": boolean(True), "ticket": string("ticket:x"), "token": string("t")})
    with served() as (daemon, ours):
        for name in ("ticket", "token"):
            daemon.answers[name] = lambda: daemon.wire.reply(issued)
        q = FakeProcess(ours)
        assert q.ticket(SESSION, "rdb1")["ticket"] == "ticket:x"
        assert q.token("quotes")["token"] == q.token("positions", SESSION)["token"] == "t"
        assert daemon.asked == ["ticket", "token", "token"]
    assert unpack_call(ticket_call(SESSION, "rdb1"))[1] == (
        dictionary({"session": guid(SESSION), "audience": string("rdb1")}),
    )
    assert unpack_call(token_call("quotes"))[1] == (dictionary({"name": string("quotes")}),)
    assert set(mapping(unpack_call(token_call("quotes", SESSION))[1][0])) == {"name", "session"}


def test_a_process_states_the_version_of_the_hook_that_it_stands_in_for() -> None:
    said = read_call(hello_call("rdb1"))
    assert isinstance(said, Hello)
    assert said.hook == __version__


def test_a_daemon_is_reached_by_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "kx.5000")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        with FakeProcess(path, greets=False), listening.accept()[0] as accepted:
            accepted.close()
    with pytest.raises(ConnectionRefusedError):
        FakeProcess(path)


def test_all_that_comes_can_be_taken_in_its_order() -> None:
    with served() as (daemon, ours):
        daemon.answers["ping"] = lambda: daemon.wire.reply(NIL) + push(daemon, "bye")
        q = FakeProcess(ours)
        q.ask(string(""))
        kinds: list[type] = []
        while len(kinds) < 2:
            q.receive()
            while (event := q.next_event()) is not None:
                kinds.append(type(event))
        assert kinds == [Response, Push]


def test_a_daemon_that_asks_something_is_wrong() -> None:
    client, server = ProcessWire(), ServerConnection(1 << 16)
    server.receive_data(client.greeting("q", "x"))
    server.next_event()
    client.receive_data(server.accept() + encode_message(MessageKind.SYNC, NIL))
    with pytest.raises(CallError, match="asks nothing"):
        client.next_push()


def test_a_time_is_a_number_until_it_is_wanted() -> None:
    assert instant(0) == datetime(2000, 1, 1, tzinfo=UTC)
    assert instant(-(2**63)) is None
    assert plain(list_(int_(1), string("ab"))) == [1, "ab"]
    assert plain(NIL) is NIL


def test_who_is_refused_is_told_why() -> None:
    with served() as (daemon, ours):
        daemon.answers["connect"] = lambda: daemon.wire.reply(REFUSED)
        with pytest.raises(PermissionError, match="expired"):
            FakeProcess(ours).log_in("alice", "x")


def test_a_message_can_come_in_pieces_and_a_half_closed_connection_still_hears() -> None:
    with served() as (daemon, ours):
        q = FakeProcess(ours, piece=1)
        q.ask(call("sessions"))
        q.half_close()
        assert q.answer() == NIL
        assert q.is_cut()
        assert daemon.asked == ["sessions"]
        with pytest.raises(ConnectionError, match="closed the connection"):
            q.next_push()


def test_one_that_greets_nobody_says_nothing() -> None:
    with served() as (daemon, ours):
        q = FakeProcess(ours, greets=False)
        assert q.fileno() == ours.fileno()
        q.close()
    assert daemon.heard == b""


def test_what_is_sent_past_it_is_answered_when_it_is_expected() -> None:
    with served() as (daemon, ours):
        daemon.answers["odd"] = lambda: daemon.wire.reply(int_(3))
        q = FakeProcess(ours)
        q.expect(1)
        q.send(encode_message(MessageKind.SYNC, call("odd", NIL)))
        assert q.answer() == int_(3)


def test_only_a_table_has_rows() -> None:
    with pytest.raises(TypeError, match="no table"):
        plain_rows(NIL)
