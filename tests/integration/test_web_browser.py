"""A person opens a page of a gateway in a real browser, and is signed in; no q is needed for it.

The stories of tests/q/test_browser.py that the daemon itself is proved by: its pages, redirects and
cookies in Chromium. What plays q is Python.
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.people.chromium import Chromium
from tests.people.forms import sign_in_at_provider
from tests.people.operator import SESSIONCTL
from tests.people.person import Person
from tests.web.arriving import (
    CALLBACK,
    SIGN_IN,
    SIGN_INS_AT_ONCE,
    is_asked_to_sign_in,
    says_hello_by_websocket,
    signed_in,
    two_people,
)
from tests.web.authority import HOST, Authority
from tests.web.https_server import https_server
from tests.web.python_stage import PythonStage, python_stage
from tests.web.stage import remember_issued, web_settings

pytestmark = [pytest.mark.needs("browser"), pytest.mark.needs("real")]
SLOW = 1500  # ms, of which a callback's request waits 300
ASKS_FOR_FIFTY = """() => Promise.all([...Array(50).keys()].map(
    n => fetch(`/part/${n}`).then(answer => answer.text())))"""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def chromium(authority: Authority) -> Iterator[Chromium]:
    """A browser that knows the gateway's key."""
    with Chromium(trusted=[authority.certificate], hosts=[HOST]) as browser:
        yield browser


@pytest.fixture(scope="module")
def stage(running_strict_issuer: RunningIssuer, authority: Authority) -> Iterator[PythonStage]:
    """One gateway for all tests of this file."""
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="sd-")))
        server = running.enter_context(https_server(HOST, authority.serving))
        settings = web_settings(running_strict_issuer, folder, [server])
        stage = running.enter_context(python_stage(settings, folder, server, authority))
        yield stage
        remember_issued(running_strict_issuer)


@pytest.fixture
def people(stage: PythonStage, chromium: Chromium, tmp_path: Path) -> Iterator[list[Person]]:
    """Two people, each with a browser of his own, and nobody else signed in."""
    with two_people(stage, chromium, tmp_path) as there:
        yield there


@pytest.fixture
def person(people: list[Person]) -> Person:
    return people[0]


def test_a_person_signs_in_sees_the_page_under_that_name_and_is_asked_again_when_revoked(
    stage: PythonStage, person: Person
) -> None:
    tab = person.visits(f"{stage.base}/desk?by=sym")
    assert tab.text.startswith(SIGN_IN)
    sign_in_at_provider(tab)
    assert "Roles: reader" in tab.wait_until_reads(f"Page desk?by=sym for {ALICE}")
    assert tab.address == f"{stage.base}/desk?by=sym"
    (session,) = stage.sessions(ALICE)
    command = [SESSIONCTL, "--control", str(stage.daemon.folder / "c"), "revoke", "--yes"]
    subprocess.run([*command, "--session", session, "--reason", "left"], check=True)
    stage.wait_until_q_knows_none()
    is_asked_to_sign_in(person, tab, f"{stage.base}/")


def test_fifty_requests_of_a_page_cost_one_call_to_the_daemon(
    stage: PythonStage, person: Person
) -> None:
    tab = signed_in(person, stage)
    stage.server.portal.call(stage.q.forget)
    before, asked = stage.calls(), len(stage.server.targets)
    texts = tab.runs(ASKS_FOR_FIFTY)
    assert all(ALICE in text for text in texts)
    assert len(stage.server.targets) - asked == 50
    assert stage.calls() - before == 1


def test_who_signs_out_is_signed_out_at_the_issuer_too_and_is_asked_again(
    stage: PythonStage, person: Person
) -> None:
    tab = signed_in(person, stage)
    tab.click("text=Sign out")
    tab.click("button:has-text('Yes')")  # the issuer asks whether its own session ends too
    assert "signed out" in tab.wait_until_reads("signed out").lower()
    assert stage.sessions(ALICE) == []
    assert person.cookies(stage.base) == {}
    stage.wait_until_q_knows_none()
    tab.goes_to(f"{stage.base}/")
    tab.wait_until_reads(SIGN_IN)


def test_a_websocket_of_a_page_is_closed_by_a_revocation(
    stage: PythonStage, person: Person
) -> None:
    tab = signed_in(person, stage)
    assert says_hello_by_websocket(tab) == f"{ALICE} said hello"
    assert len(stage.sessions(ALICE, state="open")) == 1
    (parent,) = stage.sessions(ALICE)
    stage.operator.revoke(session=parent)
    assert tab.runs("() => window.over") == "closed"
    assert stage.sessions(ALICE, state="open") == []


def test_a_callback_that_was_brought_to_another_browser_signs_nobody_in(
    stage: PythonStage, people: list[Person]
) -> None:
    thief, victim = people
    stage.server.drops = CALLBACK
    tab = thief.visits(f"{stage.base}/")
    sign_in_at_provider(tab, BOB)
    (target,) = stage.server.dropped(1)
    tab.close()  # or it would try again
    stage.server.drops = None
    tab = victim.visits(f"{stage.base}/")
    for _ in range(SIGN_INS_AT_ONCE - 1):
        tab.goes_to(f"{stage.base}/")  # so that this one has begun with every cookie
    tab.goes_to(stage.base + target)
    assert tab.text.startswith("This sign-in is over")
    assert not [each for each in victim.cookies(stage.base) if "signin" not in each]
    thief.visits(stage.base + target).wait_until_reads(f"for {BOB}")  # so it was good


def test_an_issuer_that_is_slow_is_waited_for_by_a_page_that_asks_again(
    stage: PythonStage, person: Person, running_strict_issuer: RunningIssuer
) -> None:
    running_strict_issuer.control.fault("/token", "delay", delay_ms=SLOW)
    asked = len(stage.server.targets)
    signed_in(person, stage)
    came = [each for each in stage.server.targets[asked:] if each.startswith(f"{CALLBACK}?")]
    assert len(came) > 1
