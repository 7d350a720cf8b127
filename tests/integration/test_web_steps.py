"""In by the browser while the machine's clock is set, and where roles are slow to come by."""

from pathlib import Path

import pytest

from tests.integration.conftest import Connected, Start
from tests.integration.test_clock_steps import HOUR, SteppedDaemon
from tests.integration.test_entra import EARLY, ENTRA, SCOPE
from tests.integration.test_role_sources import acme
from tests.integration.test_web_bearers import bearer, opened
from tests.integration.test_web_sign_in import BASE, Arrive, Configured, arrive, configured
from tests.issuer.running import RunningIssuer
from tests.running_daemon import configuration
from tests.web_gateway import Gateway

__all__ = ["acme", "arrive", "configured"]

SLOW = """
[[role_source]]
plugin = "acme_roles"
mode_file = "{folder}/mode"
cache = 0
"""


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_wall_clock_set_by_mistake_ends_no_sign_in_and_no_session_over_http(
    strict_issuer: RunningIssuer,
    configured: Configured,
    folder: Path,
    process: Connected,
    arrive: Arrive,
    step: int,
) -> None:
    with SteppedDaemon(folder, configured(web="idle = 900")) as daemon:
        q, token = process(daemon), bearer(strict_issuer)
        browser, late = arrive(q), arrive(q)
        session = browser.sign_in().answer["session"]
        child = opened(q, session, 9)
        by_token = q.web(bearer=token)["session"]
        target = late.begin("/late")
        daemon.set_wall(step)
        daemon.logged(1, event="the wall clock is wrong")
        assert browser.get().answer["session"] == session
        assert q.web(bearer=token)["session"] == by_token
        assert late.follow(target).location == f"{BASE}/late"
        second = late.get("/late").answer["session"]
        daemon.set_wall(0)
        assert {each["session"] for each in q.sessions()} == {session, child, by_token, second}
        assert late.get("/late").answer["session"] == second
        assert q.pushes == []


@pytest.mark.usefixtures("acme")
def test_a_role_source_that_is_slow_has_the_browser_ask_again(
    configured: Configured, start: Start, folder: Path, process: Connected, arrive: Arrive
) -> None:
    mode = folder / "mode"
    mode.write_text("hang")
    q = process(start(configured(SLOW + "deadline = 8.0\n")))
    slow = arrive(q)
    target = slow.begin("/wanted")
    assert slow.get(target).status == 202
    assert slow.follow(target).location == f"{BASE}/wanted"
    assert slow.get("/wanted").action == "allow"


@pytest.mark.usefixtures("acme")
def test_a_role_source_that_hangs_for_too_long_lets_nobody_in_by_the_browser(
    configured: Configured, start: Start, folder: Path, process: Connected, arrive: Arrive
) -> None:
    mode = folder / "mode"
    mode.write_text("hang")
    q = process(start(configured(SLOW + "deadline = 1.0\n")))
    browser = arrive(q)
    page = browser.follow(browser.begin("/wanted"))
    assert (page.action, page.status) == ("deny", 503)
    assert q.sessions() == []
    mode.write_text("support")
    assert browser.sign_in("/wanted").answer["roles"] == ["support", "trading"]


def test_alice_signs_in_by_the_browser_at_an_issuer_of_entras_shape_and_is_refreshed(
    tls_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    tls_issuer.control.set_access_token_lifetime(10)
    tls_issuer.control.register_web_bases(BASE)
    web = f'[issuer.web]\nclient_id = "kdb-web-public"\nscope = "{SCOPE}"\n'
    web += 'parameters = {{ prompt = "consent" }}\n'  # else oidc-provider leaves offline_access out
    text = configuration(tls_issuer, extra=ENTRA + web, refresh=EARLY, web=f'bases = ["{BASE}"]')
    q = process(start(text))
    browser = Gateway(q, BASE, tls_issuer)
    session = browser.sign_in("/wanted").answer["session"]
    for lease in (1, 2):
        told = q.next_push()
        assert (told["event"], told["session"]) == ("refreshed", session)
        assert tls_issuer.control.calls("/token") == lease + 1
    browser.elsewhere.close()
