"""Who may spend which refresh token."""

import pytest
from login_fakes import MADE_FOR, kept, profile
from sessiond_login.issuer import Granted
from sessiond_login.profile import Profile
from sessiond_login.secret import Secret
from sessiond_login.spending import (
    ASSUMED,
    LEAST,
    SLEW,
    Step,
    ended,
    given,
    in_flight,
    is_good,
    may_spend,
    next_step,
    refreshed,
    signed_in,
)

NOW = 1_000_000.0
PAIR_STRICT = profile()
ACCESS_STRICT = profile(send="access")
PAIR_TOLERANT = profile(rotation="tolerant")
ACCESS_TOLERANT = profile(send="access", rotation="tolerant")


def granted(**members: object) -> Granted:
    usual: dict[str, object] = {
        "user": "alice",
        "access": Secret("access-1"),
        "refresh": Secret("refresh-1"),
        "lasts": 600.0,
    }
    return Granted(**{**usual, **members})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "each",
    [PAIR_STRICT, ACCESS_STRICT, PAIR_TOLERANT, ACCESS_TOLERANT],
    ids=["pair", "access", "tolerant pair", "tolerant access"],
)
def test_without_tokens_the_person_is_asked_and_with_good_ones_they_are_given(
    each: Profile,
) -> None:
    assert next_step(None, each, NOW) is Step.ASK
    good, short = (kept(expires=NOW + left, send=each.send) for left in (LEAST, LEAST - 0.1))
    assert next_step(good, each, NOW) is Step.GIVE
    assert next_step(short, each, NOW) is not Step.GIVE


def test_a_token_that_came_later_than_now_is_not_good_for_nobody_knows_how_long() -> None:
    assert is_good(kept(since=NOW + SLEW, expires=NOW + 600), NOW)
    assert not is_good(kept(since=NOW + SLEW + 0.1, expires=NOW + 600), NOW)


@pytest.mark.parametrize("handed_over", [False, True])
def test_a_pair_of_a_strict_issuer_is_never_refreshed_given_or_not(handed_over: bool) -> None:
    old = kept(expires=NOW, handed_over=handed_over)
    assert next_step(old, PAIR_STRICT, NOW) is Step.ASK_SILENTLY


def test_who_sends_access_tokens_alone_refreshes() -> None:
    assert next_step(kept(expires=NOW), ACCESS_STRICT, NOW) is Step.REFRESH
    assert next_step(kept(expires=NOW, in_flight=True), ACCESS_STRICT, NOW) is Step.REFRESH


def test_what_was_signed_in_for_as_a_pair_is_not_refreshed_after_the_profile_has_changed() -> None:
    """Whether it was given is not to be relied on: that may not have been kept."""
    assert next_step(kept(expires=NOW, send="pair"), ACCESS_STRICT, NOW) is Step.ASK_SILENTLY


def test_what_is_ours_to_spend_is_not_given_after_the_profile_has_changed() -> None:
    good = kept(expires=NOW + 600)
    assert next_step(good, PAIR_STRICT, NOW) is Step.ASK_SILENTLY
    assert next_step(good, PAIR_TOLERANT, NOW) is Step.GIVE
    assert next_step(kept(expires=NOW + 600, refresh=None), PAIR_STRICT, NOW) is Step.GIVE


def test_a_pair_that_was_given_is_not_refreshed_after_the_profile_has_changed() -> None:
    assert next_step(kept(expires=NOW, handed_over=True), ACCESS_STRICT, NOW) is Step.ASK_SILENTLY


@pytest.mark.parametrize("handed_over", [False, True])
def test_where_rotation_is_tolerant_both_sides_refresh(handed_over: bool) -> None:
    old = kept(expires=NOW, handed_over=handed_over)
    assert next_step(old, PAIR_TOLERANT, NOW) is Step.REFRESH
    assert next_step(old, ACCESS_TOLERANT, NOW) is Step.REFRESH


@pytest.mark.parametrize("each", [ACCESS_STRICT, PAIR_TOLERANT], ids=["access", "tolerant"])
def test_without_a_refresh_token_there_is_nothing_to_spend(each: Profile) -> None:
    assert not may_spend(kept(refresh=None), each)


def test_tokens_last_from_now_on_and_some_minutes_where_nothing_is_told() -> None:
    assert signed_in(granted(), MADE_FOR, NOW, send="pair").expires == NOW + 600
    assert signed_in(granted(lasts=None), MADE_FOR, NOW, send="pair").expires == NOW + ASSUMED
    assert is_good(signed_in(granted(lasts=None), MADE_FOR, NOW, send="pair"), NOW)


def test_a_refresh_brings_new_tokens_for_the_user_who_is_known() -> None:
    after = refreshed(kept(handed_over=True, in_flight=True), granted(user=""), NOW)
    assert after is not None
    assert after.refresh is not None
    assert (after.user, after.access.reveal(), after.refresh.reveal()) == (
        "alice",
        "access-1",
        "refresh-1",
    )
    assert not after.handed_over
    assert not after.in_flight


@pytest.mark.parametrize("refresh", [None, Secret("refresh-0")], ids=["none", "the same"])
def test_a_refresh_without_a_new_refresh_token_leaves_the_old_one_with_whoever_holds_it(
    refresh: Secret | None,
) -> None:
    after = refreshed(kept(handed_over=True), granted(refresh=refresh), NOW)
    assert after is not None
    assert after.refresh is not None
    assert after.refresh.reveal() == "refresh-0"
    assert after.handed_over


def test_a_refresh_that_brings_somebody_else_brings_nothing() -> None:
    assert refreshed(kept(), granted(user="bob"), NOW) is None


def test_a_pair_is_handed_over_when_it_is_given_and_only_then() -> None:
    assert given(kept(), PAIR_STRICT).handed_over
    assert not given(kept(), ACCESS_STRICT).handed_over
    assert not given(kept(refresh=None), PAIR_STRICT).handed_over
    before = kept(handed_over=True)
    assert given(before, PAIR_STRICT) is before


def test_what_is_in_flight_is_marked_and_what_was_refused_is_not_there_to_be_sent() -> None:
    assert in_flight(kept()).in_flight
    assert ended(in_flight(kept())).refresh is None
    assert not ended(in_flight(kept())).in_flight
