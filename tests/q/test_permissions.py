"""TorQ's permissions: what the hook gives a user of a token there, and takes back."""

from pathlib import Path
from uuid import uuid4

import pytest

from sessiond.qipc import QError, call, guid_of, list_, long, string, symbol, symbols, text
from tests.q.conftest import Start
from tests.q.interpreter import Client, Interpreter
from tests.q.scripted import ScriptedDaemon, accepted

pytestmark = pytest.mark.needs("q")

TOKEN = "bearer:an-opaque-access-token"
HERE = Path(__file__).parent
TORQ = f"\\l {HERE / 'torq_calls.q'}\n\\l {HERE / 'torq_stand_in.q'}\n"
PEOPLE = """
.pm.addrole[`reader;"reads"]
.pm.addrole[`trader;"trades"]
.pm.addrole[`analyst;"looks"]
.pm.addgroup[`desk;"a group"]
.pm.addgroup[`reader;"a group of the same name"]
.pm.adduser[`local1;`local;`md5;md5 "pw"]
.pm.adduser[`ready;`sessiond;`;""]
.pm.assignrole[`ready;`analyst]
.pm.assignrole[`carol;`analyst]
"""


def torq(start_q: Start, daemon: ScriptedDaemon, more: str = "") -> Interpreter:
    q = start_q(TORQ + PEOPLE + more, port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    return q


@pytest.fixture
def q(start_q: Start, daemon: ScriptedDaemon) -> Interpreter:
    return torq(start_q, daemon)


def entered(q: Interpreter, user: str) -> Client:
    client = q.login(user, TOKEN)
    assert client is not None
    return client


def gives(daemon: ScriptedDaemon, *roles: str) -> None:
    """Let the next tokens carry these roles."""
    daemon.answers["connect"] = lambda arguments: accepted(
        daemon.sessions.setdefault(str(len(daemon.sessions)), uuid4()), user_of(arguments), roles
    )


def user_of(arguments: object) -> str:
    from sessiond.qipc import mapping

    assert isinstance(arguments, tuple)
    return text(mapping(arguments[0])["user"])


def roles(q: Interpreter, user: str) -> str:
    return q.evaluate(f"asc exec role from .pm.userrole where user=`{user}")


def known(q: Interpreter, user: str) -> bool:
    return q.evaluate(f"`{user} in exec id from .pm.user") == "1b"


def test_a_token_login_makes_a_row_and_gives_roles_and_the_last_handle_takes_them_back(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    gives(daemon, "reader")
    first = entered(q, "alice")
    second = entered(q, "alice")
    assert roles(q, "alice") == ",`reader"
    assert first.ask(call("count", symbols(["a"]))) == long(1)
    first.close()
    q.wait_until("1=count .sessiond.sessions")
    assert known(q, "alice")
    assert roles(q, "alice") == ",`reader"
    second.close()
    q.wait_until("0=count .sessiond.sessions")
    assert not known(q, "alice")
    assert roles(q, "alice") == "`symbol$()"


def test_rights_are_those_of_the_newest_token(q: Interpreter, daemon: ScriptedDaemon) -> None:
    gives(daemon, "reader")
    old = entered(q, "alice")
    gives(daemon, "trader", "analyst")
    new = entered(q, "alice")
    assert roles(q, "alice") == "`analyst`trader"
    daemon.push(
        "roles",
        daemon.sessions["0"],
        int(q.evaluate("exec min handle from .sessiond.sessions")[:-1]),
        roles=symbols(["reader", "trader"]),
    )
    daemon.settle()
    assert roles(q, "alice") == "`analyst`trader"
    new.close()
    q.wait_until("1=count .sessiond.sessions")
    assert roles(q, "alice") == "`reader`trader"
    old.close()


def test_a_push_of_roles_changes_them_at_once(q: Interpreter, daemon: ScriptedDaemon) -> None:
    gives(daemon, "reader")
    client = entered(q, "alice")
    handle = int(q.evaluate("first exec handle from .sessiond.sessions")[:-1])
    daemon.push("roles", daemon.sessions["0"], handle, roles=symbols(["trader"]))
    daemon.settle()
    assert roles(q, "alice") == ",`trader"
    daemon.push("roles", daemon.sessions["0"], handle, roles=symbols([]))
    daemon.settle()
    assert roles(q, "alice") == "`symbol$()"
    answer = client.ask(call("count", symbols(["a"])))
    assert isinstance(answer, QError)


def test_a_name_with_another_authtype_is_never_touched_and_cannot_log_in_by_token(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    before = q.evaluate("(.pm.user;.pm.userrole)")
    assert q.login("local1", TOKEN) is None
    assert q.evaluate("(.pm.user;.pm.userrole)") == before
    assert "connect" not in daemon.names()
    assert q.login("local1", "pw") is not None
    assert q.login("local1", "wrong") is None


def test_a_name_of_a_group_cannot_log_in_by_token(q: Interpreter, daemon: ScriptedDaemon) -> None:
    assert q.login("desk", TOKEN) is None
    assert not known(q, "desk")


def test_a_name_that_another_authtype_takes_meanwhile_is_left_alone(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    gives(daemon, "reader")
    client = entered(q, "alice")
    q.run('.pm.adduser[`alice;`local;`md5;md5 "pw"]')
    client.close()
    q.wait_until("0=count .sessiond.sessions")
    assert known(q, "alice")
    assert roles(q, "alice") == "`symbol$()"


def test_what_the_administrator_gave_stays(q: Interpreter, daemon: ScriptedDaemon) -> None:
    gives(daemon, "reader", "analyst")
    ready, carol = entered(q, "ready"), entered(q, "carol")
    assert roles(q, "ready") == "`analyst`reader"
    ready.close()
    carol.close()
    q.wait_until("0=count .sessiond.sessions")
    assert known(q, "ready")
    assert not known(q, "carol")
    assert roles(q, "ready") == ",`analyst"
    assert roles(q, "carol") == ",`analyst"


def test_a_role_that_torq_does_not_know_is_left_out_and_logged(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    gives(daemon, "reader", "superuser")
    entered(q, "alice")
    assert roles(q, "alice") == ",`reader"
    assert q.prints("superuser was not given: pm: no such role")


def test_roles_can_be_groups(start_q: Start, daemon: ScriptedDaemon) -> None:
    q = torq(start_q, daemon, ".sessiond.assign:`group")
    gives(daemon, "desk")
    client = entered(q, "alice")
    assert q.evaluate("exec groupname from .pm.usergroup where user=`alice") == ",`desk"
    client.close()
    q.wait_until("0=count .sessiond.sessions")
    assert q.evaluate("count .pm.usergroup") == "0"


def test_a_plain_password_of_a_token_user_is_refused(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    gives(daemon, "reader")
    entered(q, "alice")
    for password in ("", "pw", "hunter2"):
        assert q.login("alice", password) is None
        assert q.login("ready", password) is None


def test_torqs_own_login_takes_a_token_by_the_authtype_sessiond(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    assert q.evaluate(f'.pm.login[`ready;"{TOKEN}"]') == "1b"
    assert q.evaluate('.pm.login[`ready;"hunter2"]') == "0b"
    daemon.answers["connect"] = lambda _: symbol("no")
    assert q.evaluate(f'.pm.login[`ready;"{TOKEN}"]') == "0b"


def test_pushes_pass_torqs_permissions_though_they_have_no_user(
    q: Interpreter, daemon: ScriptedDaemon
) -> None:
    gives(daemon, "reader")
    client = entered(q, "alice")
    handle = int(q.evaluate("first exec handle from .sessiond.sessions")[:-1])
    daemon.push("revoked", daemon.sessions["0"], handle)
    assert client.is_closed()
    assert not known(q, "alice")


@pytest.mark.parametrize("more", ["", ".zpsignore.enabled:0b\n.z.ps:.usage.log[.pm.req]\n"])
def test_a_renewal_is_not_in_the_usage_log_and_needs_no_right(
    start_q: Start, daemon: ScriptedDaemon, more: str
) -> None:
    q = torq(start_q, daemon, more)
    gives(daemon, "nothing")
    client = entered(q, "alice")
    client.tell(call(".sessiond.renew", string("bearer:a-newer-access-token")))
    session, _ = daemon.next_call("renew")
    handle = int(q.evaluate("first exec handle from .sessiond.sessions").strip("i"))
    daemon.push("renewed", guid_of(session), handle, reason=symbol("expired"))
    daemon.settle()
    client.tell(list_(string(".sessiond.renew"), string("bearer:a-newer-access-token")))
    daemon.next_call("renew")
    assert "newer" not in q.printed


def test_the_hook_logs_as_torq_does(q: Interpreter) -> None:
    assert q.prints("INF|sessiond|connected to scripted")


def test_torqs_timer_is_used_where_it_is_on(start_q: Start, daemon: ScriptedDaemon) -> None:
    timer = ".timer.enabled:1b\n.timer.repeat:{[s;e;p;f;d] .timers,:enlist f;}\n.timers:()\n"
    q = torq(start_q, daemon, timer)
    assert q.evaluate(".timers") == ",(`.sessiond.tick;::)"
    assert q.evaluate("@[value;`.z.ts;{`none}]") == "`none"


def test_with_permissions_off_nothing_of_them_is_touched(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    q = torq(start_q, daemon, ".pm.enabled:0b\n.z.pg:value\n.z.pw:{[u;p]1b}")
    gives(daemon, "reader")
    entered(q, "alice")
    assert not known(q, "alice")
    assert q.login("local1", "anything") is None
    entered(q, "local1")


def test_the_usage_logs_wrapper_around_an_accept_all_check_does_not_count(
    start_q: Start, daemon: ScriptedDaemon
) -> None:
    usage = '.usage.p0:{[name;f;u;p] -1 "USAGE|",string[u],"|***"; f[u;p]}\n'
    q = torq(start_q, daemon, usage + ".pm.enabled:0b\n.z.pw:.usage.p0[`pw;{[x;y]1b};;]")
    assert q.evaluate(".sessiond.checks") == "0b"
    assert q.login("bob", "anything") is None
