"""The fixtures that authors of plugins get, in a pytest of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
AUTHORS = """
import pytest
from sessiond.testing import Delivery, EventFactory, FakeClock, FakeIssuer

pytestmark = pytest.mark.anyio

class Subscriber:
    def receive(self, event):
        pass

async def test_each(clock, events, deliver, issuer):
    assert type(clock) is FakeClock
    assert type(events) is EventFactory
    assert type(issuer) is FakeIssuer
    await clock.advance(60)
    async with deliver(Subscriber, max_attempts=3) as delivery:
        assert type(delivery) is Delivery
        assert delivery.clock is clock
        await delivery.send(events.opened())
        assert delivery.received[0].at == clock.now()
"""
NEEDS_NOTHING = """
import sys

def test_nothing_was_imported():
    assert [name for name in sys.modules if name.startswith("sessiond.testing.")] == [
        "sessiond.testing.pytest_plugin"
    ]
"""


def run(folder: Path, test: str) -> str:
    """Run a test; the plugin is loaded by its module, whether it is installed or not."""
    (folder / "test_it.py").write_text(test)
    options = ["-q", "-W", "error", "-p", "no:schemathesis", "-p", "no:sessiond"]
    options += ["-p", "sessiond.testing.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_it.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_fixture_is_what_it_says(tmp_path: Path) -> None:
    assert "passed" in run(tmp_path, AUTHORS)


def test_tests_that_need_nothing_of_it_do_not_pay_for_it(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, NEEDS_NOTHING)
