"""A gateway of TorQ that asks an rdb as the person whose query it is: the example asuser.q."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessiond.qipc import (
    Dictionary,
    QError,
    Table,
    Value,
    boolean,
    call,
    dictionary,
    long,
    mapping,
    string,
    symbol,
    text,
    timestamp,
)
from tests.q.conftest import Start
from tests.q.estate import BACKEND, Estate, as_gateway, as_user, execas, load_asuser
from tests.q.interpreter import Client, Interpreter
from tests.q.scripted import EXPIRES, Answer, Arguments, ScriptedDaemon, accepted

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("torq")]

TOKEN = "bearer:an-opaque-access-token"
TICKET = "ticket:eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"
ME = "me:{[x] .sessiond.who[.z.w],`u`actor!(.z.u;.sessiond.actor[])}\n"


@dataclass(frozen=True)
class Pair:
    """A gateway with the example and an rdb, each with a daemon that is told what to say."""

    gateway: Interpreter
    rdb: Interpreter
    daemon: ScriptedDaemon
    behind: ScriptedDaemon

    def user(self, name: str) -> Client:
        """Return somebody who is logged in at the gateway."""
        client = self.gateway.login(name, TOKEN)
        assert client is not None, self.gateway.said
        self.gateway.wait_until("all exec open from .sessiond.sessions")
        return client


def given(_: Arguments) -> Dictionary:
    return dictionary(
        {
            "ok": boolean(True),
            "ticket": string(TICKET),
            "expires": timestamp(EXPIRES),
            "reason": symbol(""),
        }
    )


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    """The rdb's daemon: here each process has one of its own."""
    with ScriptedDaemon(tmp_path) as scripted:
        yield scripted


@pytest.fixture
def pair(start_q: Start, tmp_path: Path, daemon: ScriptedDaemon, behind: ScriptedDaemon) -> Pair:
    daemon.answers["ticket"] = given
    estate = Estate(start_q, tmp_path)
    rdb = estate.start("rdb", behind.port, BACKEND, ME)
    gateway = estate.start("gateway", daemon.port)
    estate.connect(gateway, rdb)
    load_asuser(gateway, rdb)
    return Pair(gateway, rdb, daemon, behind)


def test_the_rdb_judges_the_person_himself(pair: Pair) -> None:
    alice = pair.user("alice")
    assert as_user(alice, "select from secret") == "pm: no read permission on [secret]"
    assert isinstance(as_user(alice, "select from trade"), Table)
    assert as_user(alice, "volume 3") == long(3)
    (asked,) = pair.daemon.next_call("ticket")
    assert text(mapping(asked)["audience"]) == "rdb1"
    (sent,) = pair.behind.next_call("connect")
    assert text(mapping(sent)["password"]) == TICKET
    assert pair.rdb.evaluate("exec user from .sessiond.sessions") == ",`alice"
    assert pair.daemon.names().count("ticket") == 0  # one handle for all that he asks


def test_each_person_has_a_handle_of_his_own(pair: Pair) -> None:
    pair.behind.answers["connect"] = each_his_own_roles(pair.behind)
    alice, bob = pair.user("alice"), pair.user("bob")
    assert as_user(alice, "volume 3") == long(3)
    pair.rdb.wait_until("all exec open from .sessiond.sessions")
    assert as_user(bob, "volume 3") == "pm: user role does not permit running function [volume]"
    assert pair.gateway.evaluate("count .asuser.handles") == "2"
    assert pair.rdb.evaluate("asc exec user from .sessiond.sessions") == "`alice`bob"


def each_his_own_roles(daemon: ScriptedDaemon) -> Answer:
    usual = daemon.answers["connect"]

    def answer(arguments: Arguments) -> Value | QError:
        user = text(mapping(arguments[0])["user"])
        usual(arguments)
        return accepted(daemon.sessions[user], user, ["reader"] if user == "alice" else [])

    return answer


def test_who_came_by_password_is_nobody_there(pair: Pair) -> None:
    pair.gateway.run(".pm.assignrole[`local1;`reader];")
    local = pair.gateway.login("local1", "pw")
    assert local is not None
    assert as_user(local, "volume 3") == "asuser: come with a token: there is nobody to be there"


def test_when_a_person_leaves_his_handles_are_closed(pair: Pair) -> None:
    alice = pair.user("alice")
    as_user(alice, "volume 3")
    alice.close()
    pair.gateway.wait_until("0=count .asuser.handles")
    pair.rdb.wait_until("0=count .sessiond.sessions")
    pair.behind.next_call("disconnect")


@pytest.mark.parametrize("is_told", [True, False])
def test_when_his_session_there_ends_the_next_query_opens_another(
    pair: Pair, is_told: bool
) -> None:
    alice = pair.user("alice")
    as_user(alice, "volume 3")
    pair.rdb.wait_until("all exec open from .sessiond.sessions")
    handle = int(pair.rdb.evaluate("exec first handle from .sessiond.sessions").strip("i"))
    pair.behind.push("revoked", pair.behind.sessions["alice"], handle, reason=symbol("parent"))
    pair.gateway.run("w:exec first handle from .asuser.handles;")
    pair.gateway.wait_until("not w in key .z.W")
    if is_told:
        pair.gateway.run("@[.z.pc;`int$w;::];")  # kdb+ calls it; the interpreter only for clients
        assert pair.gateway.evaluate("count .asuser.handles") == "0"
    assert pair.gateway.evaluate("count .sessiond.sessions") == "1"
    assert as_user(alice, "volume 3") == long(3)
    assert pair.gateway.evaluate("count .asuser.handles") == "1"


def test_beside_what_the_gateway_says_for_him_rights_are_those_of_his_own_session(
    pair: Pair,
) -> None:
    pair.behind.stand("alice", ["admin"])
    pair.behind.settle()
    roles = "asc exec role from .pm.userrole where user=`alice"
    assert pair.rdb.evaluate(roles) == ",`admin"
    alice = pair.user("alice")
    assert as_user(alice, "volume 3") == long(3)
    assert pair.rdb.evaluate(roles) == ",`reader"
    assert pair.rdb.evaluate(".sessiond.attributeof[`alice;`x]") == '""'
    alice.close()
    pair.rdb.wait_until("0=count .sessiond.sessions")
    assert pair.rdb.evaluate(roles) == ",`admin"
    pair.behind.stand("alice", gone=True)
    pair.behind.settle()
    assert pair.rdb.evaluate(roles) == "`symbol$()"
    assert execas(as_gateway(pair.rdb), call("volume", long(3)), "alice") == (
        "pm: nobody of this name is logged in"
    )


def test_no_ticket_is_in_torqs_logs(pair: Pair, tmp_path: Path) -> None:
    alice = pair.user("alice")
    as_user(alice, "volume 3")
    pair.gateway.run(".pm.grantfunction[`.sessiond.ticket;`reader;{1b}];")
    handle = pair.gateway.evaluate("first exec handle from .sessiond.sessions")
    asked = alice.ask(call(".sessiond.ticket", long(int(handle.strip("i"))), string("rdb1")))
    assert asked == string(TICKET)
    pair.gateway.run(".sessiond.dial:{[a;t] 'a};")
    pair.gateway.run("delete from `.asuser.handles;")
    failed = as_user(alice, "volume 3")
    assert isinstance(failed, str)
    assert failed.endswith("is not shown")
    for q, name in ((pair.gateway, "gateway"), (pair.rdb, "rdb")):
        (log,) = (tmp_path / name / "logs").iterdir()
        written = log.read_text() + q.evaluate(".usage.usage`cmd") + q.said
        assert "volume" in written
        assert "c2lnbmF0dXJl" not in written
