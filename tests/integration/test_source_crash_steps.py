"""The daemon is killed at each step of a source's refresh, and no refresh token is lost or reused.

One asking: the text of the file is kept, it is noted to be in flight, the next one is kept, and who
was given the token is told. Each step is one commit.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.integration.operating import Operator
from tests.integration.sourced import asking, given, refused, with_sources
from tests.integration.test_crash_steps import on_disk
from tests.integration.test_source_sign_in import address, authorizing, come_back, told, unseeded
from tests.integration.test_sources import seeded
from tests.issuer.running import RunningIssuer
from tests.running_daemon import DAEMON, RunningDaemon

pytestmark = pytest.mark.chaos

SEED, BEGIN, ROTATE, ISSUED = range(1, 5)
AUTHORIZE = 1  # the first that a daemon makes whose source has no file
UNANSWERED = 69  # EX_UNAVAILABLE
Dying = Callable[[RunningIssuer, str, int], RunningDaemon]


@pytest.fixture
def start_dying(folder: Path) -> Iterator[Callable[[str, str, int], RunningDaemon]]:
    """Start a daemon that dies at a moment of its n-th commit."""
    with ExitStack() as stack:

        def run(text: str, moment: str, number: int) -> RunningDaemon:
            program = ["-m", "tests.chaos.dying", moment, str(number)]
            daemon = stack.enter_context(RunningDaemon(folder, text, program=program))
            daemon.program = DAEMON  # started again, it lives
            return daemon

        yield run


@pytest.fixture
def dying(start_dying: Callable[[str, str, int], RunningDaemon], folder: Path) -> Dying:
    """Start one whose source begins with a file."""

    def run(issuer: RunningIssuer, moment: str, number: int) -> RunningDaemon:
        text = with_sources(issuer, folder, seeded(folder, issuer))
        return start_dying(text, moment, number)

    return run


@pytest.fixture
def dying_unseeded(start_dying: Callable[[str, str, int], RunningDaemon], folder: Path) -> Dying:
    """Start one whose source waits for an operator."""

    def run(issuer: RunningIssuer, moment: str, number: int) -> RunningDaemon:
        return start_dying(with_sources(issuer, folder, unseeded()), moment, number)

    return run


def die(daemon: RunningDaemon) -> None:
    """Ask until the daemon dies of it; nobody is given a token that is not on record."""
    with asking(daemon) as (feed,), suppress(ConnectionError):
        feed.token("quotes")
        pytest.fail("it was given, and the daemon lives")
    daemon.wait_until_killed()


@pytest.mark.parametrize(
    ("moment", "number", "sent"),
    [
        ("torn", SEED, 0),
        ("committed", SEED, 0),
        ("torn", BEGIN, 0),
        ("committed", BEGIN, 0),
        ("committed", ROTATE, 1),
        ("torn", ISSUED, 1),
        ("committed", ISSUED, 1),
    ],
)
def test_wherever_it_is_killed_but_for_one_moment_it_goes_on_and_nothing_is_sent_twice(
    strict_issuer: RunningIssuer, dying: Dying, moment: str, number: int, sent: int
) -> None:
    daemon = dying(strict_issuer, moment, number)
    die(daemon)
    assert strict_issuer.control.calls("/token") == sent
    daemon.start()
    with asking(daemon) as (feed,):
        given(feed)
    assert strict_issuer.control.calls("/token") == sent + 1
    assert strict_issuer.control.reuses() == 0


def test_killed_with_the_answer_in_hand_a_strict_issuer_wants_another_and_is_asked_once(
    strict_issuer: RunningIssuer, dying: Dying
) -> None:
    daemon = dying(strict_issuer, "torn", ROTATE)
    die(daemon)
    assert strict_issuer.control.calls("/token") == 1
    daemon.start()
    with asking(daemon) as (feed,):
        assert [refused(feed) for _ in range(3)] == ["refused"] * 3
    assert strict_issuer.control.calls("/token") == 2
    assert strict_issuer.control.reuses() == 1
    daemon.kill()
    daemon.start()
    with asking(daemon) as (feed,), Operator(daemon) as operator:
        assert refused(feed) == "refused"
        [listed] = operator.get("/v1/sources")["sources"]
        assert listed["state"] == "unauthorized"
    assert strict_issuer.control.calls("/token") == 2


def test_killed_with_the_answer_in_hand_a_tolerant_issuer_gives_another(
    entra_issuer: RunningIssuer, dying: Dying
) -> None:
    daemon = dying(entra_issuer, "torn", ROTATE)
    die(daemon)
    daemon.start()
    with asking(daemon) as (feed,):
        given(feed)
    assert entra_issuer.control.calls("/token") == 2


@pytest.mark.parametrize(("moment", "is_kept"), [("torn", False), ("committed", True)])
def test_an_operator_s_sign_in_is_kept_with_its_event_or_not_at_all(
    strict_issuer: RunningIssuer, dying_unseeded: Dying, moment: str, *, is_kept: bool
) -> None:
    daemon = dying_unseeded(strict_issuer, moment, AUTHORIZE)
    with authorizing(daemon) as process:
        page = come_back(address(process))
        assert page.text.startswith("The sign-in did not work out.")
        told(process, code=UNANSWERED)
    daemon.wait_until_killed()
    assert on_disk(daemon.database).events == (("operator.authorized",) if is_kept else ())
    daemon.start()
    with asking(daemon) as (feed,):
        if is_kept:
            given(feed)
        else:
            assert refused(feed) == "refused"
    assert strict_issuer.control.reuses() == 0
