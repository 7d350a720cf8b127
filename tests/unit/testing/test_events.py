"""Events that are made for tests are like those of the daemon."""

from datetime import timedelta
from typing import get_args
from uuid import UUID

from sessiond.api import Event, from_json, to_json
from sessiond.testing import START, EventFactory, FakeClock


def test_numbers_are_consecutive_and_times_go_on() -> None:
    events = EventFactory(first=7)
    made = [events.opened(), events.refused(), events.closed()]
    assert [event.sequence for event in made] == [7, 8, 9]
    assert events.sequence == 9
    assert [event.at - START for event in made] == [timedelta(seconds=n) for n in range(3)]


def test_times_are_the_clocks_where_there_is_one() -> None:
    clock = FakeClock()
    clock.step_wall(timedelta(hours=5))
    event = EventFactory(clock).refreshed()
    assert event.at == clock.now() == START + timedelta(hours=5)
    assert event.expires_at == clock.now() + timedelta(hours=1)


def test_every_kind_there_is_can_be_made_and_read_again() -> None:
    made = EventFactory().each_kind()
    assert {type(event) for event in made} == set(get_args(Event))
    assert [from_json(to_json(event)) for event in made] == made


def test_a_users_events_are_about_one_session_until_the_next_is_opened() -> None:
    events = EventFactory()
    opened, other = events.opened("alice", roles=("trader",)), events.opened("bob")
    revoked = events.revoked("alice")
    assert (revoked.session, revoked.handle) == (opened.session, opened.handle) == (UUID(int=1), 1)
    assert revoked.roles == ("trader",)
    assert revoked.reason == "operator"
    assert other.session == UUID(int=2)
    assert events.opened("alice").session == UUID(int=3)
    assert events.closed("alice").reason == "disconnect"


def test_roles_that_changed_stay_and_a_longer_lease_too() -> None:
    events = EventFactory()
    events.opened()
    assert events.roles_changed().roles == ("reader", "writer")
    refreshed, expired = events.refreshed(), events.expired()
    assert refreshed.roles == ("reader", "writer")
    assert expired.expires_at == refreshed.expires_at
    assert events.renewed(expires_at=None).expires_at is None


def test_what_is_said_otherwise_is_so() -> None:
    at = START + timedelta(days=1)
    events = EventFactory()
    event = events.refused("eve", reason="expired", count=9, at=at, issuer="other", handle=3)
    assert (event.user, event.reason, event.count) == ("eve", "expired", 9)
    assert (event.at, event.issuer, event.handle) == (at, "other", 3)
    assert events.expired(at=at).at == at


def test_a_gap_takes_the_numbers_of_what_it_tells_of() -> None:
    events = EventFactory()
    events.opened()
    gap = events.gap(missed=4)
    assert (gap.after, gap.before, gap.sequence) == (1, 6, 5)
    assert events.closed().sequence == 6
    assert events.gap(at=START).at == START
