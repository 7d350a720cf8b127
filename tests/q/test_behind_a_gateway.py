"""Gateway, rdb and hdb of TorQ, the real daemon, and real tokens of a real issuer."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessiond.qipc import (
    List,
    QType,
    Table,
    Value,
    Vector,
    call,
    integers,
    long,
    string,
    text,
    texts,
)
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.q.conftest import Start, asking_daemon, keep_secrets, reaching
from tests.q.estate import BACKEND, Estate, as_user, load_asuser, rows_example
from tests.q.interpreter import Client, Interpreter
from tests.running_daemon import RunningDaemon

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("torq"), pytest.mark.needs("real")]

NOBODY = "pm: nobody of this name is logged in"
ACCESS = f"""
verify = "introspection"
client_secret_file = "{{folder}}/secret"
roles_claim = ["scope"]
[issuer.roles]
"session.login" = "reader"
"openid" = "systemuser"
"profile" = "nowhere"
[issuer.attributes]
client_id = "user_department"
[tickets]
audiences = ["rdb*"]
[[access.process]]
name = "rdb*"
type = "*"
peers = ["{os.getuid()}"]
roles = ["reader"]
estate = true
[[access.process]]
name = "hdb*"
peers = ["{os.getuid()}"]
users = ["alice@*"]
roles = ["*e*"]
estate = true
"""
OWN_ROWS = '`trade insert (`HSBC;`$"qstudio-opaque";50);\n'
PEOPLE = f'{{.pm.addtogroup[x;`people]}} each `$("{ALICE}";"{BOB}");\n'


@dataclass(frozen=True)
class Running:
    """Three processes, connected to each other as TorQ does it, and to one daemon."""

    gateway: Interpreter
    rdb: Interpreter
    hdb: Interpreter


@pytest.fixture
def folder(folder: Path) -> Path:
    """The same with the files that the daemon reads."""
    keep_secrets(folder)
    return folder


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, folder: Path) -> Iterator[RunningDaemon]:
    """A daemon with ceilings."""
    with asking_daemon(strict_issuer, folder, ACCESS) as running:
        yield running


@pytest.fixture
def running(start_q: Start, unix_shim: str, daemon: RunningDaemon, tmp_path: Path) -> Running:
    """The processes, each ready."""
    estate, environment = Estate(start_q, tmp_path), reaching(daemon, unix_shim)
    behind = rows_example() + OWN_ROWS + PEOPLE
    gateway = estate.start("gateway", daemon.port, environment=environment)
    rdb = estate.start("rdb", daemon.port, BACKEND, behind, environment=environment)
    hdb = estate.start("hdb", daemon.port, BACKEND, behind, environment=environment)
    estate.connect(gateway, rdb, hdb)
    return Running(gateway, rdb, hdb)


def entered(q: Interpreter, issuer: RunningIssuer, user: str) -> Client:
    token: str = issuer.tokens(user, client="qstudio-opaque")["access_token"]
    client = q.login(user, "bearer:" + token)
    q.evaluate("1b")  # by now its log is here
    assert client is not None, q.said
    return client


def asked(client: Client, query: str) -> tuple[object, ...]:
    """Return what the rdb and the hdb answer to a user who asks the gateway; errors as texts."""
    answer = client.ask(call("ask", string(query)))
    assert isinstance(answer, List | Vector), answer
    if isinstance(answer, Vector):
        return tuple(map(long, integers(answer)))
    return tuple(text(each) if is_text(each) else each for each in answer.items)


def is_text(value: Value) -> bool:
    return isinstance(value, Vector) and value.type is QType.CHAR


def roles(q: Interpreter, user: str) -> str:
    return q.evaluate(f'asc exec role from .pm.userrole where user=`$"{user}"')


def test_a_user_at_the_gateway_has_the_rights_of_his_roles_behind_it_and_none_when_he_leaves(
    running: Running, strict_issuer: RunningIssuer
) -> None:
    alice = entered(running.gateway, strict_issuer, ALICE)
    assert asked(alice, "volume 40") == (long(50), long(50))
    assert asked(alice, "select from secret") == ("pm: no read permission on [secret]",) * 2
    assert roles(running.gateway, ALICE) == "`reader`systemuser"
    assert roles(running.rdb, ALICE) == ",`reader"
    assert roles(running.hdb, ALICE) == "`reader`systemuser"
    alice.close()
    for q in (running.rdb, running.hdb):
        q.wait_until("0=count .sessiond.standing")
        assert q.evaluate(f'(`$"{ALICE}") in exec id from .pm.user') == "0b"
        assert roles(q, ALICE) == "`symbol$()"


def test_whom_a_ceiling_keeps_out_has_no_rights_behind_it(
    running: Running, strict_issuer: RunningIssuer
) -> None:
    bob = entered(running.gateway, strict_issuer, BOB)
    assert asked(bob, "volume 40") == (long(50), NOBODY)


def test_rows_are_those_of_the_users_department_wherever_they_are(
    running: Running, strict_issuer: RunningIssuer
) -> None:
    alice = entered(running.gateway, strict_issuer, ALICE)
    for answer in asked(alice, "select from mytrades"):
        assert isinstance(answer, Table)
        assert texts(answer.values[answer.columns.index("sym")]) == ["HSBC"]
    handle = running.gateway.evaluate("first exec handle from .sessiond.sessions")
    attribute = f".sessiond.attribute[{handle};`user_department]"
    assert running.gateway.evaluate(attribute) == '"qstudio-opaque"'


def test_when_the_issuer_ends_a_grant_the_rights_behind_the_gateway_end(
    running: Running, strict_issuer: RunningIssuer
) -> None:
    alice = entered(running.gateway, strict_issuer, ALICE)
    entered(running.gateway, strict_issuer, BOB)
    strict_issuer.control.revoke_user(ALICE)
    assert alice.is_closed()
    running.rdb.wait_until(f'(enlist `$"{BOB}")~exec user from .sessiond.standing')
    assert roles(running.rdb, ALICE) == "`symbol$()"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_of_the_daemon_takes_no_rights_of_who_stayed_and_those_of_who_left(
    running: Running, strict_issuer: RunningIssuer, daemon: RunningDaemon, how: str
) -> None:
    alice = entered(running.gateway, strict_issuer, ALICE)
    bob = entered(running.gateway, strict_issuer, BOB)
    running.gateway.run(".sessiond.ask(`sessions;::)")  # by its answer both openings are recorded
    getattr(daemon, how)()
    for q in (running.gateway, running.rdb, running.hdb):
        q.wait_until("not .sessiond.ready[]")
    assert asked(alice, "volume 40") == (long(50), long(50))
    bob.close()
    running.gateway.wait_until("1=count .sessiond.sessions")
    daemon.start()
    running.rdb.wait_until(".sessiond.ready[]")
    running.rdb.wait_until(f'(enlist `$"{ALICE}")~exec user from .sessiond.standing')
    assert roles(running.rdb, BOB) == "`symbol$()"
    running.hdb.wait_until(".sessiond.ready[]")
    assert asked(alice, "volume 40") == (long(50), long(50))


def test_a_gateway_can_ask_as_the_user_who_then_has_a_session_there_beside(
    running: Running, strict_issuer: RunningIssuer
) -> None:
    load_asuser(running.gateway, running.rdb)
    alice = entered(running.gateway, strict_issuer, ALICE)
    running.gateway.run(".sessiond.ask(`sessions;::);")  # by its answer the opening is recorded
    assert as_user(alice, "volume 40") == long(50)
    assert as_user(alice, "select from secret") == "pm: no read permission on [secret]"
    assert running.rdb.evaluate("string exec user from .sessiond.sessions") == f',"{ALICE}"'
    assert asked(alice, "volume 40") == (long(50), long(50))
    assert roles(running.rdb, ALICE) == ",`reader"
    alice.close()
    running.rdb.wait_until("0=count .sessiond.sessions")
    running.rdb.wait_until("0=count .sessiond.standing")
    assert roles(running.rdb, ALICE) == "`symbol$()"
