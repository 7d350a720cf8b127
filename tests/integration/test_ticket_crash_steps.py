"""The daemon is killed at each commit of a ticket's life, and it is spent once all the same.

The commits: the key at the first start, the parent's login, its opening, the ticket's login, its
opening, the parent's end. What was acknowledged is there after a start, and nothing is half there.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from tests.integration.conftest import Start
from tests.integration.estate import Estate, estate, with_tickets
from tests.integration.operating import Operator
from tests.integration.test_tickets import access
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import DAEMON, DaemonError, RunningDaemon

pytestmark = pytest.mark.chaos

KEY, LOGIN, OPENING, SPENDING, CHILD_OPENING, END = range(1, 7)
PARENT, CHILD = 5, 7  # handles
Dying = Callable[[str, int], RunningDaemon]


@pytest.fixture
def dying(strict_issuer: RunningIssuer, folder: Path) -> Iterator[Dying]:
    """Start a daemon that dies at a moment of its n-th commit."""
    text = with_tickets(strict_issuer, "lifetime = 300\n", login="grace = 60\nunbound = 60")
    with ExitStack() as stack:

        def run(moment: str, number: int) -> RunningDaemon:
            program = ["-m", "tests.chaos.dying", moment, str(number)]
            daemon = stack.enter_context(RunningDaemon(folder, text, program=program))
            daemon.program = DAEMON  # started again, it lives
            return daemon

        yield run


@dataclass
class Shown:
    """What the processes were told before the daemon died."""

    steps: list[int] = field(default_factory=list)  # acknowledged
    parent: UUID | None = None
    child: UUID | None = None
    ticket: str = ""
    keys: object = None


def live(two: Estate, daemon: RunningDaemon, token: str) -> Shown:
    """Sign in, go on to the other process and leave, until the daemon dies."""
    shown = Shown([KEY])
    with suppress(ConnectionError), Operator(daemon) as operator:
        shown.keys = operator.get("/v1/keys")
        answer = two.gateway.connect(ALICE, token, PARENT)
        shown.parent = answer["session"]
        shown.steps.append(LOGIN)
        two.gateway.opened(answer["session"], PARENT)
        two.gateway.ping()
        shown.steps.append(OPENING)
        shown.ticket = two.ticket(answer["session"])
        child = two.backend.connect(ALICE, shown.ticket, CHILD)
        shown.child = child["session"]
        shown.steps.append(SPENDING)
        two.backend.opened(child["session"], CHILD)
        two.backend.ping()
        shown.steps.append(CHILD_OPENING)
        two.gateway.disconnect(PARENT, answer["session"])
        two.gateway.ping()
        shown.steps.append(END)
    daemon.wait_until_killed()
    return shown


@pytest.mark.parametrize("number", range(LOGIN, END + 1))
@pytest.mark.parametrize("moment", ["torn", "committed"])
def test_what_a_process_was_told_is_there_and_a_ticket_is_spent_once(
    strict_issuer: RunningIssuer, dying: Dying, moment: str, number: int
) -> None:
    daemon = dying(moment, number)
    with estate(daemon) as two:
        shown = live(two, daemon, access(strict_issuer))
    assert shown.steps == list(range(KEY, number))
    reached = number if moment == "committed" else number - 1
    daemon.start()
    with estate(daemon) as two, Operator(daemon) as operator:
        assert operator.get("/v1/keys") == shown.keys
        listed = operator.get("/v1/sessions")["sessions"]
        expected = (reached >= LOGIN) + (reached >= SPENDING)
        assert len(listed) == (0 if reached == END else expected)
        assert [each["parent"] for each in listed if each["parent"]] == (
            [str(shown.parent)] if SPENDING <= reached < END else []
        )
        if not shown.ticket:
            return
        again = two.backend.connect(ALICE, shown.ticket, CHILD + 1)
        is_unspent = reached < SPENDING
        assert again["reason"] == ("" if is_unspent else "revoked")
        if shown.parent is not None and reached < END:  # and it still ends with its parent
            operator.revoke(session=str(shown.parent))
        assert operator.get("/v1/sessions")["sessions"] == []


@pytest.mark.parametrize("moment", ["torn", "committed"])
def test_a_daemon_that_died_as_it_made_its_first_key_has_one_at_the_next_start(
    strict_issuer: RunningIssuer, folder: Path, start: Start, moment: str
) -> None:
    text = with_tickets(strict_issuer)
    program = ["-m", "tests.chaos.dying", moment, str(KEY)]
    with pytest.raises(DaemonError, match="exit -9"):
        RunningDaemon(folder, text, program=program)
    daemon = start(text)
    with estate(daemon) as two, Operator(daemon) as operator:
        [key] = operator.get("/v1/keys")["keys"]
        made = [each["kid"] for each in daemon.log() if each["event"] == "ticket key made"]
        assert made == ([key["kid"]] if moment == "torn" else [])
        assert two.hop(two.gateway.log_in(ALICE, access(strict_issuer))["session"])["ok"]
