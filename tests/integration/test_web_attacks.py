"""In by the browser, against those who mean harm: neighbours, issuers, full disks."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sessiond.testing import FakeProcess
from tests.integration.conftest import Connected, Start
from tests.integration.test_reload import reload
from tests.integration.test_storage_faults import disk_full
from tests.integration.test_web_bearers import opened
from tests.integration.test_web_sign_in import (
    BASE,
    COOKIE,
    ROLES,
    SECOND,
    Arrive,
    Configured,
    arrive,
    configured,
)
from tests.issuer.control import IssuerControl
from tests.issuer.running import ALICE, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration
from tests.web_gateway import Gateway

__all__ = ["arrive", "configured"]

Fault = Callable[[IssuerControl], object]


def troubles(daemon: RunningDaemon) -> list[dict[str, Any]]:
    """Return what the daemon calls an error of its own."""
    return [line for line in daemon.log() if line["level"] in ("error", "critical")]


def test_a_neighbour_has_nothing_of_what_it_sees_of_another_process(
    strict_issuer: RunningIssuer, configured: Configured, start: Start, arrive: Arrive
) -> None:
    daemon = start(configured(bases=f"{BASE} {SECOND}"))
    with PeerFarm(daemon.address, 2) as farm:
        q, other = (FakeProcess(each) for each in farm.sockets)
        q.hello("gw1")
        other.hello("gw2")
        victim, thief = arrive(q), arrive(other)
        target = victim.begin("/wanted")
        strict_issuer.control.fault("/token", "hold")
        assert victim.get(target).status == 202
        thief.cookies = dict(victim.cookies)
        assert thief.get(target).status == 403  # while the issuer is asked
        strict_issuer.control.clear_faults()
        daemon.logged(1, event="sign-in", outcome="accepted")
        assert thief.get(target).status == 403  # and once there is a result
        assert COOKIE not in thief.cookies
        assert victim.follow(target).location == f"{BASE}/wanted"
        answer = victim.get().answer
        thief.cookies = dict(victim.cookies)
        assert thief.get().action == "redirect"  # to sign in
        thief.get(answer["signout"].removeprefix(BASE))
        assert opened(other, answer["session"], 9) == UUID(int=0)
        assert victim.get().answer["session"] == answer["session"]
        assert other.sessions() == []
        q.close()
        other.close()


def answering(status: int = 200, **body: object) -> Fault:
    return lambda control: control.fault("/token", "answer", status=status, body=body)


def saying(text: str) -> Fault:
    return lambda control: control.fault(
        "/token", "raw", status=200, content_type="application/json", text=text
    )


BEARER: dict[str, Any] = {"access_token": "a.b.c", "token_type": "Bearer"}
ISSUERS: dict[str, Fault] = {
    "a page": lambda control: control.fault("/token", "html"),
    "nothing": lambda control: control.fault("/token", "empty"),
    "no answer": lambda control: control.fault("/token", "drop"),
    "another address": lambda control: control.fault("/token", "redirect"),
    "its own trouble": answering(500),
    "an error that is none": answering(400, error=["x"], error_description=5),
    "an error for people's eyes": answering(400, error="<b>x</b>", error_description="\r\nX: y"),
    "no token": answering(token_type="Bearer"),
    "a token of another kind": answering(access_token="a" * 99, token_type="mac"),
    "an ID token that is none": answering(**BEARER, id_token="x.y.z", refresh_token="r" * 99),
    "lists": answering(**BEARER, id_token=[1], refresh_token=["r"]),
    "half a character": saying('{"access_token":"\\ud800","token_type":"Bearer"}'),
    "three megabytes": saying(f'{{"access_token":"{"a" * 3_000_000}","token_type":"Bearer"}}'),
    "a deep hole": saying("[" * 100_000),
}


def test_whatever_an_issuer_gives_for_a_code_signs_nobody_in_and_harms_nothing(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    q = process(daemon)
    for name, fault in ISSUERS.items():
        browser = arrive(q)
        target = browser.begin("/wanted")
        fault(strict_issuer.control)
        page = browser.follow(target)
        assert (page.action, page.status in (403, 503)) == ("deny", True), name
        assert "<b>x" not in page.answer["body"]
        assert not [value for name, value in page.headers if name == "X"]
        assert browser.cookies == {}, name  # not even that of the sign-in
    assert q.sessions() == []
    assert arrive(q).sign_in().answer["user"] == ALICE
    assert troubles(daemon) == []


def test_an_issuer_that_hangs_at_the_start_keeps_no_q_process_waiting(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    for _ in range(9):
        strict_issuer.control.fault("openid-configuration", "hang")
    q = process(start(configured()))
    page = arrive(q).get()
    assert (page.status, page.answer["reason"]) == (503, "unavailable")
    strict_issuer.control.clear_faults()


def amid(browser: Gateway, issuer: RunningIssuer) -> str:
    """Return the target of a sign-in whose code the issuer is being asked about."""
    target = browser.begin("/wanted")
    issuer.control.fault("/token", "hold")
    assert browser.get(target).header("Refresh") == "1"
    return target


def test_a_sign_in_goes_on_over_a_reload_as_far_as_what_is_configured_then_lets_it(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser = arrive(q)
    target = amid(browser, strict_issuer)
    reload(daemon, configured(bases=SECOND))
    strict_issuer.control.clear_faults()
    page = browser.get(target)
    assert (page.action, page.status) == ("deny", 400)
    reload(daemon, configured())
    assert browser.follow(target).location == f"{BASE}/wanted"
    browser = arrive(q)
    target = amid(browser, strict_issuer)
    reload(daemon, configuration(strict_issuer, extra=ROLES))
    strict_issuer.control.clear_faults()
    assert browser.get(target).action == "basic"
    assert troubles(daemon) == []


def test_while_the_disk_is_full_nobody_signs_in_and_who_is_in_stays_until_he_signs_out(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser, late = arrive(q), arrive(q)
    session = browser.sign_in().answer["session"]
    target = late.begin("/wanted")
    with disk_full(daemon):
        page = late.follow(target)
        assert (page.action, page.answer["reason"]) == ("deny", "unavailable")
        answer = browser.get().answer
        assert answer["session"] == session
        assert browser.get(answer["signout"].removeprefix(BASE)).action == "redirect"
        assert browser.cookies == {}
    assert q.sessions() == []
    assert late.sign_in().action == "allow"
