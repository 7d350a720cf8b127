"""Attacks on tickets, on a real daemon: by strangers, thieves, and users of the same process."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sessiond.testing import FakeProcess, QReplyError
from sessiond.testing.calls import connect_call
from sessiond.testing.plain import plain_dict, plain_rows
from tests import canary
from tests.integration.conftest import Start
from tests.integration.estate import (
    BACKEND,
    GATEWAY,
    GUARDED,
    estate,
    remembered,
    with_tickets,
)
from tests.integration.operating import Operator, watching
from tests.integration.test_follow import FOLLOW
from tests.integration.test_reload import reload
from tests.integration.test_storage_faults import disk_full
from tests.integration.test_ticket_exchange import EXCHANGERS, form
from tests.integration.test_tickets import access, payload
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon

NOBODY = 65534
ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's group (RFC 8032, 5.1)
FORM = {"content-type": "application/x-www-form-urlencoded"}
LASTING = "lifetime = 300\n"


@contextmanager
def processes(daemon: RunningDaemon, *names: str) -> Iterator[list[FakeProcess]]:
    with PeerFarm(daemon.address, len(names)) as farm:
        found = [
            FakeProcess(each, name=name) for each, name in zip(farm.sockets, names, strict=True)
        ]
        for each in found:
            each.hello()
        yield found


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


# Thieves


def test_of_two_who_spend_a_ticket_at_once_one_is_let_in(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with processes(daemon, GATEWAY, BACKEND, BACKEND) as (gateway, first, second):
        parent = gateway.log_in(ALICE, access(strict_issuer))["session"]
        for number in range(20):
            ticket = remembered(gateway.ticket(parent, BACKEND)["ticket"])
            for each in (first, second, first):  # and once more on another handle
                each.ask(connect_call(ALICE, ticket, 10 + number))
            first.ask(connect_call(ALICE, ticket, 200 + number))
            answers = [plain_dict(each.answer()) for each in (first, first, first, second)]
            let_in = {each["session"] for each in answers if each["ok"]}
            assert len(let_in) == 1
            assert {each["reason"] for each in answers if not each["ok"]} == {"revoked"}
        assert len(gateway.sessions()) == 1


@pytest.mark.parametrize("opened", [False, True])
def test_after_a_kill_a_thief_gets_nothing_by_a_spent_ticket(
    strict_issuer: RunningIssuer, start: Start, opened: bool
) -> None:
    """Nor by one whose login the user's process repeats, as kdb+ does, with another handle."""
    daemon = start(with_tickets(strict_issuer, LASTING, login="grace = 60\nunbound = 60"))
    with PeerFarm(daemon.address, 3) as farm:
        names = (GATEWAY, BACKEND, BACKEND)
        gateway, backend, thief = (
            FakeProcess(each, name=name) for each, name in zip(farm.sockets, names, strict=True)
        )
        for each in (gateway, backend, thief):
            each.hello()
        parent = gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = remembered(gateway.ticket(parent, BACKEND)["ticket"])
        child = backend.connect(ALICE, ticket, 7)["session"]
        if opened:
            backend.opened(child, 7)
            backend.ping()
        daemon.kill()
        daemon.start()
        backend = FakeProcess(farm.connect(1), name=BACKEND)
        thief = FakeProcess(farm.connect(2), name=BACKEND)
        for each in (backend, thief):
            each.hello()
        assert thief.connect(ALICE, ticket, 7)["reason"] == "revoked"
        assert thief.reconcile({7: child}) == [7]
        assert backend.connect(ALICE, ticket, 8)["reason"] == "revoked"
        assert backend.connect(ALICE, ticket, 0)["reason"] == "revoked"
        again = backend.connect(ALICE, ticket, 7)
        assert (again["ok"], again["session"] == child) == (
            (False, False) if opened else (True, True)
        )
        for each in (backend, thief):
            each.close()


def test_a_repeated_handshake_gives_one_handle_one_session(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    """Where the process knows no handle yet: who opens it first has it, and nobody beside him."""
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = two.ticket(parent)
        first, second = (two.backend.connect(ALICE, ticket, 0)["session"] for _ in range(2))
        assert first == second
        two.backend.opened(first, 7)
        two.backend.opened(first, 8)
        two.backend.ping()
        assert [each["handle"] for each in two.backend.sessions()] == [7]
        push = two.backend.next_push()
        assert (push["event"], push["handle"]) == ("revoked", 8)
        assert two.backend.connect(ALICE, ticket, 0)["reason"] == "revoked"


# Strangers


def test_who_said_the_name_before_it_was_guarded_takes_no_ticket_afterwards(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    elsewhere = 'audiences = ["hdb*"]\n', GUARDED.replace("rdb*", "hdb*")
    daemon = start(with_tickets(strict_issuer, tickets=elsewhere[0], access=elsewhere[1]))
    guarded = f'[[access.process]]\nname = "rdb*"\npeers = [{NOBODY}]\n'
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        reload(daemon, with_tickets(strict_issuer, access=guarded))
        assert two.ticket(parent)
        assert two.backend.is_cut()


def test_where_a_name_is_no_audience_any_more_and_guarded_by_nobody_a_thief_gets_nothing(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, LASTING))
    elsewhere = 'audiences = ["hdb*"]\n', GUARDED.replace("rdb*", "hdb*")
    with estate(daemon) as two:
        ticket = two.ticket(two.gateway.log_in(ALICE, access(strict_issuer))["session"])
        reload(daemon, with_tickets(strict_issuer, tickets=elsewhere[0], access=elsewhere[1]))
        assert two.backend.connect(ALICE, ticket)["reason"] == "wrongaudience"


NAMES: dict[str, Callable[[str], str]] = {
    "as it is": lambda host: "rdb1",
    "in another case": lambda host: "RDB1",
    "of this host": lambda host: f"rdb1@{host}",
    "of this host in another case": lambda host: f"Rdb1@{host.swapcase()}",
}
OTHERS: dict[str, Callable[[str], str]] = {
    "of the host twice": lambda host: f"rdb1@{host}@{host}",
    "of a host with a dot": lambda host: f"rdb1@{host}.",
    "of a host with a blank": lambda host: f"rdb1@{host} ",
    "with a blank": lambda host: "rdb1 ",
    "with another digit one": lambda host: "rdb\u0661",
    "in wide letters": lambda host: "\uff52\uff44\uff421",
    "of a pattern": lambda host: "rdb*",
}


def test_a_name_is_one_name_however_it_is_written(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    host = socket.gethostname()
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        for how, audience in NAMES.items():
            assert two.backend.connect(ALICE, two.ticket(parent, audience(host)))["ok"], how
        for how, audience in OTHERS.items():
            answer = two.gateway.ticket(parent, audience(host))
            if answer["ok"]:  # for a process that nobody here is
                refused = two.backend.connect(ALICE, remembered(answer["ticket"]))
                assert refused["reason"] == "wrongaudience", how
            else:
                assert answer["reason"] == "notallowed", how


# Bytes


def test_no_ticket_is_made_of_another_one_or_of_the_published_key(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, LASTING))
    with estate(daemon) as two, Operator(daemon) as operator:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = two.ticket(parent).removeprefix("ticket:")
        head, body, signature = ticket.split(".")
        [key] = operator.get("/v1/keys")["keys"]
        claims, half = payload(ticket), int.from_bytes(decoded(signature)[32:], "little")
        moved = decoded(signature)[:32] + (half + ORDER).to_bytes(32, "little")
        own = Ed25519PrivateKey.generate()

        def mine(header: dict[str, Any], says: bytes = decoded(body)) -> str:
            content = f"{encoded(json.dumps(header).encode())}.{encoded(says)}"
            return f"{content}.{encoded(own.sign(content.encode()))}"

        usual = {"alg": "EdDSA", "kid": key["kid"], "typ": "sessiond-ticket+jwt"}
        twice = decoded(body)[:-1] + b',"sid":"' + str(parent).encode() + b'"}'
        deep = b'{"iss":' + b"[" * 5000 + b"]" * 5000 + b"}"
        wide = b'{"iss":{' + b",".join(b'"%d":1' % each for each in range(1500)) + b"}}"
        hostile = {
            "signature moved by the group's order": (
                f"{head}.{body}.{encoded(moved)}",
                "badsignature",
            ),
            "signed with another key": (mine(usual), "badsignature"),
            "with its own key": (mine({**usual, "jwk": {"kty": "OKP"}}), "malformed"),
            "with another's keys": (mine({**usual, "jku": "http://127.0.0.1/"}), "malformed"),
            "by no algorithm": (mine({**usual, "alg": "none"}), "wrongtype"),
            "by a secret that all know": (mine({**usual, "alg": "HS256"}), "wrongtype"),
            "by the curve's own name": (mine({**usual, "alg": "Ed25519"}), "wrongtype"),
            "as any JWT": (mine({**usual, "typ": "JWT"}), "wrongtype"),
            "of a critical member": (mine({**usual, "crit": ["exp"]}), "malformed"),
            "of an unknown key": (mine({**usual, "kid": "../../keys"}), "badsignature"),
            "of no text for a key": (mine({**usual, "kid": [1]}), "malformed"),
            "with a member twice": (mine(usual, twice), "malformed"),
            "very deep": (mine(usual, deep), "malformed"),
            "very wide": (mine(usual, wide), "wrongissuer"),
            "for ever": (
                mine(usual, json.dumps({**claims, "exp": 10**300}).encode()),
                "badsignature",
            ),
            "with a blank": (f"{ticket} ", "malformed"),
            "with a line": (f"{ticket}\n", "malformed"),
            "padded": (f"{ticket}==", "malformed"),
            "with nothing": ("", "malformed"),
        }
        found = {
            how: two.backend.connect(ALICE, f"ticket:{each}") for how, (each, _) in hostile.items()
        }
        assert {how: answer["reason"] for how, answer in found.items()} == {
            how: reason for how, (_, reason) in hostile.items()
        }
        assert not any(answer["ok"] for answer in found.values())
        assert two.backend.connect(ALICE, f"ticket:{ticket}")["ok"]


def test_bits_that_are_left_over_make_no_second_ticket(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    with estate(daemon) as two:
        ticket = two.ticket(two.gateway.log_in(ALICE, access(strict_issuer))["session"])
        same = decoded(ticket.rpartition(".")[2])
        spellings = [ticket[:-1] + each for each in alphabet if ticket[-1] != each]
        others = [each for each in spellings if decoded(each.rpartition(".")[2]) == same]
        assert len(others) == 3 or len(others) == 15
        for each in others:
            assert two.backend.connect(ALICE, each)["reason"] == "malformed"


def test_a_ticket_of_another_daemon_of_the_same_name_is_none_here(
    strict_issuer: RunningIssuer, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = with_tickets(strict_issuer, 'issuer = "urn:sessiond:test"\n' + LASTING)
    daemon = start(text)
    with RunningDaemon(tmp_path_factory.mktemp("other"), text) as other, estate(other) as theirs:
        parent = theirs.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = theirs.ticket(parent)
        with estate(daemon) as two:
            assert two.backend.connect(ALICE, ticket)["reason"] == "badsignature"


# Users of the same process, and children


def test_a_child_ends_when_its_parents_process_never_comes_back(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, login="grace = 1"))
    with PeerFarm(daemon.address, 2) as farm:
        gateway, backend = (FakeProcess(each) for each in farm.sockets)
        gateway.hello(GATEWAY)
        backend.hello(BACKEND)
        parent = gateway.log_in(ALICE, access(strict_issuer), 5)["session"]
        ticket = remembered(gateway.ticket(parent, BACKEND)["ticket"])
        child = backend.log_in(ALICE, ticket, 7)["session"]
        daemon.kill()
        daemon.start()
        with FakeProcess(farm.connect(1)) as backend:
            backend.hello(BACKEND)
            assert backend.reconcile({7: child}) == []
            push = backend.next_push()
            assert (push["event"], push["session"], push["reason"]) == ("revoked", child, "parent")
            assert backend.sessions() == []


def test_a_websocket_is_no_way_around_the_depth_and_ends_with_what_let_it_in(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer))
    with estate(daemon, names=(GATEWAY, BACKEND)) as two:
        web = two.gateway.web("/", bearer=access(strict_issuer))
        assert web["action"] == "allow", web
        two.gateway.opened(web["session"], 9)
        two.gateway.ping()
        [of_web, of_socket] = sorted(two.gateway.sessions(), key=lambda each: each["handle"])
        assert (of_web["session"], of_web["handle"], of_socket["handle"]) == (web["session"], 0, 9)
        children = []
        for handle, parent in enumerate((of_web["session"], of_socket["session"]), start=20):
            children.append(two.hop(parent, handle)["session"])
            onward = two.backend.ticket(children[-1], BACKEND)
            assert (onward["ok"], onward["reason"]) == (False, "depth")
        with Operator(daemon) as operator:
            operator.revoke(session=str(web["session"]))
        ended = [two.backend.next_push() for _ in children]
        assert {each["session"] for each in ended} == {*children}
        assert {each["reason"] for each in ended} == {"parent"}
        assert two.gateway.sessions() == two.backend.sessions() == []


def test_a_role_that_was_taken_since_is_in_no_ticket(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    """Whatever configuration the ticket was made under."""
    strict_issuer.control.change_user(ALICE, roles=["trader"])
    granted = GUARDED + '[[access.grant]]\nusers = ["alice*"]\nroles = ["admin"]\n'
    changed = {
        "granted no longer": (GUARDED, ["login", "trading"]),
        "granted to somebody else": (granted.replace("alice*", "bob*"), ["login", "trading"]),
    }
    daemon = start(with_tickets(strict_issuer, LASTING, access=granted))
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer), 5)
        assert parent["roles"] == ["admin", "login", "trading"]
        assert two.hop(parent["session"], 30)["roles"] == ["admin", "login", "trading"]
        for text, roles in changed.values():
            ticket = two.ticket(parent["session"])
            reload(daemon, with_tickets(strict_issuer, LASTING, access=text))
            assert two.backend.log_in(ALICE, ticket, 31)["roles"] == roles
            reload(daemon, with_tickets(strict_issuer, LASTING, access=granted))


# Exchange


def exchanged(operator: Operator, token: str, audience: str = BACKEND) -> str:
    answer = operator.ask("POST", "/v1/token", data=form(token, audience))
    assert answer.status_code == 200, answer.text
    return f"ticket:{remembered(answer.json()['access_token'])}"


def test_what_was_revoked_or_is_too_old_since_the_exchange_lets_nobody_in(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, EXCHANGERS + LASTING))
    strict_issuer.control.change_user(ALICE, claims={"auth_time": int(time.time()) - 90})
    token = access(strict_issuer)
    with Operator(daemon) as operator, estate(daemon) as two:
        tickets = [exchanged(operator, token) for _ in range(4)]
        asks = GUARDED + "max_age = 60\n"
        reload(daemon, with_tickets(strict_issuer, EXCHANGERS + LASTING, access=asks))
        assert two.backend.connect(ALICE, tickets[0])["reason"] == "stepup"
        reload(daemon, with_tickets(strict_issuer, EXCHANGERS + LASTING))
        child = two.backend.log_in(ALICE, tickets[0], 7)["session"]
        assert two.backend.ticket(child, BACKEND)["reason"] == "depth"
        operator.revoke(user=ALICE)
        assert two.backend.next_push()["session"] == child
        assert two.backend.connect(ALICE, tickets[1])["reason"] == "revoked"
        daemon.kill()
    daemon.start()
    with estate(daemon) as two:
        assert two.backend.connect(ALICE, tickets[1])["reason"] == "revoked"
        assert two.backend.connect(ALICE, tickets[0])["reason"] == "revoked"


TRICKS: dict[str, Callable[[str], str]] = {
    "a name twice, once in escapes": lambda good: f"{good}&subject%5Ftoken=x",
    "an audience twice": lambda good: f"{good}&audience={BACKEND}",
    "semicolons": lambda good: good.replace("&", ";"),
    "a NUL in the audience": lambda good: good.replace(BACKEND, f"{BACKEND}%00"),
    "a surrogate": lambda good: good.replace(BACKEND, f"{BACKEND}%ED%A0%80"),
    "raw bytes": lambda good: good.replace(BACKEND, f"{BACKEND}\u00e9"),
    "a token with blanks": lambda good: good.replace("subject_token=", "subject_token=+"),
    "a megabyte": lambda good: f"{good}&x={'a' * (1 << 20)}",
    "UTF-16": lambda good: good.encode("utf-16").decode("latin-1"),
}


def test_no_trick_with_the_form_gets_a_ticket(strict_issuer: RunningIssuer, start: Start) -> None:
    daemon = start(with_tickets(strict_issuer, EXCHANGERS))
    with Operator(daemon) as operator:
        good = str(httpx.QueryParams(form(access(strict_issuer))))
        found = {}
        for how, trick in TRICKS.items():
            content = trick(good).encode("latin-1")
            found[how] = operator.ask("POST", "/v1/token", content=content, headers=FORM)
        assert {
            how for how, answer in found.items() if answer.status_code not in (400, 413)
        } == set()
        assert operator.ask("POST", "/v1/token", content=good, headers=FORM).status_code == 200


def test_a_ticket_is_no_token_to_be_exchanged_and_one_users_token_makes_nobody_elses(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, EXCHANGERS))
    with Operator(daemon) as operator, estate(daemon) as two:
        ticket = exchanged(operator, access(strict_issuer)).removeprefix("ticket:")
        refused = operator.ask("POST", "/v1/token", data=form(ticket))
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
        assert (
            two.backend.connect("bob@corp.example", f"ticket:{ticket}")["reason"] == "usermismatch"
        )
        assert two.gateway.connect(ALICE, f"ticket:{ticket}")["reason"] == "wrongaudience"
        assert two.backend.connect(ALICE, f"ticket:{ticket}")["ok"]


# Followers, disks, and what is told


def test_followers_hear_of_a_child_by_the_verified_name_and_that_it_is_gone_with_its_parent(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    """However its user was typed, and with no more roles than the follower has room for."""
    told = GUARDED + 'estate = true\nroles = ["trad*"]\n'
    daemon = start(with_tickets(strict_issuer, access=told))
    with processes(daemon, GATEWAY, BACKEND, "rdb2") as (gateway, backend, follower):
        assert plain_rows(follower.sync(FOLLOW)) == []
        typed = ALICE.upper()
        parent = gateway.log_in(typed, access(strict_issuer), 5)["session"]
        for number in range(3):
            ticket = remembered(gateway.ticket(parent, BACKEND)["ticket"])
            spelled = ALICE[: number + 1].upper() + ALICE[number + 1 :]
            backend.log_in(spelled, ticket, 7 + number)
        gateway.disconnect(5, parent)
        heard = [follower.next_push() for _ in range(4)]
        follower.ping()
        assert follower.pushes == []
        names = [(each["user"], each["gone"]) for each in heard]
        assert sorted(names) == sorted(
            [(typed, False), (ALICE, False), (ALICE, True), (typed, True)]
        )
        assert {tuple(each["roles"]) for each in heard if not each["gone"]} <= {("trading",), ()}


def test_while_the_disk_is_full_no_ticket_is_spent_and_parents_end_with_their_children(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(with_tickets(strict_issuer, LASTING))
    with estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer), 5)["session"]
        child = two.hop(parent, 7)["session"]
        ticket = two.ticket(parent)
        other = two.gateway.log_in(ALICE, access(strict_issuer), 6)["session"]
        unspent = two.ticket(other)
        with disk_full(daemon):
            assert two.backend.connect(ALICE, ticket, 8)["reason"] == "unavailable"
            two.gateway.disconnect(5, parent)
            push = two.backend.next_push()
            assert (push["session"], push["reason"]) == (child, "parent")
            assert two.refused(parent) == "nosession"
        two.gateway.log_in(ALICE, access(strict_issuer), 20)  # so what was owed is written
        daemon.kill()
    daemon.start()
    with estate(daemon) as two:
        assert two.backend.sessions() == []
        assert two.backend.connect(ALICE, ticket, 8)["reason"] == "revoked"
        assert two.backend.connect(ALICE, unspent, 9)["ok"]


def test_nothing_that_is_told_has_a_ticket_in_it(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    """Also where it was pasted in the wrong place."""
    daemon = start(with_tickets(strict_issuer, EXCHANGERS))
    with Operator(daemon) as operator, estate(daemon) as two:
        parent = two.gateway.log_in(ALICE, access(strict_issuer))["session"]
        ticket = two.ticket(parent)
        for user in (ticket, ticket[:250], ticket.removeprefix("ticket:")):
            assert not two.backend.connect(user, ticket)["ok"]
            assert not two.backend.connect(user, "bearer:" + "A" * 30)["ok"]
        for audience in (ticket, ticket[:256], f"rdb {ticket[:250]}"):
            with suppress(QReplyError):
                two.gateway.ticket(parent, audience)
            operator.ask("POST", "/v1/token", data=form(access(strict_issuer), audience))
        operator.ask("POST", "/v1/token", data=form(ticket))
        operator.ask("POST", "/v1/token", data={**form("x"), ticket: ticket})
        operator.ask("GET", f"/v1/sessions?user={ticket}")
        exchanged_one = exchanged(operator, access(strict_issuer))
        operator.texts.clear()
        assert two.backend.log_in(ALICE, exchanged_one, 9)["ok"]
        for path in ("status", "sessions", "keys", "processes"):
            operator.get(f"/v1/{path}")
        body = {"user": ALICE, "password": ticket, "process": {"name": BACKEND}}
        operator.ask("POST", "/v1/explain", json=body)
        operator.ask("GET", "/metrics")
        with watching(daemon, after=0) as stream:
            events = stream.until("session.opened")
        told = "".join([*operator.texts, json.dumps(events)])
    assert canary.found_in(told.encode()) == set()
    assert daemon.logged(1, event="exchange", outcome="issued")
