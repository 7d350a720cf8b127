"""Tickets: a user of one process is let in at another, and what stands in the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiond.qipc import (
    NULL_TIMESTAMP,
    Dictionary,
    QError,
    Value,
    boolean,
    call,
    dictionary,
    guid_of,
    int_,
    integer,
    list_,
    mapping,
    string,
    symbol,
    text,
    timestamp,
)
from tests.q.conftest import Start
from tests.q.interpreter import Client, Interpreter
from tests.q.people import People
from tests.q.scripted import EXPIRES, Arguments, ScriptedDaemon, refused

pytestmark = pytest.mark.needs("q")

TOKEN = "bearer:an-opaque-access-token"
TICKET = "ticket:eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"  # short: the interpreter cuts long ones
HOLDS = "holds what is secret, and is not shown"


def given(ticket: str = TICKET) -> Dictionary:
    """Return the answer of `ticket` that gives one."""
    return answer(ok=boolean(True), ticket=string(ticket), expires=timestamp(EXPIRES))


def withheld(reason: str) -> Dictionary:
    return answer(reason=symbol(reason))


def answer(**members: Value) -> Dictionary:
    usual: dict[str, Value] = {
        "ok": boolean(False),
        "ticket": string(""),
        "expires": NULL_TIMESTAMP,
        "reason": symbol(""),
    }
    return dictionary({**usual, **members})


@pytest.fixture
def daemon(daemon: ScriptedDaemon) -> ScriptedDaemon:
    """The same, that gives tickets."""
    daemon.answers["ticket"] = lambda _: given()
    return daemon


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    """The daemon, as the process behind sees it: here each process has one of its own."""
    with ScriptedDaemon(tmp_path) as scripted:
        yield scripted


@pytest.fixture
def gateway(start_q: Start, daemon: ScriptedDaemon) -> Interpreter:
    """q with the hook, connected, to which users come."""
    return connected(start_q, daemon)


def connected(start_q: Start, daemon: ScriptedDaemon, before: str = "") -> Interpreter:
    q = start_q(before, port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    return q


def entered(q: Interpreter, user: str, password: str = TOKEN) -> Client:
    client = q.login(user, password)
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")  # before the next one logs in
    return client


def handle_of(q: Interpreter, user: str) -> int:
    shown = q.evaluate(f"first exec handle from .sessiond.sessions where user=`{user}")
    return int(shown.strip("i"))


def tried(q: Interpreter, expression: str) -> str:
    """Return what an expression is, or the text of its error, as q shows a string."""
    return q.evaluate(f"@[{{[x] {expression}}};0;{{[e] e}}]")


def names(q: Interpreter, server: Interpreter, name: str = "rdb1") -> None:
    """Say in the settings what the server is called."""
    q.run(f".sessiond.audiences:(enlist`:localhost:{server.port})!enlist`{name};")


def rdb(start_q: Start, behind: ScriptedDaemon) -> Interpreter:
    return connected(start_q, behind, ".sessiond.name:`rdb1\nme:{[x] .sessiond.who .z.w}")


# ---- asking for one ----


@pytest.mark.parametrize("audience", ["`rdb1", '"rdb1"'])
def test_a_ticket_is_asked_for_by_session_and_audience(
    gateway: Interpreter, daemon: ScriptedDaemon, audience: str
) -> None:
    entered(gateway, "alice")
    handle = handle_of(gateway, "alice")
    assert tried(gateway, f".sessiond.ticket[{handle};{audience}]") == f'"{TICKET}"'
    (asked,) = daemon.next_call("ticket")
    assert guid_of(mapping(asked)["session"]) == daemon.sessions["alice"]
    assert text(mapping(asked)["audience"]) == "rdb1"


@pytest.mark.parametrize("reason", ["nosession", "depth", "notallowed"])
def test_a_ticket_that_is_refused_is_an_error_that_ends_with_the_reason(
    gateway: Interpreter, daemon: ScriptedDaemon, reason: str
) -> None:
    daemon.answers["ticket"] = lambda _: withheld(reason)
    entered(gateway, "alice")
    asked = f".sessiond.ticket[{handle_of(gateway, 'alice')};`rdb1]"
    assert tried(gateway, asked) == f'"sessiond: no ticket for rdb1: {reason}"'


def test_without_the_daemon_a_ticket_is_unavailable(
    gateway: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(gateway, "alice")
    daemon.stop()
    gateway.wait_until("not .sessiond.ready[]")
    asked = f".sessiond.ticket[{handle_of(gateway, 'alice')};`rdb1]"
    assert tried(gateway, asked) == '"sessiond: no ticket for rdb1: unavailable"'


def test_what_a_daemon_says_that_knows_no_tickets_is_the_error(
    gateway: Interpreter, daemon: ScriptedDaemon
) -> None:
    daemon.answers["ticket"] = lambda _: QError("sessiond: no such call")
    entered(gateway, "alice")
    asked = f".sessiond.ticket[{handle_of(gateway, 'alice')};`rdb1]"
    assert tried(gateway, asked) == '"sessiond: no such call"'
    assert gateway.evaluate(".sessiond.ready[]") == "1b"


@pytest.mark.parametrize(
    "odd",
    [
        list_(),
        dictionary({"ok": boolean(True)}),
        answer(ok=boolean(True)),
        answer(ok=boolean(True), ticket=symbol("a")),
        answer(ticket=string(TICKET)),
        answer(ok=int_(1), ticket=string(TICKET)),
    ],
)
def test_an_answer_that_is_not_whole_gives_no_ticket(
    gateway: Interpreter, daemon: ScriptedDaemon, odd: Value
) -> None:
    daemon.answers["ticket"] = lambda _: odd
    entered(gateway, "alice")
    asked = f".sessiond.ticket[{handle_of(gateway, 'alice')};`rdb1]"
    assert tried(gateway, asked) == '"sessiond: no ticket for rdb1: unavailable"'


def test_for_a_handle_without_a_session_the_daemon_is_not_asked(
    gateway: Interpreter, daemon: ScriptedDaemon
) -> None:
    for handle in ("0", "0Ni", "99i", ".sessiond.daemon"):
        asked = f".sessiond.ticket[{handle};`rdb1]"
        assert tried(gateway, asked) == '"sessiond: no ticket for rdb1: nosession"'
    assert "ticket" not in daemon.names()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (".sessiond.ticket[`alice;`rdb1]", "a handle must be an int, such as .z.w"),
        (".sessiond.ticket[1 2;`rdb1]", "a handle must be an int, such as .z.w"),
        (".sessiond.ticket[1;`rdb1`rdb2]", "an audience must be a symbol or a string"),
        (f'.sessiond.ticket[1;"{TOKEN}"]', "no ticket for (token): nosession"),
    ],
)
def test_a_wrong_argument_is_told_and_never_shown(
    gateway: Interpreter, asked: str, why: str
) -> None:
    assert tried(gateway, asked) == f'"sessiond: {why}"'


def test_a_user_who_may_ask_asks_for_himself_alone(gateway: Interpreter) -> None:
    alice, bob = entered(gateway, "alice"), entered(gateway, "bob")
    handles = {name: handle_of(gateway, name) for name in ("alice", "bob")}
    gateway.run("mine:{[audience] .sessiond.ticket[.z.w;audience]};")
    assert alice.ask(call("mine", string("rdb1"))) == string(TICKET)
    for client, handle in ((alice, handles["bob"]), (bob, handles["alice"])):
        refused = client.ask(call(".sessiond.ticket", int_(handle), symbol("rdb1")))
        assert refused == QError("sessiond: no ticket for rdb1: notallowed")


def test_a_page_asks_for_the_person_whose_request_it_is(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    people = People(daemon)
    session = people.know("a-token", "carol")
    page = '.z.ph:{[x] .test.ticket:.sessiond.ticket[.z.w;`rdb1]; .h.hy[`txt;"page"]}\n'
    q = connected(start_q, daemon, f".sessiond.web:1b\n{page}")
    assert q.get("/", "Host: localhost", "Authorization: Bearer a-token").endswith("page")
    assert q.evaluate(".test.ticket") == f'"{TICKET}"'
    (asked,) = daemon.next_call("ticket")
    assert guid_of(mapping(asked)["session"]) == session


# ---- opening a handle with one ----


def test_a_handle_is_opened_as_the_user_with_a_ticket(
    start_q: Start, gateway: Interpreter, daemon: ScriptedDaemon, behind: ScriptedDaemon
) -> None:
    server = rdb(start_q, behind)
    names(gateway, server)
    entered(gateway, "alice")
    gateway.run(f"w:.sessiond.hopen[{handle_of(gateway, 'alice')};`:localhost:{server.port}];")
    (asked,) = daemon.next_call("ticket")
    assert text(mapping(asked)["audience"]) == "rdb1"
    (sent,) = behind.next_call("connect")
    assert text(mapping(sent)["user"]) == "alice"
    assert text(mapping(sent)["password"]) == TICKET
    assert gateway.evaluate("(w(`me;::))`user") == "`alice"
    assert gateway.evaluate("(w(`me;::))`roles") == ",`reader"
    for q in (gateway, server):
        assert "c2lnbmF0dXJl" not in q.said
        assert "c2lnbmF0dXJl" not in q.evaluate(".Q.s1 .z.W")


@pytest.mark.parametrize(
    "address",
    [
        "`::{port}",
        "`:localhost:{port}",
        '":localhost:{port}"',
        "(`:localhost:{port};2000)",
        '(":127.0.0.1:{port}";2000)',
        "{port}",
        "{port}i",
        "({port};2000)",
    ],
)
def test_addresses_are_as_hopen_takes_them(
    start_q: Start, gateway: Interpreter, behind: ScriptedDaemon, address: str
) -> None:
    server = rdb(start_q, behind)
    names(gateway, server)
    entered(gateway, "alice")
    opened = f".sessiond.hopen[{handle_of(gateway, 'alice')};{address.format(port=server.port)}]"
    gateway.run(f"w:{opened};")
    assert gateway.evaluate("(w(`me;::))`user") == "`alice"


DIALLED = ".test.dialled:(); .sessiond.dial:{[a;t] .test.dialled:(a;t); 'hop};"


@pytest.mark.parametrize(
    ("address", "text", "timeout"),
    [
        ("`:unix://5010", ":unix://5010", 5000),
        ('":tcps://localhost:5010"', ":tcps://localhost:5010", 5000),
        ("(`:unixs://5010;7)", ":unixs://5010", 7),
        ("5010 8", "::5010", 8),
        ('(`$":",string[.z.h],":5010";9)', "", 9),
    ],
)
def test_the_address_goes_on_as_it_is_and_user_and_ticket_come_after_it(
    gateway: Interpreter, address: str, text: str, timeout: int
) -> None:
    gateway.run(".sessiond.audiences:(enlist`::5010)!enlist`rdb1;")
    gateway.run(DIALLED)
    entered(gateway, "alice")
    tried(gateway, f".sessiond.hopen[{handle_of(gateway, 'alice')};{address}]")
    text = text or gateway.evaluate('":",string[.z.h],":5010"').strip('"')
    assert gateway.evaluate(".test.dialled") == f'("{text}:alice:{TICKET}";{timeout})'


@pytest.mark.parametrize(
    "address",
    [
        "`:localhost:5010:alice:pw",
        '":unix://5010:alice:pw"',
        "`:localhost",
        "`:localhost:rdb1",
        "`:fifo://x",
        "`",
        "()",
        "(`:localhost:5010;1;2)",
        "`:a://b://c:1",
        "::",
    ],
)
def test_what_is_no_address_or_has_a_user_in_it_is_refused_and_not_shown(
    gateway: Interpreter, daemon: ScriptedDaemon, address: str
) -> None:
    entered(gateway, "alice")
    said = tried(gateway, f".sessiond.hopen[{handle_of(gateway, 'alice')};{address}]")
    assert said.startswith('"sessiond: no handle: the address must be as hopen takes it, without')
    assert "pw" not in said
    assert "ticket" not in daemon.names()


# ---- what a process is called ----

SERVERS = (
    ".servers.SERVERS:([] procname:`rdb1`hdb1`; proctype:`rdb`hdb`x; hpup:`$("
    '":localhost:5010";":unix://5011";":localhost:5012");w:3#0Ni);'
)
PROCSTAB = '.servers.procstab:([] procname:`rdb1`wdb1`far1; hpup:`$(":localhost:5010";":localhost:5013";":tcps://elsewhere:5010"));'


def called(q: Interpreter, address: str) -> str:
    return q.evaluate(f".sessiond.called .sessiond.place .sessiond.bare {address}")


def test_what_a_process_is_called_is_known_by_torqs_tables(gateway: Interpreter) -> None:
    assert called(gateway, "`::5010") == "()"
    gateway.run(SERVERS)
    gateway.run(PROCSTAB)
    assert called(gateway, "`::5010") == ',"rdb1"'
    assert called(gateway, "`:unix://5010") == ',"rdb1"'
    assert called(gateway, "`:LOCALHOST:5011") == ',"hdb1"'
    assert called(gateway, "`::5012") == "()"
    assert called(gateway, "`::5013") == ',"wdb1"'
    assert called(gateway, "`:tcps://elsewhere:5010") == ',"far1@elsewhere"'
    assert called(gateway, "`:Elsewhere:5010") == ',"far1@Elsewhere"'
    assert called(gateway, "`:elsewhere:5011") == "()"


def test_what_the_settings_say_counts_first_and_as_it_is(gateway: Interpreter) -> None:
    gateway.run(SERVERS)
    gateway.run('.sessiond.audiences:(`::5010;`$":elsewhere:5011")!`$("rdb9";"hdb1@farhost");')
    assert called(gateway, "`::5010") == ',"rdb9"'
    assert called(gateway, "`:elsewhere:5011") == ',"hdb1@farhost"'
    assert called(gateway, "`::5011") == ',"hdb1"'


def test_a_process_without_a_name_or_with_two_gets_no_ticket(
    gateway: Interpreter, daemon: ScriptedDaemon
) -> None:
    entered(gateway, "alice")
    opened = f".sessiond.hopen[{handle_of(gateway, 'alice')};`::5010]"
    assert tried(gateway, opened) == (
        '"sessiond: no handle to ::5010: nobody says what the process there is called: '
        'set .sessiond.audiences"'
    )
    gateway.run(SERVERS)
    gateway.run(PROCSTAB.replace("`rdb1`wdb1", "`rdb2`wdb1"))
    assert tried(gateway, opened) == (
        '"sessiond: no handle to ::5010: it has more than one name (rdb1, rdb2): '
        'set .sessiond.audiences"'
    )
    assert "ticket" not in daemon.names()


# ---- what fails, and what its error says ----


def test_a_process_that_refuses_the_ticket_and_one_that_is_away_are_errors_without_it(
    start_q: Start, gateway: Interpreter, behind: ScriptedDaemon
) -> None:
    server = rdb(start_q, behind)
    names(gateway, server)
    entered(gateway, "alice")
    behind.answers["connect"] = refusing
    opened = f".sessiond.hopen[{handle_of(gateway, 'alice')};`::{server.port}]"
    refused = tried(gateway, opened)
    assert refused.startswith(f'"sessiond: no handle to ::{server.port}: ')
    assert server.prints("login of alice refused: badsignature")
    gateway.run(".sessiond.audiences:(enlist`::1)!enlist`rdb1;")
    away = tried(gateway, opened.replace(f"::{server.port}", "::1"))
    assert away.startswith('"sessiond: no handle to ::1: ')
    for q in (gateway, server):
        assert TICKET[20:] not in q.said


def refusing(_: Arguments) -> Value:
    return refused("badsignature")


@pytest.mark.parametrize(
    "error",
    [
        '"hop: ",a',
        '"hop: ",70#a',
        '"hop: ",(-30#a),": refused"',
        '".sessiond.dial[",(.Q.s1 a),";5000]"',
    ],
)
def test_the_text_of_an_error_that_repeats_the_address_is_not_shown(
    gateway: Interpreter, error: str
) -> None:
    gateway.run(".sessiond.audiences:(enlist`::5010)!enlist`rdb1;")
    gateway.run(f".sessiond.dial:{{[a;t] '{error}}};")
    entered(gateway, "alice")
    said = tried(gateway, f".sessiond.hopen[{handle_of(gateway, 'alice')};`::5010]")
    assert said == f'"sessiond: no handle to ::5010: the text of the error {HOLDS}"'


def test_the_text_of_another_error_is_shown(gateway: Interpreter) -> None:
    gateway.run(".sessiond.audiences:(enlist`::5010)!enlist`rdb1;")
    gateway.run('.sessiond.dial:{[a;t] \'"hop. OS reports: Connection refused"};')
    entered(gateway, "alice")
    said = tried(gateway, f".sessiond.hopen[{handle_of(gateway, 'alice')};`::5010]")
    assert said == '"sessiond: no handle to ::5010: hop. OS reports: Connection refused"'


def test_a_user_whose_name_has_a_colon_gets_no_handle(
    gateway: Interpreter, daemon: ScriptedDaemon
) -> None:
    gateway.run(".sessiond.audiences:(enlist`::5010)!enlist`rdb1;")
    entered(gateway, "alice")
    gateway.run('update user:`$"urn:alice" from `.sessiond.sessions;')
    said = tried(gateway, ".sessiond.hopen[first exec handle from .sessiond.sessions;`::5010]")
    assert said == '"sessiond: no handle to ::5010: the user\'s name has a colon in it"'
    assert "ticket" not in daemon.names()


@pytest.mark.parametrize(
    ("version", "takes"),
    [
        ("3.5;2018.01.01", "0b"),
        ("3.6;2017.09.25", "0b"),
        ("3.6;2017.09.26", "1b"),
        ("4.1;2024.02.13", "1b"),
    ],
)
def test_a_q_whose_hopen_takes_no_string_opens_none(
    gateway: Interpreter, version: str, takes: str
) -> None:
    assert gateway.evaluate(f".sessiond.takestext[{version}]") == takes


def test_what_was_on_a_handle_of_the_number_that_hopen_gives_is_gone(
    gateway: Interpreter, daemon: ScriptedDaemon
) -> None:
    gateway.run("\\t 0")
    gateway.run(".sessiond.audiences:(enlist`::5010)!enlist`rdb1;")
    entered(gateway, "alice")
    entered(gateway, "bob")
    alices, bobs = handle_of(gateway, "alice"), handle_of(gateway, "bob")
    gateway.run(f".adapter.hangup {bobs}i;")  # no .z.pc: the hook does not know
    gateway.run(f".sessiond.dial:{{[a;t] {bobs}i}};")
    gateway.run(f".sessiond.hopen[{alices};`::5010];")
    assert gateway.evaluate("exec user from .sessiond.sessions") == ",`alice"
    handle, session = daemon.next_call("disconnect")
    assert integer(handle) == bobs
    assert guid_of(session) == daemon.sessions["bob"]


# ---- the process behind ----


def test_a_session_that_a_ticket_opened_ends_with_the_one_that_it_came_from(
    start_q: Start, gateway: Interpreter, behind: ScriptedDaemon
) -> None:
    server = rdb(start_q, behind)
    names(gateway, server)
    entered(gateway, "alice")
    gateway.run(".test.left:0#0i; .z.pc:{[f;h] .test.left,:.z.w; f h}[.z.pc];")
    gateway.run(f"w:.sessiond.hopen[{handle_of(gateway, 'alice')};`::{server.port}];")
    server.wait_until("all exec open from .sessiond.sessions")
    handle = handle_of(server, "alice")
    behind.push("revoked", behind.sessions["alice"], handle, reason=symbol("parent"))
    gateway.wait_until("not w in key .z.W")
    assert server.prints(f"closing handle {handle} of alice: parent")
    assert server.evaluate("count .sessiond.sessions") == "0"
    assert gateway.evaluate("exec user from .sessiond.sessions") == ",`alice"


def test_a_renewal_of_such_a_session_is_refused_and_it_goes_on(
    start_q: Start, gateway: Interpreter, behind: ScriptedDaemon
) -> None:
    server = rdb(start_q, behind)
    names(gateway, server)
    entered(gateway, "alice")
    gateway.run(f"w:.sessiond.hopen[{handle_of(gateway, 'alice')};`::{server.port}];")
    server.wait_until("all exec open from .sessiond.sessions")
    gateway.run(f'neg[w](`.sessiond.renew;"{TOKEN}");')
    behind.next_call("renew")
    handle = handle_of(server, "alice")
    behind.push("renewed", behind.sessions["alice"], handle, reason=symbol("wrongtype"))
    assert server.prints("renewal of alice refused: wrongtype")
    assert gateway.evaluate("(w(`me;::))`user") == "`alice"
    assert server.evaluate("exec first null renewing from .sessiond.sessions") == "1b"


def test_a_ticket_is_no_plain_password(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = connected(start_q, daemon, '.test.seen:()\n.z.pw:{[u;p] .test.seen,:enlist p; p~"pw"}')
    q.run(".test.seen:();")
    daemon.answers["connect"] = refusing
    for password in (
        TICKET,
        "ticket:",
        "ticket:x",
        TICKET.replace("ticket", "Ticket"),
        " " + TICKET,
    ):
        assert q.login("alice", password) is None
    assert q.evaluate(".test.seen") == "()"
    assert "c2lnbmF0dXJl" not in q.logged
    assert q.evaluate(f'.sessiond.shown `$"{TICKET}"') == '"(token)"'
