"""Kills at random, for a minute; SESSIOND_CHAOS_SECONDS and SESSIOND_CHAOS_SEED for more."""

import os

import pytest

from tests.chaos.run import run

SECONDS = float(os.environ.get("SESSIOND_CHAOS_SECONDS", "40"))
SEED = int(os.environ.get("SESSIOND_CHAOS_SEED", "1"))
ASIDE = 150.0  # seconds for starting, settling and judging

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.needs("real"),
    pytest.mark.timeout(2 * SECONDS + ASIDE),
]


def test_whatever_is_killed_nothing_acknowledged_is_lost_and_nothing_revoked_lives() -> None:
    outcome = run(SEED, SECONDS)
    print(outcome)
    assert outcome.figures["daemons killed"]
    assert outcome.figures["opened"]
    assert not outcome.violations, outcome
