"""A person opens a page of a gateway in a real browser, and is signed in.

The gateway's certificate is of an authority made here; the browser is told that one key, and takes
no other that is not vouched for. (The issuer of these tests is on plain http.)
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import canary
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.people.chromium import Chromium
from tests.people.forms import decide_at_provider, enter_password_at_provider, sign_in_at_provider
from tests.people.operator import SESSIONCTL
from tests.people.person import Person
from tests.q.conftest import keep_secrets, starting
from tests.q.web_stage import WebStage, web_stage
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
from tests.web.stage import remember_issued, web_settings

pytestmark = [
    pytest.mark.needs("q"),
    pytest.mark.needs("browser"),
    pytest.mark.needs("real"),
    pytest.mark.timeout(120),
]
CONSENT = "Let kdb-web act for you?"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def chromium(authority: Authority) -> Iterator[Chromium]:
    """A browser that knows the gateway's key."""
    with Chromium(trusted=[authority.certificate], hosts=[HOST]) as browser:
        yield browser


@pytest.fixture(scope="module")
def stage(
    running_strict_issuer: RunningIssuer,
    authority: Authority,
    q_executable: str,
    unix_shim: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WebStage]:
    """One gateway for all tests of this file: at two ports by TLS, and plain on the loopback."""
    issuer, home = running_strict_issuer, tmp_path_factory.mktemp("web")
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="sd-")))
        keep_secrets(folder)
        tls, places = authority.serving, ((HOST, True), (HOST, True), ("localhost", False))
        servers = [
            running.enter_context(https_server(host, tls if by_tls else None))
            for host, by_tls in places
        ]
        settings = web_settings(issuer, folder, servers, 'proof_key_file = "{folder}/proof"')
        start_q = running.enter_context(starting(q_executable, home))
        yield running.enter_context(
            web_stage(settings, folder, start_q, unix_shim, servers, authority)
        )
        remember_issued(issuer)


@pytest.fixture
def people(stage: WebStage, chromium: Chromium, tmp_path: Path) -> Iterator[list[Person]]:
    """Two people, each with a browser of his own, and nobody else signed in."""
    with two_people(stage, chromium, tmp_path) as there:
        yield there


@pytest.fixture
def person(people: list[Person]) -> Person:
    return people[0]


def test_a_person_signs_in_sees_the_page_under_that_name_and_is_asked_again_when_revoked(
    stage: WebStage, person: Person
) -> None:
    tab = person.visits(f"{stage.base}/")
    assert tab.text.startswith(SIGN_IN)
    sign_in_at_provider(tab)
    assert f"Name\t{ALICE}\nRoles\treader\n" in tab.wait_until_reads(ALICE)
    assert tab.address == f"{stage.base}/"
    (session,) = stage.sessions(ALICE)
    command = [SESSIONCTL, "--control", str(stage.daemon.folder / "c"), "revoke", "--yes"]
    subprocess.run([*command, "--session", session, "--reason", "left"], check=True)
    stage.wait_until_q_knows_none()
    is_asked_to_sign_in(person, tab, f"{stage.base}/")


def test_a_page_of_fifty_requests_costs_one_call_to_the_daemon(
    stage: WebStage, person: Person
) -> None:
    tab = signed_in(person, stage, "/desk")
    stage.q.run("delete from `.sessiond.kept;")
    before, asked = stage.calls(), len(stage.servers[0].targets)
    tab.reloads()
    texts = tab.runs(
        "() => Promise.all([...Array(49).keys()].map("
        "n => fetch(`/part/${n}`).then(answer => answer.text())))"
    )
    assert all(ALICE in text for text in texts)
    assert len(stage.servers[0].targets) - asked >= 50
    assert stage.calls() - before == 1


def test_the_page_that_was_wanted_is_the_page_that_is_seen(stage: WebStage, person: Person) -> None:
    tab = signed_in(person, stage, "/desk/vod?from=2026.01.01&by=sym")
    assert tab.address == f"{stage.base}/desk/vod?from=2026.01.01&by=sym"
    assert "Page desk/vod?from=2026.01.01&by=sym for" in tab.text


def test_no_wanted_page_leads_away_from_the_gateway(stage: WebStage, person: Person) -> None:
    tab = signed_in(person, stage, "//elsewhere.test/page")
    assert tab.address.startswith(f"{stage.base}/")
    assert "Page" in tab.text


def test_a_gateway_without_tls_signs_people_in_on_the_loopback_alone(
    stage: WebStage, person: Person
) -> None:
    base = stage.bases[2]
    tab = person.visits(f"{base}/desk")
    sign_in_at_provider(tab)
    tab.wait_until_reads(f"Page desk for {ALICE}")
    assert f"sessiond-{stage.servers[2].port}" in person.cookies(base)


def test_who_is_signed_in_stays_so_when_the_daemon_starts_again(
    stage: WebStage, person: Person
) -> None:
    tab = signed_in(person, stage, "/desk")
    stage.daemon.stop()
    stage.q.wait_until("not .sessiond.ready[]")
    stage.daemon.start()
    stage.q.wait_until(".sessiond.ready[]")
    stage.q.run("delete from `.sessiond.kept;")  # ask it
    tab.reloads()
    tab.wait_until_reads(f"Page desk for {ALICE}")


def test_who_signs_out_is_signed_out_everywhere_and_no_button_brings_it_back(
    stage: WebStage, person: Person
) -> None:
    tab = signed_in(person, stage)
    (session,) = stage.sessions(ALICE)
    tab.click("text=Sign out")
    tab.click("button:has-text('Yes')")  # the issuer asks whether its own session ends too
    assert "signed out" in tab.wait_until_reads("signed out").lower()
    assert session not in stage.sessions(ALICE)
    assert person.cookies(stage.base) == {}
    tab.goes_back()
    assert "Roles" not in tab.text
    tab.goes_to(f"{stage.base}/")
    tab.wait_until_reads(SIGN_IN)


def test_a_websocket_of_a_page_is_closed_by_a_revocation(stage: WebStage, person: Person) -> None:
    tab = signed_in(person, stage, "/desk")
    assert says_hello_by_websocket(tab) == f"{ALICE} said hello"
    (child,) = stage.sessions(ALICE, state="open")
    (parent,) = stage.sessions(ALICE)
    stage.operator.revoke(session=parent)
    assert tab.runs("() => window.over") == "closed"
    assert stage.sessions(ALICE, state="open") == []
    assert child != parent


def test_four_tabs_sign_in_at_once(stage: WebStage, person: Person) -> None:
    tabs = [person.visits(f"{stage.base}/tab/{number}") for number in range(SIGN_INS_AT_ONCE)]
    for number, tab in enumerate(tabs):
        enter_password_at_provider(tab)
        if tab.text.startswith("Let"):
            decide_at_provider(tab)
        assert f"Page tab/{number} for" in tab.wait_until_reads(ALICE)


def test_who_refuses_at_the_issuer_is_told_what_to_do(stage: WebStage, person: Person) -> None:
    tab = person.visits(f"{stage.base}/")
    sign_in_at_provider(tab, agrees=False)
    text = tab.wait_until_reads("sign")
    assert tab.address.startswith(f"{stage.base}/.sessiond/callback")
    assert "access_denied" not in text
    tab.click("main a")
    tab.wait_until_reads(CONSENT)


def test_an_issuer_that_is_slow_is_waited_for_by_a_page_that_asks_again(
    stage: WebStage, person: Person, running_strict_issuer: RunningIssuer
) -> None:
    running_strict_issuer.control.fault(
        "/token", "delay", delay_ms=2500
    )  # a login's deadline is 2 s
    asked = len(stage.servers[0].targets)
    signed_in(person, stage)
    targets = stage.servers[0].targets[asked:]
    assert sum(each.startswith("/.sessiond/callback?") for each in targets) > 1


def test_an_issuer_that_refuses_the_code_is_no_dead_end(
    stage: WebStage, person: Person, running_strict_issuer: RunningIssuer
) -> None:
    refusal = {"error": "invalid_grant"}
    running_strict_issuer.control.fault("/token", status=400, body=refusal)
    tab = person.visits(f"{stage.base}/")
    sign_in_at_provider(tab)
    tab.wait_until_reads("not signed in")
    assert stage.sessions(ALICE) == []
    tab.click("main a")
    tab.wait_until_reads(ALICE)


def test_a_callback_that_was_brought_to_another_browser_signs_nobody_in(
    stage: WebStage, people: list[Person]
) -> None:
    server = stage.servers[0]
    server.drops = CALLBACK
    for count, (person, user) in enumerate(zip(people, (ALICE, BOB), strict=True), start=1):
        tab = person.visits(f"{stage.base}/")
        for _ in range(SIGN_INS_AT_ONCE - 1):
            tab.goes_to(f"{stage.base}/")  # so that each of both has begun with every cookie
        sign_in_at_provider(tab, user)
        addresses = [stage.base + target for target in server.dropped(count)]
    server.drops = None
    for person, address in zip(people, reversed(addresses), strict=True):
        tab = person.visits(address)
        assert tab.text.startswith("This sign-in is over")
        assert not [each for each in person.cookies(stage.base) if "signin" not in each]
    for person, address, user in zip(people, addresses, (ALICE, BOB), strict=True):
        assert "Roles\treader" in person.visits(address).wait_until_reads(user)


def test_a_cookie_counts_at_its_own_port_alone(stage: WebStage, person: Person) -> None:
    tab = signed_in(person, stage)
    (cookie,) = person.cookies(stage.base).items()
    assert cookie[0] == f"__Host-sessiond-{stage.servers[0].port}"
    assert tab.runs("() => document.cookie") == ""
    here, there = stage.servers[:2]
    own, others = (f"__Host-sessiond-{server.port}={cookie[1]}" for server in (here, there))
    assert ALICE in stage.asked(here, cookie=own).text
    for sent in (own, others):
        assert stage.asked(there, cookie=sent).status_code == 401
    person.forgets("localhost")
    tab.goes_to(f"{there.base}/")
    tab.wait_until_reads(SIGN_IN)


def test_a_link_of_another_site_that_asks_something_is_shown_before_it_is_followed(
    stage: WebStage, person: Person
) -> None:
    signed_in(person, stage)
    person.knows_page(
        "https://elsewhere.test/", f"<a href='{stage.base}/?delete%20trade'>Prices</a>"
    )
    tab = person.visits("https://elsewhere.test/")
    tab.click("a")
    assert ALICE not in tab.wait_until_reads("delete")
    tab.click("main a")
    assert "Page ?delete%20trade" in tab.wait_until_reads(ALICE)


def test_so_it_is_after_a_sign_in_that_a_page_of_ours_has_waited_for(
    stage: WebStage, person: Person, running_strict_issuer: RunningIssuer
) -> None:
    asked = len(stage.servers[0].targets)
    link = f"<a href='{stage.base}/?delete%20trade'>Prices</a>"
    person.knows_page("https://elsewhere.test/", link)
    tab = person.visits("https://elsewhere.test/")
    tab.click("a")
    running_strict_issuer.control.fault("/token", "delay", delay_ms=1000)
    sign_in_at_provider(tab, ALICE)
    tab.wait_until_reads("Another site has sent you here")
    for name, value in person.cookies(stage.base).items():
        canary.remember(value, name)
    targets = stage.servers[0].targets[asked:]
    assert sum(each.startswith("/.sessiond/callback?") for each in targets) > 1
    assert sum("delete" in each for each in targets) == 1  # the one that led to the sign-in
    tab.click("main a")
    assert "Page ?delete%20trade" in tab.wait_until_reads(ALICE)


def test_a_frame_of_another_site_shows_nothing(stage: WebStage, person: Person) -> None:
    signed_in(person, stage)
    frame = f"<iframe src='{stage.base}/'></iframe>"
    person.knows_page("https://elsewhere.test/", frame)
    tab = person.visits("https://elsewhere.test/")
    texts = tab.frames()
    assert len(texts) == 2
    assert not any(ALICE in text for text in texts)


def test_a_form_of_another_site_posts_nothing(stage: WebStage, person: Person) -> None:
    tab = signed_in(person, stage, "/desk")
    tab.runs("() => fetch('/order', {method: 'POST', body: 'own'}).then(sent => sent.text())")
    form = (
        f"<form method=post action='{stage.base}/order'><button name=x value=y>Win</button></form>"
    )
    person.knows_page("https://elsewhere.test/", form)
    tab = person.visits("https://elsewhere.test/")
    tab.click("button")
    tab.wait_until_reads(ALICE)  # signed in anew, and at a page that was asked for without a form
    assert stage.q.evaluate(".pages.posted") == ',"own"'


def test_a_script_of_another_site_gets_no_websocket(stage: WebStage, person: Person) -> None:
    signed_in(person, stage)
    person.knows_page("https://elsewhere.test/", "<p>Prices</p>")
    tab = person.visits("https://elsewhere.test/")
    came = tab.runs(f"""() => new Promise(told => {{
        const socket = new WebSocket('wss://{HOST}:{stage.servers[0].port}/');
        socket.onopen = () => told('open');
        socket.onclose = () => told('closed');
    }})""")
    assert came == "closed"


@pytest.mark.needs("curl")
def test_programs_are_let_in_by_a_password_or_an_access_token(
    stage: WebStage, running_strict_issuer: RunningIssuer
) -> None:
    assert "Page a for" in curl(stage, f"{stage.base}/a", "-u", "plain:pw")
    assert "401" in curl(stage, f"{stage.base}/a", "-u", "plain:wrong")
    token = running_strict_issuer.tokens(ALICE)["access_token"]
    before = stage.calls()
    for _ in range(3):
        assert ALICE in curl(stage, f"{stage.base}/a", "-H", f"Authorization: Bearer {token}")
    assert stage.calls() - before == 1
    refused = curl(stage, f"{stage.base}/a", "-H", f"Authorization: Bearer {token[:-4]}AAAA")
    assert refused.startswith("HTTP/1.1 401")
    assert re.search(r'(?im)^www-authenticate: Bearer .*error="invalid_token"', refused)


def curl(stage: WebStage, address: str, *arguments: str) -> str:
    """Return what curl gets, head and body."""
    trusted = str(stage.authority.written(stage.daemon.folder))
    places = [f"{server.host}:{server.port}:127.0.0.1" for server in stage.servers]
    resolved = [word for place in places for word in ("--resolve", place)]
    command = ["curl", "-sS", "-i", "--noproxy", "*", "--cacert", trusted, *resolved]
    done = subprocess.run([*command, *arguments, address], capture_output=True, check=True)
    return done.stdout.decode()
