"""`follow` at a running daemon: what a backend knows of those who log in at a gateway."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sessiond.qipc import call, dictionary
from sessiond.testing import FakeIssuer, FakeProcess, QReplyError
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict, plain_rows
from tests.integration.conftest import Start
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.integration.test_reload import reload
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration

GATEWAYS, BACKENDS_MORE = 12, 5
PATIENCE = 20.0  # seconds to wait for the daemon
FOLLOW = call("follow", dictionary({}))
ROLES = """
[issuer.roles]
reader = "reader"
writer = "writer"
admin = "admin"
[issuer.attributes]
desk = "desk"
"""
BACKENDS = f"""
[[access.process]]
name = "rdb*"
peers = [{os.getuid()}]
roles = ["read*", "admin"]
estate = true
"""
NOT_CAROL = BACKENDS.replace("estate", 'users = ["alice", "bob"]\nestate')
WIDER = f"""
[[access.grant]]
users = ["bob"]
roles = ["admin"]
[[access.process]]
name = "rdb*"
peers = [{os.getuid()}]
estate = true
"""
NO_ESTATE = BACKENDS.replace("estate = true", "")


@dataclass(frozen=True)
class Loopback:
    """Fulfils `Issuer`."""

    issuer: str
    ca_file: Path | None = None


@dataclass
class Estate:
    """A gateway and a backend, each a process of its own, and the daemon between them."""

    daemon: RunningDaemon
    issuer: FakeIssuer
    url: str
    stack: ExitStack
    q: FakeProcess = field(init=False)
    rdb: FakeProcess = field(init=False)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def connect(self) -> None:
        """Have both processes say hello on connections of their own."""
        farm = self.stack.enter_context(PeerFarm(self.daemon.address, 2))
        self.q, self.rdb = (FakeProcess(each) for each in farm.sockets)
        self.q.hello("gw1")
        self.rdb.hello("rdb1")

    def follow(self) -> None:
        self.known = {row["user"]: without_user(row) for row in plain_rows(self.rdb.sync(FOLLOW))}

    def hear(self, count: int = 1) -> dict[str, dict[str, Any]]:
        """Wait for so many pushes; return what the backend knows by them, as its hook would."""
        for _ in range(count):
            push = self.rdb.next_push()
            assert push["event"] == "standing"
            assert push["session"] == UUID(int=0)
            if push["gone"]:
                del self.known[push["user"]]
            else:
                self.known[push["user"]] = without_user(push)
        self.rdb.ping()
        assert self.rdb.pushes == []
        return self.known

    def configured(self, access: str) -> str:
        return access_of(self.url, access)


def without_user(told: dict[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("name", "roles", "attributes")}


def access_of(url: str, access: str) -> str:
    text = configuration(Loopback(url), extra=ROLES, refresh="share = 0.05\njitter = 0.0")
    return f"{text}\n{access}"


def stands(name: str, *roles: str, **attributes: str) -> dict[str, Any]:
    return {"name": name, "roles": [*roles], "attributes": attributes}


@pytest.fixture
def estate(start: Start) -> Iterator[Estate]:
    """Yield a backend that follows, and nobody is in."""
    issuer = FakeIssuer()
    with ExitStack() as stack, issuer.serve() as url:
        playing = Estate(start(access_of(url, BACKENDS)), issuer, url, stack)
        playing.connect()
        playing.follow()
        assert playing.known == {}
        yield playing


def test_a_login_at_the_gateway_is_known_at_the_backend_when_it_is_answered(
    estate: Estate,
) -> None:
    token = estate.issuer.issue("Alice", roles=("reader", "writer"), desk="rates")
    answer = estate.q.connect("ALICE", token)
    assert answer["roles"] == ["reader", "writer"]
    estate.rdb.socket.setblocking(False)
    estate.rdb.receive()  # it is there already
    estate.rdb.socket.settimeout(PATIENCE)
    assert estate.hear() == {"ALICE": stands("Alice", "reader", desk="rates")}


def test_however_many_log_in_at_once_each_is_known_everywhere_when_it_is_answered(
    estate: Estate,
) -> None:
    with PeerFarm(estate.daemon.address, GATEWAYS + BACKENDS_MORE) as farm:
        processes = [FakeProcess(each) for each in farm.sockets]
        for number, each in enumerate(processes):
            each.hello(f"gw{number}" if number < GATEWAYS else f"rdb{number}")
        gateways, backends = processes[:GATEWAYS], processes[GATEWAYS:]
        for each in backends:
            each.sync(FOLLOW)
        tokens = {f"user{n}": estate.issuer.issue(f"user{n}") for n in range(4 * GATEWAYS)}
        for number, (user, token) in enumerate(tokens.items()):
            gateways[number % GATEWAYS].ask(
                connect_call(user, f"bearer:{token.reveal()}", 5 + number)
            )
        for number, user in enumerate(tokens):
            assert plain_dict(gateways[number % GATEWAYS].answer())["ok"]
            for each in backends:
                each.socket.setblocking(False)
                with suppress(BlockingIOError):
                    each.receive()  # what is there by now
                assert user in {push["user"] for push in each.pushes}
                each.socket.settimeout(PATIENCE)


def test_the_last_of_two_sessions_ends_it(estate: Estate) -> None:
    for handle in (5, 6):
        estate.q.log_in("alice", estate.issuer.issue("alice"), handle)
    assert estate.hear() == {"alice": stands("alice", "reader")}
    estate.q.log_out(5)
    estate.q.log_out(6)
    assert estate.hear() == {}


def test_roles_that_a_refresh_brings_are_known(estate: Estate) -> None:
    estate.issuer.bring(roles=["admin", "writer"], expires_in=3600)
    estate.q.log_in("alice", estate.issuer.sign_in("alice", expires_in=30))
    assert estate.hear() == {"alice": stands("alice", "reader")}
    assert estate.hear() == {"alice": stands("alice", "admin")}


def test_who_is_revoked_is_gone(estate: Estate) -> None:
    estate.q.log_in("alice", estate.issuer.issue("alice"))
    estate.q.log_in("bob", estate.issuer.issue("bob"), 6)
    assert {*estate.hear(2)} == {"alice", "bob"}
    with Operator(estate.daemon) as operator:
        operator.revoke(user="alice")
    assert estate.hear() == {"bob": stands("bob", "reader")}


def test_whoever_was_in_before_is_in_the_answer_and_who_is_kept_out_is_not(
    estate: Estate,
) -> None:
    estate.q.log_in("alice", estate.issuer.issue("alice"))
    estate.q.connect("bob", estate.issuer.issue("bob"), 6)  # not opened yet
    estate.q.log_in("carol", estate.issuer.issue("carol"), 7)
    assert {*estate.hear(3)} == {"alice", "bob", "carol"}
    reload(estate.daemon, estate.configured(NOT_CAROL))
    assert {*estate.hear()} == {"alice", "bob"}
    estate.follow()
    assert {*estate.known} == {"alice", "bob"}


def test_a_reload_that_widens_and_grants_is_known_as_differences(estate: Estate) -> None:
    estate.q.log_in("alice", estate.issuer.issue("alice", roles=("reader", "writer")))
    estate.q.log_in("bob", estate.issuer.issue("bob"), 6)
    estate.hear(2)
    reload(estate.daemon, estate.configured(WIDER))
    assert estate.hear(2) == {
        "alice": stands("alice", "reader", "writer"),
        "bob": stands("bob", "admin", "reader"),
    }


def test_estate_taken_away_cuts_the_connection_and_is_told_who_asks_again(estate: Estate) -> None:
    reload(estate.daemon, estate.configured(NO_ESTATE))
    assert estate.rdb.is_cut()
    assert estate.daemon.logged(1, event="process cut off")
    estate.connect()
    with pytest.raises(QReplyError, match="wanted estate = true"):
        estate.follow()


def test_a_gateway_may_not_follow(estate: Estate) -> None:
    with pytest.raises(QReplyError, match=r"gw1 .* wanted estate = true"):
        estate.q.sync(FOLLOW)


def test_after_a_restart_of_the_daemon_the_backend_follows_again(estate: Estate) -> None:
    session = estate.q.log_in("alice", estate.issuer.issue("alice"))["session"]
    estate.hear()
    estate.daemon.kill()
    estate.daemon.start()
    with FakeProcess(estate.daemon.address) as rdb:
        rdb.hello("rdb1")
        estate.rdb = rdb
        estate.follow()
        assert estate.known == {"alice": stands("alice", "reader")}
        with Operator(estate.daemon) as operator:
            operator.revoke(session=str(session))
        assert estate.hear() == {}


@pytest.mark.needs("real")
def test_tokens_of_a_real_issuer_are_known_too(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(f"{configuration(strict_issuer)}\n{BACKENDS}")
    with PeerFarm(daemon.address, 2) as farm:
        q, rdb = (FakeProcess(each) for each in farm.sockets)
        q.hello("gw1")
        rdb.hello("rdb1")
        assert plain_rows(rdb.sync(FOLLOW)) == []
        q.log_in(ALICE.upper(), pair(strict_issuer.tokens()))
        push = rdb.next_push()
        assert (push["event"], push["user"], push["name"]) == ("standing", ALICE.upper(), ALICE)
        assert not push["gone"]
        q.log_out()
        assert rdb.next_push()["gone"]
