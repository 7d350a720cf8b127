"""The machine's wall clock is set while the daemon runs: by mistake, or rightly.

Everything is real but the reading of the wall clock: run as a program, this file is the daemon with
a wall clock that is as many seconds wrong as a file says. Who is right is the issuer's to say, by
the `Date` of its answers.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

import sessiond.clock
from sessiond.daemon import run
from sessiond.testing import FakeProcess
from tests.issuer.control import ALWAYS
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import RunningDaemon, configuration

HOUR = 3600  # seconds


class WrongWall:
    """Stands in for the `datetime` of sessiond/clock.py, which reads the wall clock with it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self, tz: object) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text()))


class SteppedDaemon(RunningDaemon):
    """A daemon whose machine's wall clock the test sets."""

    def __init__(self, folder: Path, configuration: str, *, wrong: float = 0.0) -> None:
        self._wall = folder / "wall"
        self.set_wall(wrong)
        program = ["-m", "tests.integration.test_clock_steps", str(self._wall)]
        super().__init__(folder, configuration, program=program)

    def set_wall(self, wrong: float) -> None:
        """Set the wall clock to so many seconds ahead of what it should be."""
        draft = self._wall.with_suffix(".draft")
        draft.write_text(str(wrong))
        draft.replace(self._wall)


Stepped = Callable[[RunningIssuer, float], tuple[SteppedDaemon, FakeProcess]]


@pytest.fixture
def stepped(folder: Path) -> Iterator[Stepped]:
    """Start a daemon whose wall clock is so many seconds wrong, and connect to it."""
    with ExitStack() as stack:

        def run(issuer: RunningIssuer, wrong: float) -> tuple[SteppedDaemon, FakeProcess]:
            daemon = stack.enter_context(SteppedDaemon(folder, configuration(issuer), wrong=wrong))
            q = stack.enter_context(FakeProcess(daemon.address))
            q.hello()
            return daemon, q

        yield run


def token(issuer: RunningIssuer, user: str, lifetime: int) -> str:
    """Return an access token that lives for so many seconds."""
    issuer.control.set_access_token_lifetime(lifetime)
    found: str = issuer.tokens(user)["access_token"]
    return found


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_wall_clock_set_by_mistake_ends_no_session_and_prolongs_none(
    strict_issuer: RunningIssuer, stepped: Stepped, step: int
) -> None:
    daemon, q = stepped(strict_issuer, 0)
    long = q.log_in(BOB, token(strict_issuer, BOB, HOUR // 2), 5)["session"]
    short = q.log_in(ALICE, token(strict_issuer, ALICE, 8), 6)["session"]
    daemon.set_wall(step)
    daemon.logged(1, event="the wall clock is wrong")
    later = q.log_in(ALICE, token(strict_issuer, ALICE, HOUR // 2), 7)["session"]
    told = q.next_push()  # at its second, whatever the wall clock says
    assert (told["event"], told["session"]) == ("expired", short)
    daemon.set_wall(0)
    assert {each["session"] for each in q.sessions()} == {long, later}
    assert q.pushes == []


def test_a_wall_clock_that_the_issuer_confirms_is_believed_and_no_session_outlives_its_token(
    strict_issuer: RunningIssuer, stepped: Stepped
) -> None:
    daemon, q = stepped(strict_issuer, 0)
    known = token(strict_issuer, ALICE, HOUR // 2)
    short = q.log_in(ALICE, known, 5)["session"]
    long = q.log_in(BOB, token(strict_issuer, BOB, 2 * HOUR), 6)["session"]
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=HOUR), usegmt=True)
    strict_issuer.control.fault("/keys", count=ALWAYS, headers={"date": date})
    daemon.set_wall(HOUR)  # as after the machine was frozen for an hour
    told = q.next_push()
    assert (told["event"], told["session"]) == ("expired", short)
    daemon.logged(1, event="the wall clock is believed")
    assert q.connect(ALICE, known, 5)["reason"] == "expired"
    assert [each["session"] for each in q.sessions()] == [long]


def test_a_wall_clock_put_right_lets_in_again_whom_the_wrong_one_kept_out(
    strict_issuer: RunningIssuer, stepped: Stepped
) -> None:
    daemon, q = stepped(strict_issuer, HOUR)
    session = q.log_in(BOB, token(strict_issuer, BOB, 2 * HOUR), 5)["session"]
    assert q.connect(ALICE, token(strict_issuer, ALICE, HOUR // 2), 6)["reason"] == "expired"
    daemon.set_wall(0)
    daemon.logged(1, event="the wall clock is believed")
    assert q.connect(ALICE, token(strict_issuer, ALICE, HOUR // 2), 6)["ok"]
    assert session in {each["session"] for each in q.sessions()}
    assert q.pushes == []


if __name__ == "__main__":
    sessiond.clock.datetime = WrongWall(Path(sys.argv[1]))  # type: ignore[assignment, attr-defined]
    run(Path(sys.argv[2]))
