"""From a gateway to an rdb as the user: both with the hook, one real daemon, a real issuer."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessiond.qipc import QError, call, int_, string
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.q.conftest import Start, asking_daemon, keep_secrets, reaching
from tests.q.interpreter import Client, Interpreter
from tests.running_daemon import RunningDaemon

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("real")]

TICKETS = f"""
verify = "introspection"
client_secret_file = "{{folder}}/secret"
roles_claim = ["scope"]
[issuer.roles]
"session.login" = "reader"
"openid" = "everywhere"
"profile" = "gateways"
[tickets]
audiences = ["rdb*"]
[[access.process]]
name = "rdb*"
peers = ["{os.getuid()}"]
roles = ["reader", "everywhere"]
estate = true
"""
ME = "me:{[x] .sessiond.who .z.w}"


@pytest.fixture
def folder(folder: Path) -> Path:
    """The same with the files that the daemon reads."""
    keep_secrets(folder)
    return folder


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, folder: Path) -> Iterator[RunningDaemon]:
    """A daemon that makes tickets for processes called rdb and something."""
    with asking_daemon(strict_issuer, folder, TICKETS) as running:
        yield running


@dataclass(frozen=True)
class Pair:
    """A gateway and an rdb, each ready."""

    gateway: Interpreter
    rdb: Interpreter
    issuer: RunningIssuer

    def enter(self, user: str) -> Client:
        """Log a user in at the gateway."""
        token = self.issuer.tokens(user, client="qstudio-opaque")["access_token"]
        client = self.gateway.login(user, "bearer:" + token)
        self.gateway.evaluate("1b")  # by now its log is here
        assert client is not None, self.gateway.said
        self.gateway.run(".sessiond.ask(`sessions;::);")  # by its answer the opening is recorded
        return client

    def handle(self, user: str) -> str:
        """Return the user's handle in the gateway."""
        of_user = f'exec first handle from .sessiond.sessions where user=`$"{user}"'
        return self.gateway.evaluate(of_user)

    def open(self, user: str) -> None:
        """Open a handle to the rdb for a user of the gateway; it is `w` there."""
        opened = f".sessiond.hopen[{self.handle(user)};`::{self.rdb.port}]"
        self.gateway.run(f"w:{opened};")
        assert self.gateway.evaluate("@[value;`w;0b]") != "0b", self.gateway.said + self.rdb.said
        self.rdb.wait_until("all exec open from .sessiond.sessions")

    def opened_with(self, user: str) -> str:
        """Open a handle for a user; return the ticket that did it, as q shows a string."""
        self.gateway.run(".sessiond.ticket:{[f;h;a] .test.ticket:f[h;a]}[.sessiond.ticket];")
        self.open(user)
        return self.gateway.evaluate(".test.ticket")

    def tried(self, expression: str) -> str:
        """Return what an expression is in the gateway, or the text of its error."""
        return self.gateway.evaluate(f"@[{{[x] {expression}}};0;{{[e] e}}]")

    def login(self, user: str, ticket: str) -> bool:
        """Log in at the rdb with a ticket, by .z.pw alone: the interpreter cuts long passwords."""
        return self.rdb.evaluate(f'.z.pw[`$"{user}";{ticket}]') == "1b"


PAGE = """
.sessiond.web:1b
.test.opened:{[h] w:.sessiond.hopen[h;.test.rdb]; (w(`me;::))`user}
.z.ph:{[x] .h.hy[`txt;"there as ",string .test.opened .z.w]}
"""


@pytest.fixture
def pair(
    start_q: Start, unix_shim: str, daemon: RunningDaemon, strict_issuer: RunningIssuer
) -> Pair:
    environment = reaching(daemon, unix_shim)
    gateway = start_q(
        f".sessiond.name:`gateway1\n{PAGE}", port=daemon.port, environment=environment
    )
    rdb = start_q(f".sessiond.name:`rdb1\n{ME}", port=daemon.port, environment=environment)
    for q in (gateway, rdb):
        q.wait_until(".sessiond.ready[]")
    gateway.run(f".sessiond.audiences:(enlist`::{rdb.port})!enlist`rdb1;")
    gateway.run(f".test.rdb:`::{rdb.port};")
    return Pair(gateway, rdb, strict_issuer)


def test_a_user_is_there_under_his_own_name_with_his_roles_within_that_process_ceiling(
    pair: Pair,
) -> None:
    pair.enter(ALICE)
    pair.open(ALICE)
    assert pair.gateway.evaluate("string (w(`me;::))`user") == f'"{ALICE}"'
    assert pair.gateway.evaluate("asc (w(`me;::))`roles") == "`everywhere`reader"
    roles = "asc first exec roles from .sessiond.sessions"
    assert pair.gateway.evaluate(roles) == "`everywhere`gateways`reader"
    assert pair.rdb.prints(f"login of {ALICE} accepted")


def test_a_session_there_ends_with_the_one_that_it_came_from(pair: Pair) -> None:
    alice, bob = pair.enter(ALICE), pair.enter(BOB)
    pair.open(BOB)
    pair.gateway.run("bobs:w;")
    pair.open(ALICE)
    alice.close()
    pair.gateway.wait_until("not w in key .z.W")
    assert pair.rdb.prints(f"of {ALICE}: parent")
    assert pair.rdb.evaluate("string exec user from .sessiond.sessions") == f',"{BOB}"'
    assert pair.gateway.evaluate("string (bobs(`me;::))`user") == f'"{BOB}"'
    bob.close()
    pair.rdb.wait_until("0=count .sessiond.sessions")


def test_when_the_issuer_ends_a_grant_both_handles_are_closed(pair: Pair) -> None:
    alice = pair.enter(ALICE)
    pair.open(ALICE)
    pair.issuer.control.revoke_user(ALICE)
    assert alice.is_closed()
    pair.gateway.wait_until("not w in key .z.W")
    assert pair.rdb.evaluate("count .sessiond.sessions") == "0"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_over_a_restart_of_the_daemon_a_session_there_goes_on_and_ends_with_its_parent(
    pair: Pair, daemon: RunningDaemon, how: str
) -> None:
    alice, bob = pair.enter(ALICE), pair.enter(BOB)
    pair.open(BOB)
    pair.gateway.run("bobs:w;")
    pair.open(ALICE)
    pair.rdb.run(".sessiond.ask(`sessions;::);")
    getattr(daemon, how)()
    for q in (pair.gateway, pair.rdb):
        q.wait_until("not .sessiond.ready[]")
    alice.close()  # nobody is there to tell of it
    pair.gateway.wait_until("1=count .sessiond.sessions")
    assert pair.gateway.evaluate("string (w(`me;::))`user") == f'"{ALICE}"'
    daemon.start()
    pair.gateway.wait_until("not w in key .z.W")
    assert pair.gateway.evaluate("string (bobs(`me;::))`user") == f'"{BOB}"'
    bob.close()
    pair.rdb.wait_until("0=count .sessiond.sessions")


def test_a_ticket_is_good_once_and_at_the_process_and_for_the_user_that_it_names(
    pair: Pair,
) -> None:
    pair.enter(ALICE)
    pair.enter(BOB)
    spent = pair.opened_with(ALICE)
    assert not pair.login(ALICE, spent)
    assert pair.rdb.prints(f"login of {ALICE} refused: revoked")
    one = pair.tried(f".sessiond.ticket[{pair.handle(ALICE)};`rdb1]")
    assert one.startswith('"ticket:eyJ')
    assert not pair.login(BOB, one)
    assert pair.rdb.prints(f"login of {BOB} refused: usermismatch")
    other = pair.tried(f".sessiond.ticket[{pair.handle(ALICE)};`rdb2]")
    assert not pair.login(ALICE, other)
    assert pair.rdb.prints(f"login of {ALICE} refused: wrongaudience")
    spoiled = other[:-9] + ("AAAAAAAA" if other[-9:-1] != "AAAAAAAA" else "BBBBBBBB") + '"'
    assert not pair.login(ALICE, spoiled)
    assert pair.rdb.prints(f"login of {ALICE} refused: badsignature")
    assert not pair.login(ALICE, '"ticket:not-a-ticket"')
    assert pair.rdb.prints(f"login of {ALICE} refused: malformed")


def test_the_second_handshake_of_one_login_is_no_second_use(pair: Pair) -> None:
    pair.enter(ALICE)
    ticket = pair.tried(f".sessiond.ticket[{pair.handle(ALICE)};`rdb1]")
    for _ in range(2):
        assert pair.login(ALICE, ticket)
    assert pair.rdb.evaluate("count .sessiond.sessions") == "1"


def test_who_came_by_a_ticket_gets_none_and_one_is_for_the_audiences_alone(pair: Pair) -> None:
    pair.enter(ALICE)
    pair.open(ALICE)
    handle = pair.rdb.evaluate("first exec handle from .sessiond.sessions")
    asked = f"@[.sessiond.ticket[;`rdb2];{handle};{{[e] e}}]"
    assert pair.rdb.evaluate(asked) == '"sessiond: no ticket for rdb2: depth"'
    own = pair.handle(ALICE)
    for audience in ("gateway2", "rdb1@elsewhere"):
        refused = pair.tried(f'.sessiond.ticket[{own};"{audience}"]')
        assert refused == f'"sessiond: no ticket for {audience}: notallowed"'
    assert pair.tried(".sessiond.ticket[99;`rdb1]") == '"sessiond: no ticket for rdb1: nosession"'


def test_a_user_asks_for_himself_alone(pair: Pair) -> None:
    alice = pair.enter(ALICE)
    pair.enter(BOB)
    bobs = int(pair.handle(BOB).strip("i"))
    refused = alice.ask(call(".sessiond.ticket", int_(bobs), string("rdb1")))
    assert refused == QError("sessiond: no ticket for rdb1: notallowed")


def test_a_session_of_a_ticket_is_not_renewed_and_goes_on(pair: Pair) -> None:
    pair.enter(ALICE)
    pair.open(ALICE)
    token = pair.issuer.tokens(ALICE, client="qstudio-opaque")["access_token"]
    ticket = pair.tried(f".sessiond.ticket[{pair.handle(ALICE)};`rdb1]")
    for number, fresh in enumerate((f'"bearer:{token}"', ticket), start=1):
        pair.gateway.run(f"neg[w](`.sessiond.renew;{fresh});")
        assert pair.rdb.prints(f"renewal of {ALICE} refused: wrongtype", number)
    assert pair.gateway.evaluate("string (w(`me;::))`user") == f'"{ALICE}"'


def test_a_renewal_of_the_parent_takes_the_session_there_along(pair: Pair) -> None:
    pair.issuer.control.set_access_token_lifetime(60)
    alice = pair.enter(ALICE)
    pair.open(ALICE)
    before = pair.rdb.evaluate("exec first expires from .sessiond.sessions")
    pair.issuer.control.set_access_token_lifetime(3600)
    token = pair.issuer.tokens(ALICE, client="qstudio-opaque")["access_token"]
    alice.tell(call(".sessiond.renew", string(f"bearer:{token}")))
    pair.rdb.wait_until(f"{before}<exec first expires from .sessiond.sessions")


def test_a_page_and_a_websocket_go_there_as_the_person_who_opened_them(pair: Pair) -> None:
    token = pair.issuer.tokens(ALICE, client="qstudio-opaque")["access_token"]
    headers = ("Host: gateway:5007", f"Authorization: Bearer {token}")
    assert pair.gateway.get("/", *headers).endswith(f"there as {ALICE}")
    socket = pair.gateway.socket(*headers)
    assert socket is not None
    pair.gateway.wait_until("1=exec sum ws from .sessiond.sessions")
    pair.gateway.run(".test.w:exec first handle from .sessiond.sessions where ws;")
    assert pair.gateway.evaluate("string .test.opened .test.w") == f'"{ALICE}"'
    assert pair.rdb.evaluate("count .sessiond.sessions") == "2"
    pair.issuer.control.revoke_user(ALICE)
    assert socket.is_closed()
    pair.rdb.wait_until("0=count .sessiond.sessions")


def test_no_ticket_is_in_what_q_or_the_daemon_print(pair: Pair, daemon: RunningDaemon) -> None:
    pair.enter(ALICE)
    ticket = pair.opened_with(ALICE).strip('"')
    assert ticket.startswith("ticket:eyJ")
    assert not pair.login(ALICE, f'"{ticket}"')
    for part in ticket.removeprefix("ticket:").split("."):
        assert part not in pair.gateway.logged + pair.rdb.logged + "".join(daemon.lines)
