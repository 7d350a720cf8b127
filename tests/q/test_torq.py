"""The hook over TorQ's own handlers: who is let in, and what its logs hold."""

import base64
import csv
from pathlib import Path

import pytest

from sessiond.qipc import call, long, string, symbols
from tests.needs import torq_checkout
from tests.q import torq
from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Client, Interpreter
from tests.q.scripted import ScriptedDaemon

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("torq")]

TOKEN = "bearer:an-opaque-access-token"
HIDDEN = ["an-opaque-access-token", base64.b64encode(f"alice:{TOKEN}".encode()).decode()]


class Torq:
    """q processes with TorQ's handlers and the hook."""

    def __init__(self, start_q: Start, daemon: ScriptedDaemon, folder: Path) -> None:
        self._start_q = start_q
        self._daemon = daemon
        self._folder = folder

    def start(self, settings: str = "", after: str = "") -> Interpreter:
        checkout = torq_checkout()
        assert checkout is not None
        q = self._start_q(
            torq.script(checkout, self._folder, settings) + after,
            port=self._daemon.port,
            environment=torq.environment(self._folder),
        )
        assert q.evaluate("@[value;`.test.torq;0b]") == "1b", q.printed
        q.wait_until(".sessiond.ready[]")
        return q

    def usage(self, q: Interpreter) -> str:
        """Return TorQ's usage log, the file and the table."""
        (file,) = (self._folder / "logs").iterdir()
        return file.read_text() + "\n" + q.evaluate(".usage.usage`cmd")


@pytest.fixture
def torq_q(start_q: Start, daemon: ScriptedDaemon, tmp_path: Path) -> Torq:
    return Torq(start_q, daemon, tmp_path)


def entered(q: Interpreter, user: str) -> Client:
    client = q.login(user, TOKEN)
    assert client is not None
    q.wait_until("all exec open from .sessiond.sessions")
    return client


def test_all_of_torqs_handlers_load_and_the_hook_takes_over_from_them(torq_q: Torq) -> None:
    q = torq_q.start()
    for enabled in (".usage.enabled", ".zpsignore.enabled", ".clients.enabled", ".timer.enabled"):
        assert q.evaluate(enabled) == "1b"
    assert q.evaluate(".sessiond.checks") == "0b"
    assert q.login("bob", "anything") is None
    entered(q, "alice")
    assert "ERR|" not in q.printed


@pytest.mark.parametrize("request_line", ["GET /?1%2B1", "POST /"])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_no_token_of_an_http_login_reaches_torqs_usage_log(
    torq_q: Torq, request_line: str, level: int
) -> None:
    own = ".z.pp:{[x] .test.given,:enlist x; 'broken}\n.test.given:()\n"
    q = torq_q.start(own + f".usage.LEVEL:{level}\n")
    q.http(request_line, "alice", TOKEN, body="a=1" if "POST" in request_line else "")
    written = torq_q.usage(q)
    assert [hidden for hidden in HIDDEN if hidden in written or hidden in q.printed] == []
    if level > 1 or request_line.startswith("POST"):
        assert "***" in written
        assert "kept" in written


@pytest.mark.parametrize("name", ["`Authorization", "`authorization", '`$"Proxy-Authorization"'])
def test_a_header_is_hidden_however_it_is_written_and_the_rest_is_as_it_was(
    torq_q: Torq, name: str
) -> None:
    q = torq_q.start()
    asked = f'("?1+1";({name};`Host;`odd)!("Basic xyz";"h";1 2))'
    assert q.evaluate(f".sessiond.masked {asked}") == q.evaluate(asked.replace("Basic xyz", "***"))
    assert q.evaluate('.sessiond.masked ("?1+1";(0#`)!())') == q.evaluate('("?1+1";(0#`)!())')
    assert q.evaluate('.sessiond.masked "?1+1"') == '"?1+1"'


def test_torqs_timer_runs_the_hook_and_its_usage_log_holds_nothing_of_it(torq_q: Torq) -> None:
    timers = "\\t 20\n.sessiond.retry:0D00:00:00.02\n"
    q = torq_q.start(timers, ".test.ticks:0\n.test.ran:{[x] .test.ticks:1+.test.ticks;}\n")
    assert q.evaluate(".timer.logcall") == "1b"
    q.run('.timer.repeat[.proc.cp[];0Wp;0D00:00:00.02;(`.test.ran;1);"seen"];')
    q.run(".test.beats:0; .sessiond.beat:{[f;x] .test.beats:1+.test.beats; f x}[.sessiond.beat];")
    q.wait_until("(2<.test.ticks) and 2<.test.beats")
    written = torq_q.usage(q)
    assert ".test.ran" in written  # what the log does hold, so that we look in the right place
    assert "sessiond.tick" not in written
    assert "ERR|timer" not in q.printed


def test_the_timers_function_is_not_opened_to_strangers(torq_q: Torq) -> None:
    q = torq_q.start()
    assert q.evaluate('any ".sessiond.tick"~/:string .zpsignore.ignorelist') == "0b"
    assert q.evaluate("`.sessiond.tick in .usage.ignorelist") == "1b"


def test_the_k4unit_file_for_torq_passes_over_torqs_own_files(torq_q: Torq) -> None:
    q = torq_q.start()
    with (HOOK / "tests" / "torq.csv").open(newline="") as table:
        lines = [line["code"] for line in csv.DictReader(table) if line["action"] == "true"]
    assert len(lines) > 5
    for code in lines:
        assert q.evaluate(code) == "1b", code


def test_a_renewal_is_not_in_torqs_usage_log(torq_q: Torq, daemon: ScriptedDaemon) -> None:
    q = torq_q.start()
    client = entered(q, "alice")
    client.tell(call(".sessiond.renew", string("bearer:a-newer-access-token")))
    daemon.next_call("renew")
    assert client.ask(call("count", symbols(["a"]))) == long(1)
    written = torq_q.usage(q)
    assert "`count" in written
    assert "newer" not in written
    assert "newer" not in q.printed


def test_a_revoked_user_is_gone_from_torqs_clients_too(
    torq_q: Torq, daemon: ScriptedDaemon
) -> None:
    q = torq_q.start()
    client = entered(q, "alice")
    assert q.evaluate("exec u from .clients.clients where not null w") == ",`alice"
    handle = int(q.evaluate("first exec handle from .sessiond.sessions").strip("i"))
    daemon.push("revoked", daemon.sessions["alice"], handle)
    assert client.is_closed()
    daemon.settle()
    assert q.evaluate("exec u from .clients.clients where not null w") == "`symbol$()"


PERMISSIONS = ".pm.enabled:1b\n"
PEOPLE = """
.pm.addrole[`reader;"reads"]
same:{[x] x}
.pm.grantfunction[`same;`reader;{1b}]
.pm.adduser[`local1;`local;`md5;md5 "pw"]
"""


def test_with_torqs_permissions_a_token_gets_its_row_and_others_log_in_as_before(
    torq_q: Torq, daemon: ScriptedDaemon
) -> None:
    q = torq_q.start(PERMISSIONS, PEOPLE)
    assert q.evaluate(".sessiond.checks") == "1b"
    assert q.login("local1", "pw") is not None
    assert q.login("local1", "wrong") is None
    assert q.login("local1", TOKEN) is None
    assert q.login("nobody", "pw") is None
    client = entered(q, "alice")
    assert client.ask(call("same", long(1))) == long(1)
    handle = int(q.evaluate("first exec handle from .sessiond.sessions").strip("i"))
    daemon.push("revoked", daemon.sessions["alice"], handle)
    assert client.is_closed()
    daemon.settle()
    assert q.evaluate("exec id from .pm.user") == ",`local1"


def test_with_torqs_permissions_a_renewal_passes_and_is_not_in_the_usage_log(
    torq_q: Torq, daemon: ScriptedDaemon
) -> None:
    q = torq_q.start(PERMISSIONS, PEOPLE)
    client = entered(q, "alice")
    client.tell(call(".sessiond.renew", string("bearer:a-newer-access-token")))
    daemon.next_call("renew")
    assert "newer" not in torq_q.usage(q)


ACCESS = ".access.enabled:1b\n"
LISTS = """
`.access.USERS upsert (`alice;0b;1b);
.access.HOSTPATTERNS:enlist enlist"*";
"""
FILES = {
    "hosts": "host,allowed\n*,1\n",
    "users": "user,defaultuser,poweruser,superuser\nalice,1,1,1\n",
    "functions": "func,default,power,userlist\ncount,1,1,\n",
}


@pytest.fixture(params=["0b", "1b"], ids=["each call", "open only"])
def access(torq_q: Torq, tmp_path: Path, request: pytest.FixtureRequest) -> Interpreter:
    """A process with controlaccess.q, that checks each call or openings only."""
    (tmp_path / "permissions").mkdir()
    for name, text in FILES.items():
        (tmp_path / "permissions" / f"default_{name}.csv").write_text(text)
    return torq_q.start(ACCESS + f".access.openonly:{request.param}\n", LISTS)


def test_torqs_access_lists_hold_for_tokens_too(access: Interpreter) -> None:
    assert access.login("bob", TOKEN) is None
    assert access.prints("login of bob refused: TorQ's .access does not let this name in")
    entered(access, "alice")
    access.run('.access.HOSTPATTERNS:enlist "elsewhere";')
    assert access.login("alice", TOKEN) is None


def test_torqs_access_lists_are_no_check_of_passwords(access: Interpreter) -> None:
    assert access.evaluate(".sessiond.checks") == "0b"
    assert access.login("alice", "anything") is None
    assert access.prints("TorQ's .access is on")
    assert access.evaluate(".access.vpw[`bob;`]") == "0b"  # and are in force after the trial


def test_torqs_access_lists_hold_for_passwords_of_a_file_too(torq_q: Torq, tmp_path: Path) -> None:
    (tmp_path / "permissions").mkdir()
    for name, text in FILES.items():
        (tmp_path / "permissions" / f"default_{name}.csv").write_text(text)
    (tmp_path / "passwords").write_text("alice:pw\nbob:pw\n")
    setting = f'.sessiond.passwords:hsym`$"{tmp_path}/passwords"\n'
    q = torq_q.start(ACCESS + setting, LISTS)
    assert q.login("alice", "pw") is not None
    assert q.login("alice", "wrong") is None
    assert q.login("bob", "pw") is None


def test_what_almost_is_a_token_reaches_no_earlier_check(torq_q: Torq) -> None:
    q = torq_q.start(after=".test.seen:()\n.z.pw:{[f;u;p] .test.seen,:enlist p; f[u;p]}[.z.pw]\n")
    q.run(".test.seen:();")
    for password in (f"Bearer {TOKEN[7:]}", f" {TOKEN}", f'"{TOKEN}"', "hunter2"):
        assert q.login("alice", password) is None
    assert q.prints("login of alice refused: almost a token", 3)
    assert q.evaluate(".test.seen") in {"()", ',"hunter2"'}
    assert "an-opaque" not in q.logged
