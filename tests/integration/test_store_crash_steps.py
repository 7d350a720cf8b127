"""The daemon is killed at each commit of a token store, and no value is lost or half there.

The commits: fences of this run are told from earlier ones, a value is written, another takes its
place, and it is removed with its context. Whoever held a lock holds none after a start.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.integration.operating import Operator
from tests.integration.test_token_stores import CONTEXT, STORES, program, secret_value
from tests.issuer.running import RunningIssuer
from tests.running_daemon import DAEMON, RunningDaemon, configuration

pytestmark = pytest.mark.chaos

EPOCH, WRITE, REPLACE, REMOVE = range(1, 5)
Dying = Callable[[str, int], RunningDaemon]


@pytest.fixture
def dying(strict_issuer: RunningIssuer, folder: Path) -> Iterator[Dying]:
    """Start a daemon that dies at a moment of its n-th commit."""
    with ExitStack() as stack:

        def run(moment: str, number: int) -> RunningDaemon:
            text = configuration(strict_issuer, **STORES)
            program = ["-m", "tests.chaos.dying", moment, str(number)]
            daemon = stack.enter_context(RunningDaemon(folder, text, program=program))
            daemon.program = DAEMON  # started again, it lives
            return daemon

        yield run


@dataclass
class Told:
    """What the program was told before the daemon died."""

    steps: list[int] = field(default_factory=list)  # acknowledged
    fence: int = 0


def live(daemon: RunningDaemon, first: bytes, second: bytes) -> Told:
    """Write, write again and remove under one lock, until the daemon dies."""
    told = Told()
    with program(daemon) as one, suppress(httpx.TransportError):
        told.fence = one.lock()
        told.steps.append(EPOCH)
        for step, value in ((WRITE, first), (REPLACE, second), (REMOVE, b"")):
            assert one.write(value, told.fence) == 204
            told.steps.append(step)
    daemon.wait_until_killed()
    return told


@pytest.mark.parametrize("number", range(EPOCH, REMOVE + 1))
@pytest.mark.parametrize("moment", ["torn", "committed"])
def test_a_value_is_as_it_was_or_as_it_was_written_and_the_lock_is_dead(
    dying: Dying, moment: str, number: int
) -> None:
    first, second = secret_value("the first value"), secret_value("the second value")
    daemon = dying(moment, number)
    told = live(daemon, first, second)
    assert told.steps == list(range(EPOCH, number))
    reached = number if moment == "committed" else number - 1
    kept = {WRITE: first, REPLACE: second}.get(reached)
    daemon.start()
    with program(daemon) as one, Operator(daemon) as operator:
        assert one.read() == kept
        listed = [
            (each["context"], [value["name"] for value in each["values"]])
            for each in operator.get("/v1/stores")["stores"]
        ]
        assert listed == ([] if kept is None else [(CONTEXT, ["oauth"])])
        if told.fence:
            assert one.write(b"late", told.fence) == 409
        fence = one.lock()
        assert fence > told.fence
        assert one.write(second, fence) == 204
        assert one.read() == second
