"""People who come over HTTP, under TorQ's permissions, access lists and logs."""

from pathlib import Path
from uuid import uuid4

import pytest

from sessiond.qipc import guid, symbols
from tests.q import torq
from tests.q.conftest import Start
from tests.q.interpreter import Interpreter
from tests.q.people import People
from tests.q.scripted import ScriptedDaemon, accepted
from tests.q.test_permissions import PEOPLE, TORQ, known, roles
from tests.q.test_torq import ACCESS, FILES, LISTS, Torq, torq_q

pytestmark = pytest.mark.needs("q")
__all__ = ["torq_q"]

HOST = "Host: q.example:5007"
BEARER = "Authorization: Bearer an-opaque-access-token"
TOKEN = "an-opaque-access-token"
COOKIE = "Cookie: theme=dark; __Host-sessiond-5007=her-secret-cookie"
WEB = ".sessiond.web:1b\n"


@pytest.fixture
def people(daemon: ScriptedDaemon) -> People:
    return People(daemon)


@pytest.fixture
def q(start_q: Start, daemon: ScriptedDaemon) -> Interpreter:
    q = start_q(TORQ + PEOPLE + WEB + ".z.ws:{[x]}\n", port=daemon.port)
    q.wait_until(".sessiond.ready[]")
    return q


def test_a_web_user_has_his_roles_while_his_session_lives(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session = people.know(TOKEN, "alice", ("reader",))
    q.get("/", HOST, BEARER)
    assert roles(q, "alice") == ",`reader"
    q.run("delete from `.sessiond.kept;")  # a verdict that is not kept any more ends nothing
    q.run(".sessiond.beat[];")
    assert roles(q, "alice") == ",`reader"
    daemon.push("roles", session, 0, roles=symbols(["trader"]))
    daemon.settle()
    assert roles(q, "alice") == ",`trader"
    daemon.push("revoked", session, 0)
    daemon.settle()
    assert not known(q, "alice")
    assert roles(q, "alice") == "`symbol$()"


def test_rights_are_those_of_the_newest_login_whichever_way_it_came(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    people.know(TOKEN, "alice", ("reader",))
    daemon.answers["connect"] = lambda _: accepted(uuid4(), "alice", ["trader"])
    q.get("/", HOST, BEARER)
    client = q.login("alice", "bearer:another")
    assert client is not None
    assert roles(q, "alice") == ",`trader"
    q.run("delete from `.sessiond.kept;")
    q.get("/", HOST, BEARER)  # a verdict that is asked for again is no new login
    assert roles(q, "alice") == ",`trader"
    client.close()
    q.wait_until("1=count .sessiond.sessions")
    assert roles(q, "alice") == ",`reader"


def test_a_websocket_keeps_its_users_roles_as_long_as_it_is_open(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    session, child = people.know(TOKEN, "alice", ("reader",)), uuid4()
    people.children[session] = guid(child)
    client = q.socket(HOST, BEARER)
    assert client is not None
    q.wait_until("2=count .sessiond.sessions")
    daemon.push("revoked", session, 0)
    daemon.settle()
    assert roles(q, "alice") == ",`reader"
    client.close()
    q.wait_until("0=count .sessiond.sessions")
    assert not known(q, "alice")


def test_a_name_that_permissions_know_otherwise_is_not_let_in_nor_touched(
    q: Interpreter, people: People
) -> None:
    before = q.evaluate("(.pm.user;.pm.userrole)")
    for number, name in enumerate(("local1", "desk")):
        people.know(f"token{number}", name, ("reader",))
        answer = q.get("/", HOST, f"Authorization: Bearer token{number}")
        assert answer.startswith("HTTP/1.1 403 Forbidden\r\n")
    assert q.evaluate("(.pm.user;.pm.userrole)") == before
    assert q.evaluate("count each (.sessiond.sessions;.sessiond.kept)") == "0 0"
    assert q.prints("HTTP request of local1 refused: .pm has the name with another authtype")


def test_a_session_that_becomes_another_name_leaves_nothing_to_the_first(
    q: Interpreter, people: People
) -> None:
    people.know(TOKEN, "alice", ("reader",))
    q.get("/", HOST, BEARER)
    people.sessions["alicia"] = people.sessions["alice"]
    people.know(TOKEN, "alicia", ("reader",))
    q.run("delete from `.sessiond.kept;")
    q.get("/", HOST, BEARER)
    assert roles(q, "alicia") == ",`reader"
    assert not known(q, "alice")
    assert roles(q, "alice") == "`symbol$()"


def test_after_the_daemon_was_away_rights_come_back_with_the_next_request(
    q: Interpreter, daemon: ScriptedDaemon, people: People
) -> None:
    people.know(TOKEN, "alice", ("reader",))
    q.get("/", HOST, BEARER)
    daemon.hang_up()
    q.wait_until("(.sessiond.ready[]) and 0=count .sessiond.webs")
    assert not known(q, "alice")
    q.get("/", HOST, BEARER)
    assert roles(q, "alice") == ",`reader"


# ---- TorQ's own files ----


@pytest.mark.needs("torq")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_no_bearer_and_no_cookie_of_ours_reaches_torqs_usage_log(
    torq_q: Torq, people: People, method: str, level: int
) -> None:
    own = ".z.pp:{[x] 'broken}\n" + WEB
    q = torq_q.start(own + f".usage.LEVEL:{level}\n")
    people.know(TOKEN, "alice")
    people.know(COOKIE.partition(": ")[2], "alice")
    for header in (BEARER, COOKIE):
        for written_as in (header, header[0].lower() + header[1:]):
            q.get("/?1%2B1", HOST, written_as, method=method)
    written = torq_q.usage(q) + q.printed
    for secret in ("her-secret", TOKEN):
        assert secret not in written
    if level > 1 or method == "POST":
        assert "theme=dark" in written
        assert "***" in written


@pytest.mark.needs("torq")
def test_torqs_access_lists_hold_for_each_request(
    torq_q: Torq, people: People, tmp_path: Path
) -> None:
    (tmp_path / "permissions").mkdir()
    for name, text in FILES.items():
        (tmp_path / "permissions" / f"default_{name}.csv").write_text(text)
    q = torq_q.start(ACCESS + ".access.openonly:1b\n" + WEB, LISTS)
    people.know(TOKEN, "alice")
    people.know("bobs", "bob")
    assert "200 OK" in q.get("/", HOST, BEARER)
    assert "You may not come in" in q.get("/", HOST, "Authorization: Bearer bobs")
    q.run('.access.HOSTPATTERNS:enlist "elsewhere";')
    assert "You may not come in" in q.get("/", HOST, BEARER)  # though the verdict is kept
    assert people.asked == 2


@pytest.mark.needs("torq")
def test_over_torqs_own_permissions_a_web_user_has_a_row_and_roles(
    torq_q: Torq, daemon: ScriptedDaemon, people: People
) -> None:
    q = torq_q.start(".pm.enabled:1b\n" + WEB, '.pm.addrole[`reader;"reads"]\n')
    session = people.know(TOKEN, "alice", ("reader", "unknown"))
    q.get("/", HOST, BEARER)
    assert q.evaluate(".pm.user[`alice;`authtype]") == "`sessiond"
    assert roles(q, "alice") == ",`reader"
    daemon.push("expired", session, 0)
    daemon.settle()
    assert not known(q, "alice")
    assert torq.HANDLERS  # its files, not stand-ins
