"""The daemon is killed at each step of a session over HTTP, and nothing is half there.

A browser's life: alice signs in, a page of hers opens a websocket, she signs out. A bearer's is its
first request. Each step is one commit; LIFE and BEARER say what is on disk after it.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest

from tests.integration.conftest import Connected
from tests.integration.test_crash_steps import OnDisk, on_disk
from tests.integration.test_web_bearers import bearer, opened
from tests.integration.test_web_sign_in import (
    BASE,
    COOKIE,
    Arrive,
    Configured,
    arrive,
    asks_to_sign_in,
    configured,
)
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import DAEMON, RunningDaemon
from tests.web_gateway import Gateway

pytestmark = pytest.mark.chaos

__all__ = ["arrive", "configured"]

HANDLE = 9
SIGN_IN, UPGRADE, SIGN_OUT = range(1, 4)
OPENED = "session.opened"
LIFE = (
    OnDisk(),
    OnDisk(("web",), grants=1, tokens=2, events=(OPENED,)),
    OnDisk(("open", "web"), grants=1, tokens=2, events=(OPENED, OPENED)),
    OnDisk((), tokens=2, events=(OPENED, OPENED, "session.closed", "session.revoked")),
)
BEARER = (OnDisk(), OnDisk(("web",), grants=1, tokens=1, events=(OPENED,)))
Dying = Callable[[str, str, int], RunningDaemon]


@pytest.fixture
def dying(folder: Path) -> Iterator[Dying]:
    """Start a daemon that dies at a moment of its n-th commit."""
    with ExitStack() as stack:

        def run(text: str, moment: str, number: int) -> RunningDaemon:
            program = ["-m", "tests.chaos.dying", moment, str(number)]
            daemon = stack.enter_context(RunningDaemon(folder, text, program=program))
            daemon.program = DAEMON  # started again, it lives
            return daemon

        yield run


@dataclass
class Shown:
    """What a browser or a program was shown before the daemon died."""

    steps: list[int] = field(default_factory=list)  # acknowledged
    session: UUID | None = None
    signs_out: str = ""  # the target that does
    child: UUID | None = None


def live(browser: Gateway, target: str, daemon: RunningDaemon) -> Shown:
    """Live a browser's life, from its way back on, until the daemon dies."""
    shown = Shown()
    with suppress(ConnectionError):
        page = browser.follow(target)
        assert page.location == f"{BASE}/wanted"
        shown.steps.append(SIGN_IN)
        answer = browser.get("/wanted").answer
        shown.session = answer["session"]
        shown.signs_out = answer["signout"].removeprefix(BASE)
        shown.child = opened(browser.q, answer["session"], HANDLE)
        shown.steps.append(UPGRADE)
        assert browser.get(shown.signs_out).status == 302
        shown.steps.append(SIGN_OUT)
    daemon.wait_until_killed()
    return shown


def states(daemon: RunningDaemon) -> int:
    """Return of how many sign-ins there is a trace."""
    with closing(sqlite3.connect(daemon.database)) as db:
        return int(db.execute("SELECT count(*) FROM used_states").fetchone()[0])


@pytest.mark.parametrize("number", [SIGN_IN, UPGRADE, SIGN_OUT])
@pytest.mark.parametrize("moment", ["torn", "committed"])
def test_what_a_browser_was_shown_is_there_and_no_step_is_half_there(
    strict_issuer: RunningIssuer,
    configured: Configured,
    dying: Dying,
    process: Connected,
    arrive: Arrive,
    moment: str,
    number: int,
) -> None:
    daemon = dying(configured(), moment, number)
    browser = arrive(process(daemon))
    target = browser.begin("/wanted")
    shown = live(browser, target, daemon)
    assert shown.steps == list(range(SIGN_IN, number))
    reached = number if moment == "committed" else number - 1
    disk = on_disk(daemon.database)
    assert replace(disk, sessions=tuple(sorted(disk.sessions))) == LIFE[reached]
    assert states(daemon) == (reached > 0)
    daemon.start()
    browser.q = process(daemon)
    if goes_on(browser, shown, is_over=reached == SIGN_OUT):
        strict_issuer.control.wait_for_calls("/revoke")  # else it takes the next sign-in along
    assert strict_issuer.control.calls("/token") == 1
    if number == SIGN_IN:  # the way back once more, of a browser that has seen no answer
        assert browser.follow(target).action == "deny"
        assert COOKIE not in browser.cookies
        assert len(browser.q.sessions()) == reached
    assert states(daemon) == (reached > 0)
    assert browser.sign_in().answer["user"] == ALICE


def goes_on(browser: Gateway, shown: Shown, *, is_over: bool) -> bool:
    """See that what was acknowledged holds, after a start, and no more than that.

    Returns whether there was a session, which is signed out of by then.
    """
    held = {HANDLE: shown.child} if shown.child else {}
    assert browser.q.reconcile(held) == ([HANDLE] if held and is_over else [])
    page = browser.get("/wanted")
    if shown.session is None or is_over:
        assert asks_to_sign_in(page)
        assert browser.q.sessions() == [] or shown.session is None
        return False
    assert page.answer["session"] == shown.session
    expected = {shown.session, *held.values()}  # a child that nobody was told of is gone
    assert {each["session"] for each in browser.q.sessions()} == expected
    assert browser.get(shown.signs_out).status == 302
    assert browser.q.sessions() == []
    return True


@pytest.mark.parametrize(("moment", "reached"), [("torn", 0), ("committed", 1)])
def test_a_bearers_first_request_is_there_or_not_and_its_next_makes_no_second_session(
    strict_issuer: RunningIssuer,
    configured: Configured,
    dying: Dying,
    process: Connected,
    moment: str,
    reached: int,
) -> None:
    daemon = dying(configured(), moment, 1)
    token = bearer(strict_issuer)
    with pytest.raises(ConnectionError):
        process(daemon).web(bearer=token)
    daemon.wait_until_killed()
    assert on_disk(daemon.database) == BEARER[reached]
    daemon.start()
    q = process(daemon)
    before = {each["session"] for each in q.sessions()}
    assert len(before) == reached
    session = q.web(bearer=token)["session"]
    assert {each["session"] for each in q.sessions()} == before | {session} == {session}
    assert on_disk(daemon.database) == BEARER[1]
