"""A person without a token signs in by a real browser, is in at kdb+, is disabled, and is out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from sessiond.qipc import symbol
from tests import canary
from tests.integration.conftest import Start
from tests.integration.gateway import Client
from tests.issuer.running import ALICE, RunningIssuer
from tests.people.forms import (
    decide_at_provider,
    enter_password_at_provider,
    sign_in_at_provider,
)
from tests.people.gateway import PROVING, Gateway, gateway, prepared
from tests.people.kdb_client import KdbClient
from tests.people.machine import Machine, for_q, given
from tests.people.operator import hand_out_profile
from tests.people.person import Person
from tests.running_daemon import configuration

pytestmark = [pytest.mark.needs("browser"), pytest.mark.needs("real")]
SCOPES = "openid profile offline_access session.login"
FIRST_LIFE = 300  # seconds of the person's access token
HURRY = "share = 0.0015\njitter = 0.0"  # the daemon refreshes after about half a second of it
CORP = """
refresh_client_id = "desk"
verify = "jwt"
audience = ["api://kdb"]
"""
SIGNED_IN = "You are signed in"

Set = Callable[..., Gateway]


@pytest.fixture
def stage(start: Start, machine: Machine, folder: Path) -> Iterator[Set]:
    """Start a daemon and a gateway for an issuer, and hand its profile out to the person."""
    with ExitStack() as running:

        def put_up(issuer: RunningIssuer, *options: str, rotation: str = "strict") -> Gateway:
            prepared(folder)
            issuer.control.set_access_token_lifetime(FIRST_LIFE)
            extra = CORP + f'rotation = "{rotation}"'
            daemon = start(configuration(issuer, extra=extra, listen=PROVING, refresh=HURRY))
            hand_out_profile(folder / "config.toml", machine, "--scope", SCOPES, *options)
            return running.enter_context(gateway(daemon))

        yield put_up


def signed_in(machine: Machine, person: Person, *arguments: str) -> dict[str, str]:
    """Return what `token` gives to somebody who has to sign in for it."""
    with machine.start("token", "--json") as program:
        tab = person.sees()
        program.look()
        sign_in_at_provider(tab)
        tab.wait_until_reads(SIGNED_IN)
        return given(*program.end())


def test_a_person_clicks_and_is_in_is_disabled_and_is_out(
    strict_issuer: RunningIssuer, stage: Set, machine: Machine, person: Person
) -> None:
    port = stage(strict_issuer).port
    token = signed_in(machine, person)
    assert token["user"] == ALICE
    with KdbClient(port, *for_q(token)) as window:
        assert window.told() == {"user": ALICE}
        strict_issuer.control.disable(ALICE)
        assert "closed" in window.told()
    with KdbClient(port, *for_q(token)) as again:
        assert "refused" in again.told()
    machine.is_later(FIRST_LIFE)
    with machine.start("token") as program:
        tab = person.sees()  # the issuer wants to see him
        enter_password_at_provider(tab)
        tab.wait_until_reads("bad credentials")
        program.interrupt()
        code, out, err = program.end()
    assert (code, out, err.strip()) == (130, "", "sessiond-login: given up")


def longer_each_time(issuer: RunningIssuer) -> Callable[[], None]:
    """Return what makes the next lease end later than the last, so that none gains nothing."""
    lengths = count(FIRST_LIFE + 20, 20)
    return lambda: issuer.control.set_access_token_lifetime(next(lengths))


def test_at_a_strict_issuer_no_refresh_token_is_ever_sent_twice(
    strict_issuer: RunningIssuer, stage: Set, machine: Machine, person: Person
) -> None:
    gate = stage(strict_issuer)
    first = signed_in(machine, person)
    later = longer_each_time(strict_issuer)
    later()
    with (
        Client.logged_in(gate.port, *for_q(first)),
        Client.logged_in(gate.port, *for_q(machine.token())),  # the program, started again
    ):
        gate.wait_for_leases(20, then=later)  # ten, told to each window
        assert machine.token() == first  # which is good still
        machine.is_later(FIRST_LIFE)
        with machine.start("token", "--json") as program:
            tab = person.sees()  # the browser is signed in: the person does nothing
            tab.wait_until_reads(SIGNED_IN)
            second = given(*program.end())
        assert second["refresh"] not in ("", first["refresh"])
        with Client.logged_in(gate.port, *for_q(second)):
            gate.wait_for_leases(6, then=later)
        assert len(gate.sessions()) == 2
    assert strict_issuer.control.reuses() == 0
    authorizations = [
        each for each in strict_issuer.control.take_log() if each.endswith("/authorize")
    ]
    assert len(authorizations) == 2


def test_who_sends_no_pair_refreshes_by_himself_and_never_with_the_same(
    strict_issuer: RunningIssuer, stage: Set, machine: Machine, person: Person
) -> None:
    gate = stage(strict_issuer, "--send", "access")
    seen = [signed_in(machine, person)]
    for _ in range(3):
        machine.is_later(FIRST_LIFE)
        seen.append(machine.token())
    assert len({each["token"] for each in seen}) == 4
    assert {each["refresh"] for each in seen} == {""}
    with Client.logged_in(gate.port, *for_q(seen[-1])) as window:
        assert window.ask(".z.u") == symbol(ALICE)
    assert strict_issuer.control.reuses() == 0
    assert not person.is_shown(within=0.0)


def test_at_a_tolerant_issuer_both_sides_refresh_and_nothing_ends(
    entra_issuer: RunningIssuer, stage: Set, machine: Machine, person: Person
) -> None:
    gate = stage(entra_issuer, rotation="tolerant")
    first = signed_in(machine, person)
    later = longer_each_time(entra_issuer)
    later()
    with Client.logged_in(gate.port, *for_q(first)):
        for _ in range(2):
            gate.wait_for_leases(2, then=later)
            machine.is_later(FIRST_LIFE)
            token = machine.token()
            assert token["token"] != first["token"]
            with Client.logged_in(gate.port, *for_q(token)) as another:
                assert another.ask(".z.u") == symbol(ALICE)
        gate.wait_for_leases(1)
        assert len(gate.sessions()) == 1
    assert not person.is_shown(within=0.0)


FAULT = """
from sessiond_login.issuers.flows import Flows
def fails(flows, answer, **options):
    raise ValueError(answer.access.reveal())
Flows._granted = fails
"""


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


def test_nothing_secret_is_to_be_seen_but_where_it_was_asked_for(
    strict_issuer: RunningIssuer, stage: Set, machine: Machine, person: Person, folder: Path
) -> None:
    gate = stage(strict_issuer)
    pages = []
    with machine.start("token", "--json") as program:
        tab = person.sees()
        program.look()
        enter_password_at_provider(tab)
        program.look()
        decide_at_provider(tab)
        tab.wait_until_reads(SIGNED_IN)
        pages += [tab.address, tab.source]
        token = given(*program.end())
    later = longer_each_time(strict_issuer)
    later()
    with Client.logged_in(gate.port, *for_q(token)):
        gate.wait_for_leases(2, then=later)
    with Client(gate.port, f"mallory:{token['password']}\3\0".encode()) as refused:
        assert refused.is_closed()
    for command in (["status"], ["status", "--json"], ["profiles"]):
        assert machine.run(*command)[0] == 0
    machine.with_fault(FAULT)
    with machine.start("--again") as program:
        person.sees()
        code, out, err = program.end()
    assert (code, out) == (1, "")
    assert "a fault of this program: ValueError" in err
    machine.with_fault("pass")
    assert machine.run("logout")[0] == 0

    issued = strict_issuer.control.issued()
    assert {name for name, _ in issued} >= {"access_token", "refresh_token", "id_token", "code"}
    for name, secret in issued:
        canary.remember(secret, name)
    seen = {"pages": "\n".join(pages).encode(), "outside": b"\n".join(machine.seen)}
    seen["daemon"] = "".join(gate.daemon.lines).encode()
    seen["gateway"] = "".join(gate.actor.lines).encode()
    seen |= files_below(folder)
    assert {"browser.env", "home/.config/sessiond/login.toml", "sessiond.db"} <= set(seen)
    assert {where for where, text in seen.items() if canary.found_in(text)} == set()
    assert len(machine.seen) > 10
