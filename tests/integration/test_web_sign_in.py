"""In by the browser: requests with and without a cookie, at a running daemon and a real issuer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from sessiond.qipc import call, dictionary
from sessiond.testing import FakeProcess
from sessiond.testing.plain import plain_rows
from tests import canary
from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator, watching
from tests.integration.test_access import ceiling, only
from tests.integration.test_follow import BACKENDS
from tests.integration.test_reload import reload
from tests.integration.test_web_bearers import bearer, denial, opened
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.peers import PeerFarm
from tests.running_daemon import RunningDaemon, configuration
from tests.web_gateway import CALLBACK, Gateway, Page

BASE, SECOND = "https://gw.test:5007", "https://gw.test:5008"
COOKIE = "__Host-sessiond-5007"
ROLES = '[issuer.roles]\ntrader = "trading"\n'
OFTEN = "share = 0.1\njitter = 0.0"

Configured = Callable[..., str]
Arrive = Callable[..., Gateway]


@pytest.fixture
def configured(strict_issuer: RunningIssuer, folder: Path) -> Configured:
    """Return what makes a configuration by which people sign in by the browser."""
    secret = folder / "web.secret"
    secret.write_text("kdb-web-secret\n")
    secret.chmod(0o600)

    def make(
        *access: str, client: str = "kdb-web", web: str = "", bases: str = BASE, **sections: str
    ) -> str:
        origins = bases.split()
        strict_issuer.control.register_web_bases(*origins)
        keys = f'[issuer.web]\nclient_id = "{client}"\n'
        if client == "kdb-web":
            keys += 'client_secret_file = "{folder}/web.secret"\n'
        sections["web"] = f"bases = {origins}\n{web}"
        return configuration(strict_issuer, extra=ROLES + keys, **sections) + "".join(access)

    return make


@pytest.fixture
def arrive(strict_issuer: RunningIssuer) -> Iterator[Arrive]:
    """Return what opens a new browser at a q process."""
    with ExitStack() as stack:

        def browser(q: FakeProcess, base: str = BASE) -> Gateway:
            gateway = Gateway(q, base, strict_issuer)
            stack.callback(gateway.elsewhere.close)
            return gateway

        yield browser
        for name, secret in strict_issuer.control.issued():
            canary.remember(secret, name)  # the daemon has them, and shows none


def counted(daemon: RunningDaemon, name: str) -> float:
    """Return a metric's value, its labels as the exposition has them."""
    with Operator(daemon) as operator:
        lines = operator.ask("GET", "/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def asks_to_sign_in(page: Page) -> bool:
    """Say whether the browser is sent to the issuer."""
    return page.action == "redirect" and "/authorize?" in page.location


@pytest.mark.parametrize("client", ["kdb-web", "kdb-web-public"])
def test_a_person_signs_in_and_is_let_in_by_a_cookie_from_then_on(
    configured: Configured, start: Start, process: Connected, arrive: Arrive, client: str
) -> None:
    daemon = start(configured(client=client))
    q = process(daemon)
    browser = arrive(q)
    page = browser.sign_in("/board?day=1&x=%20y")
    assert page.answer["user"] == ALICE
    assert page.answer["roles"] == ["trading"]
    assert page.answer["signout"].startswith(f"{BASE}/.sessiond/signout?t=")
    assert (page.status, page.answer["headers"], page.answer["body"]) == (0, "", "")
    assert page.answer["keep"] == 60 * 10**9
    assert COOKIE in browser.cookies
    assert not [name for name in browser.cookies if "signin" in name]
    again = browser.get("/other", accept="*/*")
    assert again.answer["session"] == page.answer["session"]
    [held] = q.sessions()
    assert (held["session"], held["handle"]) == (page.answer["session"], 0)
    assert counted(daemon, 'sessiond_web_sign_ins_total{issuer="corp",outcome="begun"}') == 1
    assert counted(daemon, 'sessiond_web_sign_ins_total{issuer="corp",outcome="finished"}') == 1
    assert counted(daemon, "sessiond_web_callback_seconds_count") == 1
    assert counted(daemon, 'sessiond_web_requests_total{action="allow"') == 2


def test_requests_of_a_live_session_cost_no_commit(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    browser, token = arrive(process(daemon)), bearer(strict_issuer)
    browser.sign_in()
    browser.get(bearer=token)
    before = counted(daemon, "sessiond_commits_total")
    for _ in range(50):
        assert browser.get().action == browser.get(bearer=token).action == "allow"
    assert counted(daemon, "sessiond_commits_total") == before


def test_a_cookie_counts_at_its_own_process_and_its_own_base_alone(
    configured: Configured, start: Start, arrive: Arrive
) -> None:
    daemon = start(configured(bases=f"{BASE} {SECOND}"))
    with PeerFarm(daemon.address, 2) as farm:
        q, other = (FakeProcess(each) for each in farm.sockets)
        q.hello("gw1")
        other.hello("gw2")
        browser = arrive(q)
        browser.sign_in()
        stolen = dict(browser.cookies)
        for at, base in ((other, BASE), (q, SECOND)):
            elsewhere = arrive(at, base)
            elsewhere.cookies = {
                name.replace("5007", str(urlsplit(base).port)): value
                for name, value in stolen.items()
            }
            assert asks_to_sign_in(elsewhere.get())
        assert browser.get().action == "allow"
        q.close()
        other.close()


def test_a_web_session_is_refreshed_as_every_other(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    strict_issuer.control.set_access_token_lifetime(20)
    q = process(start(configured(refresh=OFTEN)))
    browser = arrive(q)
    first = browser.sign_in().answer
    push = q.next_push()
    assert (push["event"], push["handle"], push["session"]) == ("refreshed", 0, first["session"])
    assert browser.get().answer["expires"] >= push["expires"] > first["expires"]


def test_who_is_revoked_is_asked_to_sign_in_by_the_next_request(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser = arrive(q)
    session = browser.sign_in().answer["session"]
    with Operator(daemon) as operator:
        assert operator.revoke(session=str(session))["revoked"] == 1
    push = q.next_push()
    assert (push["event"], push["session"], push["handle"]) == ("revoked", session, 0)
    script = browser.get("/data", accept="application/json")
    assert (script.action, script.status) == ("deny", 401)
    assert "WWW-Authenticate: Basic" not in script.answer["headers"]
    assert asks_to_sign_in(browser.get())
    assert browser.sign_in().answer["session"] != session  # it was that session, not the person


def test_a_signed_out_session_is_over_here_and_at_the_issuer(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser = arrive(q)
    answer = browser.sign_in().answer
    target = answer["signout"].removeprefix(BASE)
    assert browser.get(f"{target[:-4]}AAAA").action != "redirect"  # nobody is signed out by a link
    assert browser.get().action == "allow"
    page = browser.get(target)
    leaving = urlsplit(page.location)
    assert page.status == 302
    assert parse_qs(leaving.query) == {
        "client_id": ["kdb-web"],
        "post_logout_redirect_uri": [BASE + CALLBACK],
    }
    assert COOKIE not in browser.cookies
    with watching(daemon, after=0) as stream:
        closed = stream.until("session.closed")[-1]
    assert (closed["session"], closed["reason"]) == (str(answer["session"]), "signout")
    strict_issuer.control.wait_for_calls("/revoke")
    back = browser.get(browser.logged_out(page.location).removeprefix(BASE))
    assert (back.action, back.status) == ("deny", 200)
    assert "signed out" in back.answer["body"].lower()
    assert asks_to_sign_in(browser.get())
    assert browser.sign_in(user=BOB).answer["user"] == BOB  # the issuer asks who it is


def test_a_sign_in_goes_on_over_the_daemons_kill_and_so_does_its_session(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    daemon = start(configured())
    browser = arrive(process(daemon))
    target = browser.begin("/wanted")
    daemon.kill()
    daemon.start()
    browser.q = process(daemon)
    page = browser.follow(target)
    assert page.location == f"{BASE}/wanted"
    session = browser.get("/wanted").answer["session"]
    daemon.kill()
    daemon.start()
    browser.q = process(daemon)
    assert browser.get().answer["session"] == session
    assert browser.q.reconcile({}) == []
    assert browser.get().answer["session"] == session


def test_a_sign_in_that_the_daemon_was_killed_in_goes_on_where_the_code_is_not_spent(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    browser = arrive(process(daemon))
    target = browser.begin("/wanted")
    strict_issuer.control.fault("/token", "hold")
    assert browser.get(target).header("Refresh") == "1"
    daemon.kill()
    strict_issuer.control.clear_faults()  # nobody is there any more whom it could answer
    daemon.start()
    browser.q = process(daemon)
    assert browser.follow(target).location == f"{BASE}/wanted"
    assert len(browser.q.sessions()) == 1


def left_before_its_end(browser: Gateway, issuer: RunningIssuer, daemon: RunningDaemon) -> str:
    """Leave a sign-in whose session is made a moment later; return its callback."""
    target = browser.begin()
    issuer.control.fault("/token", "delay", delay_ms=600)
    assert browser.get(target).header("Refresh") == "1"
    daemon.logged(1, event="sign-in", outcome="accepted")
    return target


def test_a_sign_in_that_the_daemon_was_killed_after_is_to_be_begun_again(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    browser = arrive(process(daemon))
    target = left_before_its_end(browser, strict_issuer, daemon)
    daemon.kill()
    daemon.start()
    browser.q = process(daemon)
    page = browser.follow(target)  # whose cookie nobody knows any more; the code is spent
    assert page.action == "deny"
    assert "text/html" in page.header("Content-Type")
    assert COOKIE not in browser.cookies
    assert len(browser.q.sessions()) <= 1
    assert browser.sign_in().answer["user"] == ALICE


def test_a_session_that_no_browser_has_come_for_ends_when_the_daemon_stops(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    browser = arrive(process(daemon))
    left_before_its_end(browser, strict_issuer, daemon)
    assert daemon.stop() == 0
    daemon.start()
    browser.q = process(daemon)
    assert browser.q.sessions() == []
    with watching(daemon, after=0) as stream:
        assert stream.until("session.closed")[-1]["reason"] == "signout"


def test_a_session_waits_for_its_process_for_grace_and_no_longer(
    configured: Configured, start: Start, arrive: Arrive
) -> None:
    daemon = start(configured(login="grace = 1.0"))
    with FakeProcess(daemon.address) as q:
        q.hello()
        browser = arrive(q)
        session = browser.sign_in().answer["session"]
    with FakeProcess(daemon.address) as q:
        q.hello()
        browser.q = q
        assert browser.get().answer["session"] == session
    with watching(daemon, after=0) as stream:
        assert stream.until("session.closed")[-1]["reason"] == "lost"
    with FakeProcess(daemon.address) as q:
        q.hello()
        browser.q = q
        assert asks_to_sign_in(browser.get())


def test_a_callback_that_is_brought_again_makes_no_second_session(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    q = process(start(configured()))
    browser, thief = arrive(q), arrive(q)
    target = browser.begin()
    assert thief.get(target).action == "deny"  # who has the address alone
    cookies = dict(browser.cookies)
    assert browser.follow(target).action == "redirect"
    thief.cookies = cookies
    page = thief.follow(target)
    assert COOKIE not in thief.cookies or page.action != "redirect"
    assert len(q.sessions()) == 1


def test_a_swapped_callback_signs_nobody_in_as_somebody_else(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    q = process(start(configured()))
    victim, attacker = arrive(q), arrive(q)
    mine = attacker.begin(user=BOB)
    victim.get()  # has begun a sign-in of its own
    page = victim.get(mine)
    assert (page.action, page.status) == ("deny", 403)
    assert COOKIE not in victim.cookies
    assert q.sessions() == []


def test_a_slow_issuer_has_the_browser_ask_again(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    q = process(start(configured(login="deadline = 1.0")))
    browser = arrive(q)
    target = browser.begin()
    strict_issuer.control.fault("/token", "delay", delay_ms=1500)
    page = browser.get(target)
    assert (page.action, page.status, page.header("Refresh")) == ("deny", 202, "1")
    assert browser.follow(target).location == f"{BASE}/"
    assert browser.get().answer["user"] == ALICE


def test_who_says_no_at_the_issuer_is_shown_what_to_do(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser = arrive(q)
    query = parse_qs(urlsplit(browser.get().location).query)
    issuer = query.get("iss", [""])[0]
    said = f"error=access_denied&state={query['state'][0]}&iss={issuer}"
    page = browser.get(f"{CALLBACK}?{said}")
    assert page.action == "deny"
    assert "text/html" in page.header("Content-Type")
    assert q.sessions() == []


def test_what_the_process_asks_of_people_is_asked_of_the_issuer(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    q = process(start(configured(ceiling(max_age=3600))))
    browser = arrive(q)
    asked = parse_qs(urlsplit(browser.get().location).query)
    assert asked["max_age"] == ["3600"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [BASE + CALLBACK]
    assert browser.sign_in().answer["user"] == ALICE


def test_a_session_follows_the_access_rules_of_now(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser = arrive(q)
    session = browser.sign_in().answer["session"]
    child = opened(q, session, 9)
    reload(daemon, configured(only("nothing")))
    ended = {push["handle"]: push for push in (q.next_push(), q.next_push())}
    assert {push["event"] for push in ended.values()} == {"revoked"}
    assert {ended[0]["session"], ended[9]["session"]} == {session, child}
    assert asks_to_sign_in(browser.get())


def test_a_reload_takes_bases_and_times_as_they_are_by_then(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser = arrive(q)
    session = browser.sign_in().answer["session"]
    reload(daemon, configured(web="idle = 100.0"))
    kept = browser.get().answer
    assert (kept["session"], kept["keep"]) == (session, 10 * 10**9)
    reload(daemon, configured(bases=SECOND))
    page = browser.get()
    assert (page.action, page.status) == ("deny", 400)
    assert "gw.test" not in page.answer["body"]
    reload(daemon, configured(client="kdb-web-public"))
    assert asks_to_sign_in(arrive(q).get())
    assert browser.get().answer["session"] == session


def test_a_backend_that_follows_is_told_of_who_is_in_by_the_browser(
    configured: Configured, start: Start, arrive: Arrive
) -> None:
    daemon = start(configured(BACKENDS.replace('["read*", "admin"]', '["*"]')))
    with PeerFarm(daemon.address, 2) as farm:
        q, rdb = (FakeProcess(each) for each in farm.sockets)
        q.hello("gw1")
        rdb.hello("rdb1")
        assert plain_rows(rdb.sync(call("follow", dictionary({})))) == []
        browser = arrive(q)
        browser.sign_in()
        told = rdb.next_push()
        assert (told["event"], told["user"], told["gone"]) == ("standing", ALICE, False)
        browser.get(browser.get().answer["signout"].removeprefix(BASE))
        told = rdb.next_push()
        assert (told["event"], told["user"], told["gone"]) == ("standing", ALICE, True)
        q.close()
        rdb.close()


HOSTILE: dict[str, dict[str, str]] = {
    "another host": {"host": "evil.test"},
    "no host": {"host": ""},
    "a host with a line break": {"host": "gw.test:5007\r\nX: y"},
    "another origin": {"origin": "https://evil.test"},
    "the origin null": {"origin": "null"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_cookie_counts_for_its_own_pages_alone(
    configured: Configured, start: Start, process: Connected, arrive: Arrive, name: str
) -> None:
    browser = arrive(process(start(configured())))
    browser.sign_in()
    page = browser.get("/page", **HOSTILE[name])
    assert page.action == "deny"
    assert page.status in (400, 403)
    assert "X: y" not in page.answer["headers"]
    assert browser.get("/page", origin=BASE).action == "allow"


def test_a_link_from_elsewhere_runs_nothing_of_q(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    browser = arrive(process(start(configured())))
    browser.sign_in()
    page = browser.get("/?exit%200", site="cross-site")
    assert page.action == "deny"
    assert "text/html" in page.header("Content-Type")
    assert browser.get("/?exit%200", site="same-origin").action == "allow"
    assert browser.get("/page", site="cross-site").action == "allow"


ELSEWHERE = [
    "//evil.test/x",
    "/\\evil.test/x",
    "https://evil.test/x",
    "/x\r\nSet-Cookie: a=b",
    "/x\x00\t y\u00e9",
    "/.sessiond/signout?t=a",
    "/" + "x" * 5000,
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_whatever_was_wanted_a_browser_stays_where_it_is(
    configured: Configured, start: Start, process: Connected, arrive: Arrive, target: str
) -> None:
    browser = arrive(process(start(configured())))
    if target.startswith("/.sessiond"):
        assert not asks_to_sign_in(browser.get(target))
        return
    page = browser.follow(browser.begin(target))
    assert page.status == 302
    assert page.location.startswith(f"{BASE}/")
    assert urlsplit(page.location).netloc == urlsplit(BASE).netloc
    assert page.location.isascii()
    assert page.location.isprintable()
    assert not [value for name, value in page.headers if value.startswith("a=b")]


def test_a_session_ends_at_its_end_however_much_it_is_used(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    q = process(start(configured(web="session = 2.0")))
    browser = arrive(q)
    session = browser.sign_in().answer["session"]
    while (page := browser.get()).action == "allow":  # the deadline of this loop is the session's
        assert page.answer["session"] == session
    assert asks_to_sign_in(page)
    push = q.next_push()
    assert (push["session"], push["handle"]) == (session, 0)


def test_without_an_issuer_to_sign_in_at_browsers_are_asked_for_a_password_from_then_on(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    daemon = start(configured())
    browser = arrive(process(daemon))
    browser.sign_in()
    reload(daemon, configuration(strict_issuer, extra=ROLES))
    assert browser.get().action == "basic"
    assert browser.get(bearer=bearer(strict_issuer)).action == "allow"
    reload(daemon, configured())
    assert browser.get().action == "allow"


def test_beside_a_bearer_no_cookie_counts(
    strict_issuer: RunningIssuer,
    configured: Configured,
    start: Start,
    process: Connected,
    arrive: Arrive,
) -> None:
    browser = arrive(process(start(configured())))
    browser.sign_in()
    assert denial(browser.get(bearer="none").answer) == ("deny", 401, "malformed")
    assert browser.get(bearer=bearer(strict_issuer, BOB)).answer["user"] == BOB


def test_many_sign_ins_that_are_never_finished_keep_nothing(
    configured: Configured, start: Start, process: Connected, arrive: Arrive
) -> None:
    daemon = start(configured())
    q = process(daemon)
    browser = arrive(q)
    for _ in range(300):
        assert asks_to_sign_in(arrive(q).get())
    assert q.sessions() == []
    assert browser.sign_in().answer["user"] == ALICE
