"""How long an issuer is left alone, and by whose fault."""

from datetime import datetime, timedelta

from sessiond.refresher.pace import FREE, MAX_SUBJECTS, Pace, retry_in
from tests.fakes import MINUTE, START, grant

PROVED = grant(1, has_refresh_token=True, proven=True)
UNPROVED = grant(2, has_refresh_token=True)
BOBS = grant(3, has_refresh_token=True, subject="bob")


def pause(pace: Pace, now: datetime = START) -> float | None:
    """Return the seconds that alice's unproved refresh tokens wait."""
    until = pace.not_before(UNPROVED, now)
    return None if until is None else (until - now).total_seconds()


def test_each_failure_doubles_the_pause_up_to_a_minute() -> None:
    assert [retry_in(number, 0.5) for number in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    assert (retry_in(0, 0.0), retry_in(10**9, 1.0)) == (1.5, 75)


def test_what_an_issuer_says_of_proved_ones_holds_all() -> None:
    pace = Pace()
    pace.close(PROVED, START + MINUTE)
    assert pace.not_before(PROVED, START) == START + MINUTE
    assert pace.not_before(UNPROVED, START) == START + MINUTE
    assert pace.not_before(PROVED, START + MINUTE) is None


def test_what_it_says_of_unproved_ones_holds_no_proved_one() -> None:
    pace = Pace()
    pace.close(UNPROVED, START + MINUTE)
    assert pace.not_before(UNPROVED, START) == START + MINUTE
    assert pace.not_before(BOBS, START) == START + MINUTE
    assert pace.not_before(PROVED, START) is None


def test_after_some_refusals_a_subject_waits_ever_longer() -> None:
    pace = Pace()
    waited = []
    for _ in range(FREE + 8):
        pace.note_refusal(UNPROVED, START)
        waited.append(pause(pace))
    assert waited == [None] * (FREE - 1) + [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert pace.not_before(BOBS, START) is None
    assert pace.not_before(PROVED, START) is None
    assert pause(pace, START + 10 * MINUTE) is None


def test_a_proof_and_time_let_refusals_be_forgotten() -> None:
    pace = Pace()
    for _ in range(FREE):
        pace.note_refusal(UNPROVED, START)
    pace.note_proof(UNPROVED)
    assert pause(pace) is None
    for _ in range(FREE):
        pace.note_refusal(UNPROVED, START)
    later = START + 31 * MINUTE
    pace.note_refusal(UNPROVED, later)
    assert pause(pace, later) is None


def test_a_proved_one_that_is_refused_counts_for_nothing() -> None:
    pace = Pace()
    for _ in range(FREE):
        pace.note_refusal(PROVED, START)
    assert pause(pace) is None


def test_it_knows_so_many_subjects_and_forgets_the_oldest() -> None:
    pace = Pace()
    for _ in range(FREE):
        pace.note_refusal(UNPROVED, START)
    for number in range(MAX_SUBJECTS):
        other = grant(3, has_refresh_token=True, subject=f"subject {number}")
        pace.note_refusal(other, START + timedelta(seconds=1))
    assert pause(pace) is None
