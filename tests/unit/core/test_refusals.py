from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.errors import Refusal
from sessiond.core.refusals import (
    BURST,
    MAX_NAMES,
    MAX_PROCESSES,
    MAX_WAITING,
    MINUTE,
    RATE,
    Refusals,
    Refused,
    told,
)
from sessiond.core.session import ProcessAbout
from tests.fakes import START, process_about

REASONS = st.sampled_from(Refusal)


def refused(user: str = "mallory", pid: int = 100, reason: Refusal = Refusal.EXPIRED) -> Refused:
    return Refused(user, "corp", process_about(pid), reason)


def names(process: ProcessAbout | None, taken: dict[Refused, int]) -> set[str]:
    return {each.user for each in taken if each.process == process}


def test_beyond_so_many_names_of_one_process_in_a_minute_they_are_summed_without_the_name() -> None:
    waiting = Refusals()
    for number in range(MAX_NAMES + 7):
        waiting.note(refused(f"user{number}"), at=0)
    waiting.note(refused("user0"), at=MINUTE - 1)
    waiting.note(refused("one more"), at=MINUTE - 1)
    waiting.note(refused("one more", pid=200), at=MINUTE - 1)  # another process has its own
    taken = dict(waiting.take(MINUTE - 1))
    assert len(taken) == MAX_NAMES + 2
    assert taken[refused("user0")] == 2
    assert taken[refused("")] == 8
    assert taken[refused("one more", pid=200)] == 1


def test_in_the_next_minute_names_are_told_again() -> None:
    waiting = Refusals()
    for number in range(MAX_NAMES + 1):
        waiting.note(refused(f"user{number}"), at=0)
    waiting.take(0)
    waiting.note(refused("another"), at=MINUTE)
    assert dict(waiting.take(MINUTE)) == {refused("another"): 1}


def test_beyond_so_many_processes_in_a_minute_they_are_summed_without_the_process() -> None:
    waiting = Refusals()
    for pid in range(MAX_PROCESSES + 3):
        waiting.note(refused(pid=pid), at=0)
    taken = waiting.take(0)
    assert taken[Refused("", "corp", None, Refusal.EXPIRED)] == 3


def test_a_flood_is_told_at_a_rate_the_longest_waiting_first() -> None:
    waiting = Refusals()
    for pid in range(10):
        for number in range(MAX_NAMES):
            waiting.note(refused(f"user{number}", pid), at=0)
    first = waiting.take(0)
    assert (len(first), next(iter(first))) == (BURST, refused("user0", 0))
    assert waiting.take(0) == {}
    second = waiting.take(2.0)
    assert list(second) == [refused(f"user{number}", 6) for number in range(int(2 * RATE))]


def test_what_waits_is_bounded_and_the_surplus_summed_by_issuer_and_reason() -> None:
    waiting = Refusals()
    for number in range(MAX_WAITING + 5):
        waiting.note(refused(f"user{number % MAX_NAMES}", number // MAX_NAMES), at=0)
    waiting.note(refused("user0", 0), at=0)  # one that waits is counted on
    taken = waiting.take_all()
    assert not waiting
    assert len(taken) == MAX_WAITING + 1
    assert taken[Refused("", "corp", None, Refusal.EXPIRED)] == 5
    assert taken[refused("user0", 0)] == 2


def test_what_could_not_be_told_is_counted_with_newer_ones_and_told_first() -> None:
    waiting = Refusals()
    waiting.note(refused("early"), at=0)
    taken = waiting.take(0)
    waiting.note(refused("later"), at=0)
    waiting.note(refused("early"), at=0)
    waiting.put_back(taken)
    assert list(waiting.take(0).items()) == [(refused("early"), 2), (refused("later"), 1)]


def test_newer_ones_beyond_the_bound_are_summed_when_others_come_back() -> None:
    waiting = Refusals()
    waiting.note(refused("early", pid=999), at=0)
    taken = waiting.take(0)
    for number in range(MAX_WAITING):
        waiting.note(refused(f"user{number % MAX_NAMES}", number // MAX_NAMES), at=0)
    waiting.put_back(taken)
    everything = waiting.take_all()
    assert len(everything) == MAX_WAITING + 1
    assert everything[Refused("", "corp", None, Refusal.EXPIRED)] == 1


@given(
    noted=st.lists(
        st.tuples(st.text("abc", max_size=3), st.integers(0, 300), REASONS, st.floats(0, 2)),
        max_size=400,
    )
)
def test_whatever_comes_none_is_lost_and_memory_and_disk_are_bounded(
    noted: list[tuple[str, int, Refusal, float]],
) -> None:
    waiting, told_of, now = Refusals(), Counter[Refusal](), 0.0
    for user, pid, reason, later in noted:
        now += later
        waiting.note(refused(user, pid, reason), at=now)
        for key, count in waiting.take(now).items():
            told_of[key.reason] += count
    for key, count in waiting.take_all().items():
        told_of[key.reason] += count
    assert told_of == Counter(reason for _, _, reason, _ in noted)


def test_they_are_told_as_events() -> None:
    (event,) = told({refused(): 3}, START).events
    assert event.kind == "login.refused"
    assert (event.at, event.user, event.issuer) == (START, "mallory", "corp")
    assert event.process == process_about(100)
    assert (getattr(event, "reason", ""), getattr(event, "count", 0)) == ("expired", 3)
    assert told({}, START).events == ()
