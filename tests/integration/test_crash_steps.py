"""The daemon is killed at each step of a session's life, and nothing acknowledged is lost.

One life: alice logs in, the handle is opened, she renews with a pair whose lease is short, that is
refreshed, she leaves. Each step is one commit; LIFE says what is on disk after it. Where the new
access token is signed with a key that is not at hand, the new refresh token has a commit of its
own before the verdict's.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Start
from tests.integration.test_login import pair
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import DAEMON, RunningDaemon, configuration

pytestmark = pytest.mark.chaos

HANDLE = 5
DUE = 0.01  # of a lease: 0.6 s of one of a minute, 36 s of one of an hour
MINUTE, HOUR = 60, 3600  # seconds
QUICK = f"share = {DUE}\njitter = 0.0"
Q_EPOCH = 946_684_800_000_000_000  # nanoseconds from 1970 to 2000
LOGIN, BIND, RENEW, BEGIN, REFRESH, CLOSE = range(1, 7)
ROTATE, REFRESH_ALONE = 5, 6  # where a key has to be fetched in between
Dying = Callable[[RunningIssuer, str, int], RunningDaemon]


@dataclass(frozen=True)
class OnDisk:
    """What a database holds, as far as half a step would show."""

    sessions: tuple[str, ...] = ()  # their states
    grants: int = 0
    in_flight: int = 0
    tokens: int = 0  # traces
    events: tuple[str, ...] = ()


RENEWED = ("session.opened", "session.renewed")
LIFE = (
    OnDisk(),
    OnDisk(("unbound",), grants=1, tokens=2),
    OnDisk(("open",), grants=1, tokens=2, events=RENEWED[:1]),
    OnDisk(("open",), grants=1, tokens=4, events=RENEWED),
    OnDisk(("open",), grants=1, tokens=4, events=RENEWED, in_flight=1),
    OnDisk(("open",), grants=1, tokens=5, events=(*RENEWED, "session.refreshed")),
    OnDisk((), grants=1, tokens=5, events=(*RENEWED, "session.refreshed", "session.closed")),
)
ROTATED = OnDisk(("open",), grants=1, tokens=5, events=RENEWED)


@dataclass
class Told:
    """What the process was told before the daemon died."""

    session: UUID | None = None
    steps: list[int] = field(default_factory=list)  # acknowledged
    expires: int = 0  # the newest that it was told
    is_held: bool = False  # the user is on the handle

    @property
    def held(self) -> dict[int, UUID]:
        return {HANDLE: self.session} if self.is_held and self.session else {}


@pytest.fixture
def dying(folder: Path) -> Iterator[Dying]:
    """Start a daemon that dies at a moment of its n-th commit."""
    with ExitStack() as stack:

        def run(issuer: RunningIssuer, moment: str, number: int) -> RunningDaemon:
            text = configuration(issuer, refresh=QUICK)
            program = ["-m", "tests.chaos.dying", moment, str(number)]
            daemon = stack.enter_context(RunningDaemon(folder, text, program=program))
            daemon.program = DAEMON  # started again, it lives
            return daemon

        yield run


@pytest.fixture(params=["strict_issuer", "entra_issuer"])
def issuer(request: pytest.FixtureRequest) -> RunningIssuer:
    """Each habit of rotating refresh tokens."""
    found: RunningIssuer = request.getfixturevalue(request.param)
    return found


def long_and_short(issuer: RunningIssuer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return tokens of an hour and of a minute; what is refreshed lasts for an hour again."""
    long = issuer.tokens()
    issuer.control.set_access_token_lifetime(MINUTE)
    short = issuer.tokens()
    issuer.control.set_access_token_lifetime(HOUR)
    return long, short


def live(issuer: RunningIssuer, daemon: RunningDaemon, *, with_new_key: bool = False) -> Told:
    """Live alice's life until the daemon dies, noting what is acknowledged.

    Args:
        issuer: Whose tokens she has.
        daemon: The one that dies.
        with_new_key: What is refreshed is signed with a key that the daemon has not seen.
    """
    told = Told()
    long, short = long_and_short(issuer)
    with FakeProcess(daemon.address) as q, suppress(ConnectionError):
        q.hello()
        answer = q.connect(ALICE, pair(long), HANDLE)
        assert answer["ok"], answer["reason"]
        told.session, told.expires, told.is_held = answer["session"], answer["expires"], True
        told.steps.append(LOGIN)
        if with_new_key:
            issuer.control.rotate_keys()
        q.opened(answer["session"], HANDLE)
        q.ping()
        told.steps.append(BIND)
        told.expires = q.renew(answer["session"], pair(short))["expires"]
        told.steps.append(RENEW)
        push = q.next_push()
        assert push["event"] == "refreshed", push["reason"]
        told.expires = push["expires"]
        told.steps += [BEGIN, REFRESH]
        told.is_held = False
        q.disconnect(HANDLE)
        q.ping()
        told.steps.append(CLOSE)
    daemon.wait_until_killed()
    return told


def on_disk(database: Path) -> OnDisk:
    """Read a copy, so that the daemon finds what its death has left."""
    copy = database.with_name("copy.db")
    for suffix in ("", "-wal"):
        shutil.copy(f"{database}{suffix}", f"{copy}{suffix}")
    with closing(sqlite3.connect(copy)) as db:
        assert list(db.execute("PRAGMA integrity_check")) == [("ok",)]
        return OnDisk(
            sessions=tuple(state for (state,) in db.execute("SELECT state FROM sessions")),
            grants=db.execute("SELECT count(*) FROM grants").fetchone()[0],
            in_flight=db.execute("SELECT count(in_flight_since) FROM grants").fetchone()[0],
            tokens=db.execute("SELECT count(*) FROM tokens").fetchone()[0],
            events=tuple(
                kind
                for (kind,) in db.execute("SELECT body ->> 'kind' FROM events ORDER BY sequence")
            ),
        )


@pytest.mark.parametrize("number", [LOGIN, BIND, RENEW, CLOSE])
@pytest.mark.parametrize("moment", ["torn", "committed"])
def test_what_was_acknowledged_is_there_and_no_step_is_half_there(
    strict_issuer: RunningIssuer, dying: Dying, moment: str, number: int
) -> None:
    daemon = dying(strict_issuer, moment, number)
    told = live(strict_issuer, daemon)
    reached = number if moment == "committed" else number - 1
    assert told.steps == list(range(1, number))
    assert on_disk(daemon.database) == LIFE[reached]
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile(told.held) == []
        seen = {each["handle"]: each["session"] for each in q.sessions()}
    if (moment, number) == ("committed", LOGIN):  # it stands, but its answer was never heard
        assert list(seen) == [HANDLE]
    else:
        assert seen == told.held


@pytest.mark.parametrize(("moment", "reached"), [("torn", RENEW), ("committed", BEGIN)])
def test_killed_before_the_issuer_is_asked_it_refreshes_once_and_the_session_lives(
    issuer: RunningIssuer, dying: Dying, moment: str, reached: int
) -> None:
    daemon = dying(issuer, moment, BEGIN)
    told = live(issuer, daemon)
    assert told.steps == [LOGIN, BIND, RENEW]
    assert on_disk(daemon.database) == LIFE[reached]
    assert issuer.control.calls("/token") == 0
    assert_refreshed_once(issuer, daemon, told, asked=0)


@pytest.mark.parametrize(
    ("moment", "number"), [("committed", ROTATE), ("torn", REFRESH_ALONE)], ids=str
)
def test_killed_while_a_key_is_fetched_the_new_token_is_refreshed_once_and_the_session_lives(
    issuer: RunningIssuer, dying: Dying, moment: str, number: int
) -> None:
    daemon = dying(issuer, moment, number)
    told = live(issuer, daemon, with_new_key=True)
    assert told.steps == [LOGIN, BIND, RENEW]
    assert on_disk(daemon.database) == ROTATED
    assert issuer.control.calls("/token") == 1
    assert_refreshed_once(issuer, daemon, told, asked=1)


def test_killed_after_all_was_written_it_does_not_refresh_again(
    issuer: RunningIssuer, dying: Dying
) -> None:
    daemon = dying(issuer, "committed", REFRESH)
    told = live(issuer, daemon)
    assert told.steps == [LOGIN, BIND, RENEW]  # the process was not told of the refresh
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile(told.held) == []
        (live_on,) = q.sessions()
        assert live_on["session"] == told.session
        assert live_on["expires"] > told.expires
        assert q.pushes == []
    assert issuer.control.calls("/token") == 1


def assert_refreshed_once(
    issuer: RunningIssuer, daemon: RunningDaemon, told: Told, *, asked: int
) -> None:
    """Start the daemon again: it asks once more, and the session goes on with the new lease."""
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        issuer.control.wait_for_calls("/token", asked + 1)
        assert q.reconcile(told.held) == []
        while (live_on := q.sessions())[0]["expires"] == told.expires:
            pass  # the test's timeout ends this
        assert [each["session"] for each in live_on] == [told.session]
        assert {push["event"] for push in q.pushes} <= {"refreshed"}
    assert issuer.control.calls("/token") == asked + 1
    assert on_disk(daemon.database).in_flight == 0


def test_killed_with_the_answer_in_hand_a_strict_issuer_wants_a_new_login(
    strict_issuer: RunningIssuer, dying: Dying
) -> None:
    daemon = dying(strict_issuer, "torn", REFRESH)
    told = live(strict_issuer, daemon)
    assert on_disk(daemon.database) == LIFE[BEGIN]
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        if q.reconcile(told.held) == []:  # else it was refused before the process was back
            push = q.next_push()
            assert (push["event"], push["session"], push["handle"]) == (
                "revoked",
                told.session,
                HANDLE,
            )
            assert push["reason"] == "refused"
        assert q.sessions() == []
        assert strict_issuer.control.calls("/token") == 2  # the old one was tried once, no more
        assert q.log_in(ALICE, pair(strict_issuer.tokens()), HANDLE)["session"] != told.session
    assert on_disk(daemon.database).events[-2:] == ("session.revoked", "session.opened")


def test_killed_with_the_answer_in_hand_the_session_lives_on_where_the_old_token_stays_good(
    entra_issuer: RunningIssuer, dying: Dying
) -> None:
    daemon = dying(entra_issuer, "torn", REFRESH)
    told = live(entra_issuer, daemon)
    assert on_disk(daemon.database) == LIFE[BEGIN]
    assert_refreshed_once(entra_issuer, daemon, told, asked=1)


def test_killed_while_the_issuer_is_at_work_it_asks_once_more_and_no_oftener(
    issuer: RunningIssuer, start: Start
) -> None:
    issuer.control.fault("/token", "hold", count=2)
    daemon = start(configuration(issuer, refresh=QUICK))
    _, short = long_and_short(issuer)
    told = Told()
    with FakeProcess(daemon.address) as q:
        q.hello()
        answer = q.log_in(ALICE, pair(short), HANDLE)
        told.session, told.expires, told.is_held = answer["session"], answer["expires"], True
        issuer.control.wait_for_calls("/token")
        daemon.kill()
    assert on_disk(daemon.database).in_flight == 1
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        issuer.control.wait_for_calls("/token", 2)
        assert q.reconcile(told.held) == []
        # Others log in on the same grant meanwhile: that begins no other refresh.
        second = q.log_in(ALICE, pair(short), HANDLE + 1)["session"]
        issuer.control.clear_faults()
        told_of = [q.next_push() for _ in range(2)]
        assert {push["event"] for push in told_of} == {"refreshed"}
        assert {push["session"] for push in told_of} == {told.session, second}
        assert {each["expires"] for each in q.sessions()} == {told_of[0]["expires"]}
    assert issuer.control.calls("/token") == 2


def test_a_lease_that_ends_while_the_daemon_is_dead_is_over(
    issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(issuer))
    issuer.control.set_access_token_lifetime(3)
    tokens = issuer.tokens()
    issuer.control.fault("/token", "hold")
    with FakeProcess(daemon.address) as q:
        q.hello()
        answer = q.log_in(ALICE, pair(tokens), HANDLE)
        issuer.control.wait_for_calls("/token")
        daemon.kill()
    while epoch_ns() < answer["expires"]:
        time.sleep(0.05)  # nothing tells of a moment but the clock
    daemon.start()
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile({HANDLE: answer["session"]}) == [HANDLE]
        assert q.sessions() == []
        assert q.connect(ALICE, pair(tokens), HANDLE)["reason"] == "expired"
    assert issuer.control.calls("/token") == 1
    assert on_disk(daemon.database).events[:2] == ("session.opened", "session.expired")


def test_a_refused_refresh_ends_its_sessions_for_good_and_leaves_a_newer_grant_alone(
    issuer: RunningIssuer, start: Start
) -> None:
    issuer.control.fault("/token", status=400, body={"error": "invalid_grant"})
    daemon = start(configuration(issuer, refresh=QUICK))
    newer, older = long_and_short(issuer)
    with FakeProcess(daemon.address) as q:
        q.hello()
        stays = q.log_in(ALICE, pair(newer), HANDLE)
        ends = q.log_in(ALICE, pair(older), HANDLE + 1)["session"]
        push = q.next_push()
        assert (push["event"], push["session"], push["handle"]) == ("revoked", ends, HANDLE + 1)
        assert q.connect(ALICE, pair(older), HANDLE + 2)["reason"] == "inactive"
        daemon.kill()
    daemon.start()
    held = {HANDLE: stays["session"], HANDLE + 1: ends}
    with FakeProcess(daemon.address) as q:
        q.hello()
        assert q.reconcile(held) == [HANDLE + 1]
        assert [(each["session"], each["expires"]) for each in q.sessions()] == [
            (stays["session"], stays["expires"])
        ]
    assert issuer.control.calls("/token") == 1
    assert on_disk(daemon.database).grants == 1


def epoch_ns() -> int:
    """Return the wall time as kdb+ counts it."""
    return time.time_ns() - Q_EPOCH
