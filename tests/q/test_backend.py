"""An rdb behind a gateway, over TorQ's own permissions: who has rights there, and until when."""

from pathlib import Path
from uuid import uuid4

import pytest

from sessiond.qipc import (
    Dictionary,
    List,
    QError,
    Table,
    Value,
    boolean,
    call,
    dictionary,
    list_,
    long,
    mapping,
    octets,
    string,
    symbol,
    symbols,
    text,
    texts,
)
from tests.q.conftest import Start
from tests.q.estate import BACKEND, Estate, as_gateway, execas, rows_example
from tests.q.interpreter import Client, Interpreter
from tests.q.scripted import Arguments, ScriptedDaemon, accepted, standing, standings

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("torq")]

TOKEN = "bearer:an-opaque-access-token"
VOLUME = call("volume", long(3))
NOBODY = "pm: nobody of this name is logged in"


@pytest.fixture
def estate(start_q: Start, tmp_path: Path) -> Estate:
    return Estate(start_q, tmp_path)


@pytest.fixture
def rdb(estate: Estate, daemon: ScriptedDaemon) -> Interpreter:
    """An rdb that follows; nobody is logged in elsewhere."""
    q = estate.start("rdb", daemon.port, BACKEND)
    daemon.settle()
    return q


@pytest.fixture
def gateway(rdb: Interpreter) -> Client:
    """The gateway's own connection to the rdb."""
    return as_gateway(rdb)


def roles(q: Interpreter, user: str) -> str:
    return q.evaluate(f"asc exec role from .pm.userrole where user=`{user}")


def known(q: Interpreter, user: str) -> bool:
    return q.evaluate(f"`{user} in exec id from .pm.user") == "1b"


def test_who_logged_in_at_a_gateway_has_the_rights_of_his_roles_and_no_more_until_he_leaves(
    rdb: Interpreter, daemon: ScriptedDaemon, gateway: Client
) -> None:
    assert execas(gateway, VOLUME, "alice") == NOBODY
    daemon.stand("alice", ["reader"])
    daemon.settle()
    assert execas(gateway, VOLUME, "alice") == long(3)
    assert isinstance(execas(gateway, "select from trade", "alice"), Table)
    assert execas(gateway, "select from secret", "alice") == "pm: no read permission on [secret]"
    assert execas(gateway, "delete from `trade", "alice") == "pm: no write permission on [trade]"
    assert execas(gateway, "1+1", "alice") == "pm: unsupported expression, superuser only"
    daemon.stand("alice", gone=True)
    daemon.settle()
    assert execas(gateway, VOLUME, "alice") == NOBODY
    assert not known(rdb, "alice")
    assert roles(rdb, "alice") == "`symbol$()"


def test_roles_follow_what_is_pushed(
    rdb: Interpreter, daemon: ScriptedDaemon, gateway: Client
) -> None:
    daemon.stand("alice", ["reader", "admin"])
    daemon.settle()
    assert roles(rdb, "alice") == "`admin`reader"
    daemon.stand("alice", [])
    daemon.settle()
    assert roles(rdb, "alice") == "`symbol$()"
    assert (
        execas(gateway, VOLUME, "alice")
        == "pm: user role does not permit running function [volume]"
    )
    assert known(rdb, "alice")


def test_whoever_is_logged_in_at_the_start_is_known_from_the_answer(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    people = standing("alice", ["reader"], {"a": "x", "b": "y"}), standing("bob", [], {"a": "z"})
    daemon.answers["follow"] = lambda _: standings(*people)
    rdb = estate.start("rdb", daemon.port, BACKEND)
    assert rdb.prints("2 people are logged in elsewhere")
    assert execas(as_gateway(rdb), VOLUME, "alice") == long(3)
    assert roles(rdb, "bob") == "`symbol$()"
    assert rdb.evaluate(".sessiond.attributeof[;`a] each `alice`bob`carol") == '(,"x";,"z";"")'
    assert rdb.evaluate(".sessiond.status[]`elsewhere") == "2"


def test_one_row_with_one_role_and_one_attribute_is_read_as_it_is_meant(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    person = standing("alice", ["reader"], {"user_department": "rates"})
    daemon.answers["follow"] = lambda _: standings(person)
    rdb = estate.start("rdb", daemon.port, BACKEND)
    assert roles(rdb, "alice") == ",`reader"
    assert rdb.evaluate(".sessiond.attributeof[`alice;`user_department]") == '"rates"'


def follows(daemon: ScriptedDaemon, *people: dict[str, Value]) -> None:
    """From the next connection on, tell of these."""
    daemon.answers["follow"] = lambda _: standings(*people)


NO_CALLS = """
.pm.adduser:{[u;a;h;p] '"called"}
.pm.removeuser:{[u] '"called"}
{x set {[u;r] '"called"}} each `.pm.assignrole`.pm.unassignrole`.pm.addtogroup`.pm.removefromgroup;
"""
TABLES = "(`id xasc 0!.pm.user;asc .pm.userrole;asc .pm.usergroup)"
BEFOREHAND = """
.pm.adduser[`ready;`sessiond;`;"none"]
.pm.assignrole[`ready;`reader]
.pm.addtogroup[`ready;`desk]
.pm.assignrole[`later;`reader]
"""


def test_people_by_the_thousand_are_given_their_rights_without_a_call_for_each(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    rdb = estate.start("rdb", daemon.port, BACKEND, NO_CALLS)
    people = [standing(f"u{number}", ["reader", "systemuser"]) for number in range(3000)]
    for count in (3000, 1000, 0):
        follows(daemon, *people[:count])
        daemon.hang_up()
        rdb.wait_until(f"{count}=count .sessiond.standing")
        assert rdb.evaluate('(exec count i from .pm.user where id like "u*")') == str(count)
        assert rdb.evaluate("count .sessiond.given") == str(2 * count)
        assert rdb.evaluate('(exec count i from .pm.userrole where user like "u*")') == str(
            2 * count
        )


@pytest.mark.parametrize(("assign", "call"), [("role", "assignrole"), ("group", "addtogroup")])
def test_tables_are_what_the_calls_of_permissions_would_have_made_of_them(
    estate: Estate, daemon: ScriptedDaemon, assign: str, call: str
) -> None:
    people = (
        standing("alice", ["reader", "desk", "nowhere", "systemuser"]),
        standing("ready", ["reader", "desk", "systemuser"]),
        standing("later", ["reader", "reader", "systemuser", ""]),
        standing("bare"),
        standing("local1", ["reader", "desk"]),
        standing("desk", ["reader", "desk"]),
        standing("reader", ["reader", "desk"]),
    )
    settings = f"{BACKEND}.sessiond.assign:`{assign}\n"
    rdb = estate.start("rdb", daemon.port, settings, BEFOREHAND)
    before = rdb.evaluate(TABLES)
    rdb.run(".test.was:(.pm.user;.pm.userrole;.pm.usergroup);")
    for person in people:
        user = text(person["user"])
        if user not in {"local1", "desk", "ready"}:
            rdb.run(f'.pm.adduser[`{user};`sessiond;`;"none"];')
        for role in texts(person["roles"]) if user not in {"local1", "desk"} else ():
            rdb.run(f"@[.pm.{call}[`{user}];`{role};::];")
    called = rdb.evaluate(TABLES)
    rdb.run(".pm.user:.test.was 0; .pm.userrole:.test.was 1; .pm.usergroup:.test.was 2;")
    for told, expected in ((people, called), ((), before)):
        follows(daemon, *told)
        daemon.hang_up()
        rdb.wait_until(f"{len(told)}=count .sessiond.standing")
        assert rdb.evaluate(TABLES) == expected


def test_roles_can_be_groups(estate: Estate, daemon: ScriptedDaemon) -> None:
    rdb = estate.start("rdb", daemon.port, BACKEND + ".sessiond.assign:`group\n")
    daemon.stand("carol", ["desk", "systemuser"])
    daemon.settle()
    assert rdb.evaluate("exec groupname from .pm.usergroup where user=`carol") == "`desk`systemuser"
    daemon.stand("carol", ["desk"])
    daemon.settle()
    assert rdb.evaluate("exec groupname from .pm.usergroup where user=`carol") == ",`desk"
    daemon.stand("carol", gone=True)
    daemon.settle()
    assert rdb.evaluate("exec groupname from .pm.usergroup where user=`carol") == "`symbol$()"


def test_a_name_that_permissions_know_otherwise_is_never_touched_and_nothing_runs_by_it(
    rdb: Interpreter, daemon: ScriptedDaemon, gateway: Client
) -> None:
    before = rdb.evaluate("(.pm.user;.pm.userrole;.pm.usergroup)")
    assert execas(gateway, VOLUME, "local1") == long(3)
    for name in ("local1", "desk"):  # somebody of the company has the name of an account here
        daemon.stand(name, ["reader"])
        daemon.settle()
        assert str(execas(gateway, VOLUME, name)).startswith("pm: this name is a person's")
    own = rdb.login("local1", "pw")
    assert own is not None
    assert own.ask(VOLUME) == long(3)
    assert rdb.evaluate("(.pm.user;.pm.userrole;.pm.usergroup)") == before
    daemon.stand("local1", gone=True)
    daemon.settle()
    assert rdb.evaluate("(.pm.user;.pm.userrole;.pm.usergroup)") == before
    assert execas(gateway, VOLUME, "local1") == long(3)


def test_what_the_administrator_gave_stays(rdb: Interpreter, daemon: ScriptedDaemon) -> None:
    rdb.run('.pm.adduser[`ready;`sessiond;`;"none"]; .pm.assignrole[`ready;`reader];')
    daemon.stand("ready", ["reader", "systemuser"])
    daemon.settle()
    assert roles(rdb, "ready") == "`reader`systemuser"
    daemon.stand("ready", gone=True)
    daemon.settle()
    assert known(rdb, "ready")
    assert roles(rdb, "ready") == ",`reader"


def test_a_role_that_permissions_do_not_know_is_warned_of_once_and_not_given(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    for name in ("alice", "bob", "alice"):
        daemon.stand(name, ["trader", "reader"])
    daemon.settle()
    assert roles(rdb, "alice") == ",`reader"
    assert rdb.printed.count("trader was not given") == 1


def test_a_row_opens_no_login_but_by_the_daemons_word(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    daemon.stand("alice", ["reader"])
    daemon.settle()
    for password in ("", "none", "pass", "alice"):
        assert rdb.login("alice", password) is None
    assert "connect" not in daemon.names()
    daemon.answers["connect"] = lambda _: symbol("no")
    assert rdb.login("alice", TOKEN) is None
    daemon.next_call("connect")
    assert roles(rdb, "alice") == ",`reader"


def test_a_row_opens_no_login_where_everybody_else_is_let_in(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    rdb = estate.start(
        "rdb", daemon.port, BACKEND + ".sessiond.fallback:1b\n.sessiond.earlier:`ignore\n"
    )
    assert rdb.login("alice", "anything") is not None
    daemon.stand("alice", ["reader"])
    daemon.settle()
    assert rdb.login("alice", "anything") is None
    assert rdb.login("ALICE", "anything") is None


def test_a_session_here_has_its_own_tokens_rights_and_after_it_those_of_elsewhere(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    daemon.stand("alice", ["reader", "systemuser"], {"user_department": "fx"})
    session = uuid4()
    daemon.answers["connect"] = lambda _: accepted(
        session, "alice", ["reader"], {"user_department": "rates"}
    )
    client = rdb.login("alice", TOKEN)
    assert client is not None
    assert client.ask(VOLUME) == long(3)
    assert roles(rdb, "alice") == ",`reader"
    assert rdb.evaluate(".sessiond.attributeof[`alice;`user_department]") == '"rates"'
    daemon.stand("alice", ["systemuser"], {"user_department": "fx"})
    daemon.settle()
    assert roles(rdb, "alice") == ",`reader"
    client.close()
    rdb.wait_until("0=count .sessiond.sessions")
    assert roles(rdb, "alice") == ",`systemuser"
    assert rdb.evaluate(".sessiond.attributeof[`alice;`user_department]") == '"fx"'


def test_who_leaves_elsewhere_keeps_the_rights_of_his_session_here(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    daemon.stand("alice", ["reader"])
    client = rdb.login("alice", TOKEN)
    assert client is not None
    daemon.stand("alice", gone=True)
    daemon.settle()
    assert client.ask(VOLUME) == long(3)
    client.close()
    rdb.wait_until("0=count .sessiond.sessions")
    assert not known(rdb, "alice")


def test_while_the_daemon_is_away_rows_stay_and_its_fresh_answer_drops_who_has_left(
    rdb: Interpreter, daemon: ScriptedDaemon, gateway: Client
) -> None:
    daemon.stand("alice", ["reader"])
    daemon.stand("bob", ["reader"])
    daemon.settle()
    hello = daemon.answers["hello"]
    daemon.answers["hello"] = lambda _: QError("sessiond is starting")
    daemon.hang_up()
    rdb.wait_until("not .sessiond.ready[]")
    assert execas(gateway, VOLUME, "alice") == long(3)
    daemon.answers["follow"] = lambda _: standings(standing("alice", ["systemuser"]))
    daemon.answers["hello"] = hello
    rdb.wait_until(".sessiond.ready[]")
    assert roles(rdb, "alice") == ",`systemuser"
    assert execas(gateway, VOLUME, "bob") == NOBODY
    assert not known(rdb, "bob")


def test_a_daemon_that_stays_away_leaves_rights_for_the_time_that_is_set(
    rdb: Interpreter, daemon: ScriptedDaemon, gateway: Client
) -> None:
    daemon.stand("alice", ["reader"])
    daemon.settle()
    daemon.answers["hello"] = lambda _: QError("sessiond is starting")
    daemon.hang_up()
    rdb.wait_until("not .sessiond.ready[]")
    rdb.run(".sessiond.heard:.z.p-0D00:59; .sessiond.tick[];")
    assert execas(gateway, VOLUME, "alice") == long(3)
    rdb.run(".sessiond.heard:.z.p-0D01:00; .sessiond.tick[];")
    assert execas(gateway, VOLUME, "alice") == NOBODY
    assert rdb.prints("the daemon is away for longer than .sessiond.linger")


def test_a_refusal_to_tell_is_said_once_ends_rights_and_is_asked_again_while_logins_go_on(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    daemon.stand("alice", ["reader"])
    daemon.settle()
    daemon.answers["follow"] = lambda _: QError("sessiond: follow is for processes with estate")
    daemon.hang_up()
    assert rdb.prints("does not say who logged in elsewhere")
    assert rdb.prints("follow is for processes with estate")
    rdb.wait_until(".sessiond.ready[]")
    assert not known(rdb, "alice")
    assert rdb.login("carol", TOKEN) is not None
    rdb.run(".sessiond.askagain:.z.p-1; .sessiond.tick[];")
    assert rdb.printed.count("does not say who logged in elsewhere") == 1
    daemon.answers["follow"] = lambda _: standings(standing("alice", ["reader"]))
    rdb.run(".sessiond.askagain:.z.p-1; .sessiond.tick[];")
    assert roles(rdb, "alice") == ",`reader"


def test_a_process_that_is_no_back_end_asks_for_nobody_and_ignores_what_it_is_told(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    q = estate.start("gateway", daemon.port)
    daemon.stand("alice", ["reader"])
    daemon.settle()
    assert "follow" not in daemon.names()
    assert not known(q, "alice")
    assert q.evaluate("count .sessiond.standing") == "0"


def test_only_the_daemon_is_heard(rdb: Interpreter, daemon: ScriptedDaemon) -> None:
    stranger = as_gateway(rdb)
    told = {"event": symbol("standing"), **standing("mallory", ["admin"]), "gone": boolean(False)}
    stranger.tell(call(".sessiond.upd", dictionary(told)))
    assert isinstance(stranger.ask(VOLUME), QError | type(long(3)))
    assert not known(rdb, "mallory")


@pytest.mark.parametrize(
    "amiss",
    [
        {"roles": symbol("admin")},
        {"user": string("mallory")},
        {"user": symbol("")},
        {"attributes": symbols([])},
        {"name": string("mallory")},
    ],
)
def test_what_is_not_whole_gives_nothing_and_breaks_nothing(
    rdb: Interpreter, daemon: ScriptedDaemon, amiss: dict[str, Value]
) -> None:
    told = {**standing("mallory", ["admin"]), "gone": boolean(False), **amiss}
    daemon.push("standing", None, 0, **told)
    daemon.stand("alice", ["reader"])
    daemon.settle()
    assert not known(rdb, "mallory")
    assert roles(rdb, "alice") == ",`reader"


def columns(**other: Value) -> Table:
    """Return an answer about somebody who is to be admin, but for these columns of it."""
    told = standings(standing("mallory", ["admin"], {"a": "x"}))
    both = {**dict(zip(told.columns, told.values, strict=True)), **other}
    return Table(tuple(both), tuple(both.values()))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (list_(long(1)), "not an answer"),
        (dictionary({"user": symbol("mallory")}), "not an answer"),
        (Table(("user",), (symbols(["mallory"]),)), "not an answer"),
        (columns(user=list_(string("mallory"))), "not told whole"),
        (columns(user=symbols([""])), "not told whole"),
        (columns(name=list_(long(1))), "not told whole"),
        (columns(roles=symbols(["admin"])), "not told whole"),
        (columns(attributes=list_(symbols(["a"]))), "not told whole"),
        (columns(attributes=list_(Dictionary(list_(long(1)), list_(long(1))))), "not told whole"),
    ],
)
def test_of_an_answer_what_is_not_whole_gives_nothing(
    estate: Estate, daemon: ScriptedDaemon, answer: Value, said: str
) -> None:
    daemon.answers["follow"] = lambda _: answer
    rdb = estate.start("rdb", daemon.port, BACKEND)
    assert rdb.prints(said)
    assert rdb.evaluate("count .sessiond.standing") == "0"
    assert not known(rdb, "mallory")


def test_rows_that_are_whole_count_beside_one_that_is_not(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    people = standing("mallory"), standing("alice", ["reader"], {"a": "x"})
    people[0]["roles"] = symbol("admin")
    daemon.answers["follow"] = lambda _: standings(*people)
    rdb = estate.start("rdb", daemon.port, BACKEND)
    assert rdb.prints("1 of who logged in elsewhere is not told whole")
    assert roles(rdb, "alice") == ",`reader"
    assert rdb.evaluate(".sessiond.attributeof[`alice;`a]") == ',"x"'
    assert not known(rdb, "mallory")


def test_that_somebody_left_is_believed_however_little_else_is_told(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    daemon.stand("alice", ["reader"])
    daemon.push("standing", None, 0, user=symbol("alice"), gone=boolean(True))
    daemon.settle()
    assert not known(rdb, "alice")


def test_what_listens_in_the_daemons_place_is_not_heard_and_runs_nothing_without_a_proof(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    hello = daemon.answers["hello"]

    def tells_before_it_answers(arguments: Arguments) -> Value:
        daemon.stand("mallory", ["admin"])
        daemon.send(string("{`.test.ran set 1}[]"))
        answer = hello(arguments)
        assert isinstance(answer, Dictionary)
        return dictionary({**mapping(answer), "proof": octets(bytes(20))})

    rdb = estate.start("rdb", daemon.port, BACKEND)
    daemon.answers["hello"] = tells_before_it_answers
    daemon.hang_up()
    assert rdb.prints("no proof")
    assert not known(rdb, "mallory")
    assert rdb.evaluate("@[value;`.test.ran;0]") == "0"
    assert rdb.evaluate("count .sessiond.standing") == "0"


def test_an_account_does_not_have_the_attributes_of_a_namesake_who_logged_in_elsewhere(
    rdb: Interpreter, daemon: ScriptedDaemon, gateway: Client
) -> None:
    rdb.run(
        "mine:{[x] .sessiond.attributeof[.sessiond.actor[];`user_department]};"
        ".pm.grantfunction[`mine;`reader;{1b}];"
    )
    for name in ("local1", "gateway", "alice"):
        daemon.stand(name, ["reader"], {"user_department": "rates"})
    daemon.settle()
    mine = call("mine", long(0))
    account = rdb.login("local1", "pw")
    assert account is not None
    assert account.ask(mine) == string("")
    assert gateway.ask(mine) == string("")
    assert execas(gateway, mine, "alice") == string("rates")
    assert rdb.evaluate(".sessiond.attributeof[`local1;`user_department]") == '""'


def test_without_permissions_too_an_account_has_no_attributes_of_a_namesake(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    (estate.folder / "passwords").write_text("gateway:pass\n")
    passwords = f'.sessiond.passwords:hsym`$"{estate.folder}/passwords"\n'
    rdb = estate.start("rdb", daemon.port, BACKEND + ".pm.enabled:0b\n" + passwords)
    daemon.stand("gateway", ["reader"], {"user_department": "rates"})
    daemon.stand("alice", ["reader"], {"user_department": "rates"})
    daemon.settle()
    mine = ".sessiond.attributeof[.sessiond.actor[];`user_department]"
    gateway = as_gateway(rdb)
    assert gateway.ask(string(mine)) == string("")
    assert execas(gateway, mine, "alice") == string("rates")


def test_attributes_that_are_no_text_are_none(rdb: Interpreter, daemon: ScriptedDaemon) -> None:
    told = standing("alice", ["reader"])
    told["attributes"] = dictionary({"a": long(1), "b": symbols(["x"]), "c": string("x")})
    daemon.push("standing", None, 0, **told, gone=boolean(False))
    daemon.settle()
    for name, value in {"a": '""', "b": '""', "c": ',"x"', "": '""'}.items():
        assert rdb.evaluate(f".sessiond.attributeof[`alice;`{name}]") == value
    for handle in ("0i", "0Ni", "99i"):
        assert rdb.evaluate(f".sessiond.attribute[{handle};`a]") == '""'
    for nobody in ("`", "`bob"):
        assert rdb.evaluate(f".sessiond.attributeof[{nobody};`a]") == '""'


def test_where_permissions_are_loaded_after_the_hook_a_namesake_still_is_not_the_account(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    rdb = estate.start("rdb", daemon.port, BACKEND)
    rdb.run(".pm.requ:{[u;q] value q}; .test.execas:.sessiond.forexecas {[q;u] .pm.requ[u;q]};")
    assert rdb.evaluate('.test.execas["1+1";`local1]') == "2"
    daemon.stand("local1", ["reader"])
    daemon.settle()
    rdb.run('.test.got:.[.test.execas;("1+1";`local1);{x}];')
    assert rdb.evaluate(".test.got").startswith("\"pm: this name is a person's")


def test_a_push_that_comes_while_a_login_waits_is_acted_on(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    session = uuid4()

    def connect(_: Arguments) -> Value:
        daemon.stand("alice", ["systemuser"])
        daemon.stand("bob", ["reader"])
        return accepted(session, "alice", ["reader"])

    daemon.answers["connect"] = connect
    client = rdb.login("alice", TOKEN)
    assert client is not None
    assert roles(rdb, "alice") == ",`reader"
    assert roles(rdb, "bob") == ",`reader"
    client.close()
    rdb.wait_until("0=count .sessiond.sessions")
    assert roles(rdb, "alice") == ",`systemuser"


def test_permissions_that_are_off_leave_attributes_to_filter_by(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    rdb = estate.start("rdb", daemon.port, BACKEND + ".pm.enabled:0b\n", "\\t 20")
    daemon.stand("alice", ["reader"], {"user_department": "fx"})
    daemon.settle()
    assert not known(rdb, "alice")
    own = ".sessiond.attributeof[.sessiond.actor[];`user_department]"
    asked = f'.pm.execas["(.sessiond.actor[];{own})";`alice]'
    assert rdb.evaluate(asked) == '(`alice;"fx")'


def test_the_acting_user_is_whom_the_query_runs_for_and_is_so_again_after_nested_ones_and_errors(
    rdb: Interpreter, daemon: ScriptedDaemon, gateway: Client
) -> None:
    rdb.run(
        ".test.seen:(); note:{[x] .test.seen,:.sessiond.actor[]; if[x<0; 'broken]; x};"
        "inner:{[x] note 1; r:@[.pm.execas[;`bob];(`note;x);{[e] 0}]; note 2; r};"
        ".pm.grantfunction[`note;`reader;{1b}]; .pm.grantfunction[`inner;`reader;{1b}];"
    )
    daemon.stand("alice", ["reader"])
    daemon.stand("bob", ["reader"])
    daemon.settle()
    assert execas(gateway, call("inner", long(7)), "alice") == long(7)
    assert execas(gateway, call("inner", long(-7)), "alice") == long(0)
    assert execas(gateway, call("note", long(-7)), "alice") == "broken"
    assert rdb.evaluate(".test.seen") == "`alice`bob`alice`alice`bob`alice`alice"
    assert rdb.evaluate(".sessiond.acting") == "`symbol$()"
    assert rdb.evaluate(".sessiond.actor[]~.z.u") == "1b"


def test_a_user_who_asks_himself_is_the_acting_user(
    rdb: Interpreter, daemon: ScriptedDaemon
) -> None:
    rdb.run("me:{[x] .sessiond.actor[]}; .pm.grantfunction[`me;`reader;{1b}];")
    client = rdb.login("alice", TOKEN)
    assert client is not None
    assert client.ask(call("me", long(0))) == symbol("alice")


def test_the_gateways_own_test_for_permissions_still_finds_them(rdb: Interpreter) -> None:
    assert rdb.evaluate("(`.pm.execas ~ key `.pm.execas;`.pm.requ ~ key `.pm.requ)") == "11b"


def test_an_attribute_is_read_by_the_handle_of_a_session(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    q = estate.start("gateway", daemon.port)
    daemon.answers["connect"] = lambda _: accepted(
        uuid4(), "alice", ["reader"], {"user_department": "rates", "grade": "7"}
    )
    assert q.login("alice", TOKEN) is not None
    q.wait_until("all exec open from .sessiond.sessions")
    handle = q.evaluate("first exec handle from .sessiond.sessions")
    for name, value in {"user_department": '"rates"', "grade": ',"7"', "floor": '""'}.items():
        assert q.evaluate(f".sessiond.attribute[{handle};`{name}]") == value
        assert q.evaluate(f".sessiond.attributeof[`alice;`{name}]") == value
    assert q.evaluate(".sessiond.attribute[0i;`grade]") == '""'
    assert q.evaluate(".sessiond.attributeof[`bob;`grade]") == '""'


def departments(answer: object) -> set[str]:
    assert isinstance(answer, Table), answer
    return set(texts(answer.values[answer.columns.index("dept")]))


def test_people_see_the_rows_of_their_own_department(
    estate: Estate, daemon: ScriptedDaemon
) -> None:
    rdb = estate.start(
        "rdb",
        daemon.port,
        BACKEND,
        rows_example() + "{.pm.addtogroup[x;`people]} each `carol`dave`erin;\n",
    )
    gateway = as_gateway(rdb)
    daemon.stand("carol", ["reader"], {"user_department": "rates"})
    daemon.stand("dave", ["reader"], {"user_department": "fx"})
    daemon.stand("erin", ["reader"])
    daemon.settle()
    assert departments(execas(gateway, "select from mytrades", "carol")) == {"rates"}
    assert departments(execas(gateway, "select from mytrades where size>0", "dave")) == {"fx"}
    assert departments(execas(gateway, "select from mytrades", "erin")) == set()
    assert execas(gateway, "exec count i from mytrades", "carol") == long(2)
    assert departments(execas(gateway, list_(symbol("tradesof"), string("BP")), "dave")) == {"fx"}
    assert departments(execas(gateway, list_(symbol("tradesof"), string("BP")), "carol")) == set()
    assert execas(gateway, "select from trade", "carol") == "pm: no read permission on [trade]"
    daemon.stand("carol", ["reader"], {"user_department": "fx"})
    daemon.settle()
    assert departments(execas(gateway, "select from mytrades", "carol")) == {"fx"}


def test_a_gateways_users_have_their_rights_on_an_rdb_and_an_hdb_and_none_when_they_leave(
    estate: Estate, tmp_path: Path
) -> None:
    with (
        ScriptedDaemon(tmp_path) as one,
        ScriptedDaemon(tmp_path) as two,
        ScriptedDaemon(tmp_path) as three,
    ):
        gateway = estate.start("gateway", one.port)
        rdb = estate.start("rdb", two.port, BACKEND)
        hdb = estate.start("hdb", three.port, BACKEND)
        estate.connect(gateway, rdb, hdb)
        client = gateway.login("alice", TOKEN)
        assert client is not None
        for server in (two, three):
            server.stand("alice", ["reader"])
            server.settle()
        assert client.ask(call("ask", string("volume 2"))) == list_(long(5), long(5))
        refused = client.ask(call("ask", string("select from secret")))
        assert texts_of(refused) == ["pm: no read permission on [secret]"] * 2
        three.stand("alice", gone=True)
        three.settle()
        rdbs, hdbs = parts(client.ask(call("ask", string("volume 2"))))
        assert (rdbs, text(hdbs)) == (long(5), NOBODY)


def parts(answer: object) -> tuple[Value, ...]:
    assert isinstance(answer, List), answer
    return answer.items


def texts_of(answer: object) -> list[str]:
    return [text(each) for each in parts(answer)]
