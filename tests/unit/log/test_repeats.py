"""Repeated lines are held back and summed; what matters is always told."""

import inspect
import re
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict

from sessiond.control import operations, revoking, subscribing
from sessiond.log.repeats import ALLOWED, ALWAYS_TOLD, EVERY, MOST, OF_ONE_EVENT, Repeats


@pytest.fixture
def repeats() -> Repeats:
    found = Repeats()
    found.begin()
    return found


def passed(repeats: Repeats, count: int, event: str = "login", **facts: Any) -> int:
    """Return how many of so many lines get through."""
    through = 0
    for _ in range(count):
        line: EventDict = {"event": event, "level": "info", **facts}
        try:
            assert repeats(None, "info", line) == line
        except structlog.DropEvent:
            continue
        through += 1
    return through


def told(repeats: Repeats) -> list[Any]:
    with structlog.testing.capture_logs() as lines:
        repeats.tell()
    return list(lines)


def test_what_repeats_too_often_is_summed_and_begins_anew(repeats: Repeats) -> None:
    facts = {"outcome": "refused", "reason": "expired", "issuer": "corp", "process": "hdb1"}
    assert passed(repeats, ALLOWED + 5, **facts) == ALLOWED
    assert repeats.held_back == 5
    assert told(repeats) == [
        {
            "event": "repeated",
            "log_level": "info",
            "of": "login",
            "count": 5,
            "seconds": EVERY,
            **facts,
        }
    ]
    assert told(repeats) == []
    assert passed(repeats, ALLOWED, **facts) == ALLOWED
    assert told(repeats) == []


def test_users_do_not_tell_lines_apart_and_issuers_do(repeats: Repeats) -> None:
    for number in range(ALLOWED):
        passed(repeats, 1, user=f"user{number}", issuer="corp")
    assert passed(repeats, 1, user="somebody else", issuer="corp") == 0
    assert passed(repeats, 1, user="somebody else", issuer="partner") == 1


def test_logins_that_succeed_are_never_held_back(repeats: Repeats) -> None:
    assert passed(repeats, 10 * ALLOWED, outcome="accepted") == 10 * ALLOWED


@pytest.mark.parametrize("event", sorted(ALWAYS_TOLD))
def test_ends_that_matter_are_never_held_back(repeats: Repeats, event: str) -> None:
    assert passed(repeats, 2 * ALLOWED, event) == 2 * ALLOWED


def test_whatever_an_operator_does_is_never_held_back() -> None:
    source = "".join(map(inspect.getsource, (revoking, subscribing, operations)))
    done = set(re.findall(r'log\.\w+\(\s*"([^"]+)",\s*uid=', source))
    assert len(done) > 5
    assert done <= ALWAYS_TOLD


def test_nothing_is_held_back_before_it_begins_and_after_it_ends() -> None:
    repeats = Repeats()
    assert passed(repeats, 2 * ALLOWED) == 2 * ALLOWED
    repeats.begin()
    passed(repeats, ALLOWED + 1)
    with structlog.testing.capture_logs() as lines:
        repeats.end()
    assert [line["count"] for line in lines] == [1]
    assert passed(repeats, 2 * ALLOWED) == 2 * ALLOWED


def test_many_different_lines_take_bounded_memory(repeats: Repeats) -> None:
    for number in range(MOST):
        assert passed(repeats, 1, f"event {number % 10}", process=f"made up {number}") == 1
    assert passed(repeats, ALLOWED, "event 1", process="one too many") == ALLOWED
    assert passed(repeats, 5, "event 1", process="another") == 0
    assert passed(repeats, 1, "event 0", process="made up 0") == 1
    assert told(repeats) == [
        {"event": "repeated", "log_level": "info", "of": "event 1", "count": 5, "seconds": EVERY}
    ]


def test_whoever_takes_ever_new_names_makes_a_bounded_number_of_lines(repeats: Repeats) -> None:
    for number in range(OF_ONE_EVENT):
        assert passed(repeats, 1, process=f"made up {number}") == 1
    assert passed(repeats, ALLOWED + 5, process="made up 0") == ALLOWED
    assert passed(repeats, 5, process="ever new") == 0
    assert passed(repeats, 1, "another event", process="ever new") == 1
    assert told(repeats) == [
        {"event": "repeated", "log_level": "info", "of": "login", "count": 10, "seconds": EVERY}
    ]
    assert passed(repeats, 1, process="ever new") == 1
