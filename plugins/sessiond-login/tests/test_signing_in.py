"""One call from beginning to end, with what can come between."""

from contextlib import suppress

import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st
from login_fakes import Crash, FakeIssuer, FakeKeep, Stage, kept, profile
from sessiond_login.credentials import Credentials, password_of
from sessiond_login.errors import CannotKeep, IssuerUnavailable, LoginError, NotSignedIn
from sessiond_login.kept import Kept
from sessiond_login.secret import Secret
from sessiond_login.surroundings import Way


def password(stage: Stage) -> str:
    return password_of(stage.tokens().give(), stage.profile)


def test_the_first_call_asks_and_the_next_gives_the_same_pair_without_an_issuer() -> None:
    stage = Stage(profile())
    assert password(stage) == "access-1;refresh-1"
    assert stage.kept.handed_over
    assert password(stage) == "access-1;refresh-1"
    assert stage.issuer.asked == ["browser"]
    assert stage.built == 1


def test_signing_in_alone_hands_nothing_over_and_the_pair_is_given_later() -> None:
    stage = Stage(profile())
    assert stage.tokens().sign_in().user == "alice"
    assert not stage.kept.handed_over
    assert password(stage) == "access-1;refresh-1"
    assert stage.kept.handed_over


def test_signing_in_again_asks_though_tokens_are_good() -> None:
    stage = Stage(profile())
    stage.tokens().sign_in()
    stage.tokens().sign_in()
    assert stage.issuer.asked == ["browser"]
    stage.tokens().sign_in(again=True)
    assert stage.issuer.asked == ["browser", "browser"]


def test_an_expired_pair_of_a_strict_issuer_leads_to_a_silent_authorization() -> None:
    stage = Stage(profile())
    password(stage)
    stage.clock.at += 541
    assert password(stage) == "access-2;refresh-2"
    assert stage.issuer.asked == ["browser", "silently"]
    assert stage.issuer.sent == []


def test_access_tokens_are_refreshed_by_this_program() -> None:
    stage = Stage(profile(send="access"))
    assert password(stage) == "bearer:access-1"
    stage.clock.at += 600
    assert password(stage) == "bearer:access-2"
    assert stage.issuer.asked == ["browser"]
    assert stage.issuer.sent == ["refresh-1"]
    assert not stage.kept.in_flight


def test_a_jwt_alone_is_sent_as_it_is() -> None:
    jwt = kept(access=Secret("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"))
    assert password_of(jwt, profile(send="access")) == "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"


def test_that_a_token_is_under_way_is_kept_before_it_is_sent() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.issuer.trouble = "crash before"
    with pytest.raises(Crash):
        password(stage)
    assert stage.kept.in_flight


def test_after_a_lost_answer_the_token_is_sent_once_more_and_reuse_leads_to_a_sign_in() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.issuer.trouble = "lost after"
    with pytest.raises(IssuerUnavailable):
        password(stage)
    assert password(stage) == "bearer:access-3"
    assert stage.issuer.sent == ["refresh-1", "refresh-1"]
    assert stage.issuer.asked == ["browser", "silently"]


def test_an_issuer_that_was_away_is_asked_again_without_the_person() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.issuer.down = True
    for _ in range(3):
        with pytest.raises(IssuerUnavailable):
            password(stage)
    stage.issuer.down = False
    assert password(stage) == "bearer:access-2"
    assert stage.issuer.asked == ["browser"]


def test_a_refused_token_is_not_sent_again_though_nobody_signed_in() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.issuer.trouble, stage.issuer.denied = "refused", True
    for _ in range(2):
        with pytest.raises(NotSignedIn):
            password(stage)
    assert stage.issuer.sent == ["refresh-1"]


def test_a_refresh_that_brings_somebody_else_leads_to_a_sign_in() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.issuer.user = "bob"
    assert password(stage) == "bearer:access-3"
    assert stage.kept.user == "bob"
    assert stage.issuer.asked == ["browser", "silently"]


def test_a_refresh_that_does_not_name_the_user_is_still_hers() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.issuer.trouble = "nameless"
    password(stage)
    assert stage.kept.user == "alice"


def test_nothing_is_spent_whose_successor_could_not_be_kept() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.keep.full = True
    assert password(stage) == "bearer:access-2"
    assert stage.issuer.sent == []
    assert stage.issuer.asked == ["browser", "silently"]
    assert "no space left" in stage.person.told[-1]


def test_a_spent_token_does_not_stay_where_its_successor_was_not_kept() -> None:
    stage = Stage(profile(send="access"))
    password(stage)
    stage.clock.at += 600
    stage.keep.fails_at = 2  # the mark is kept, what came of it is not
    assert password(stage) == "bearer:access-2"
    assert stage.keep.records == {}
    assert password(stage) == "bearer:access-3"
    assert stage.issuer.sent == ["refresh-1"]


def test_where_nothing_can_be_kept_a_client_is_served_and_the_person_is_told() -> None:
    stage = Stage(profile(), keep=FakeKeep(lockless=True, full=True))
    assert password(stage) == "access-1;refresh-1"
    assert len(stage.person.told) == 2
    with pytest.raises(CannotKeep):
        stage.tokens().sign_in()


def test_what_is_kept_for_another_issuer_or_client_is_of_no_use() -> None:
    stage = Stage(profile(send="access"))
    stage.keep.records["work"] = kept(made_for="another", expires=stage.clock.at + 600)
    assert password(stage) == "bearer:access-1"
    assert stage.issuer.asked == ["browser"]
    assert stage.issuer.sent == []


def test_tokens_that_do_not_last_are_given_with_a_warning() -> None:
    stage = Stage(profile(), issuer=FakeIssuer(lasts=45))
    assert password(stage) == "access-1;refresh-1"
    assert "last 45 s, wanted 60 s" in stage.person.told[0]


@pytest.mark.parametrize("scopes", [("openid",), ("openid", "offline_access")])
def test_a_pair_without_a_refresh_token_is_the_access_token_and_the_person_is_told(
    scopes: tuple[str, ...],
) -> None:
    stage = Stage(profile(scopes=scopes), issuer=FakeIssuer(gives_refresh=False))
    assert password(stage) == "bearer:access-1"
    (told,) = stage.person.told
    assert "ends with its access token" in told
    assert ("offline_access" in told) is ("offline_access" not in scopes)
    assert not stage.kept.handed_over


@pytest.mark.parametrize(
    ("way", "asked"),
    [(Way.BROWSER, "browser"), (Way.DEVICE_CODE, "device"), (Way.PASSWORD, "password")],
)
def test_the_person_is_asked_in_the_way_that_there_is(way: Way, asked: str) -> None:
    stage = Stage(profile(), way=way)
    password(stage)
    assert stage.issuer.asked == [asked]
    assert stage.person.told == []


def test_what_python_is_given_unpacks_and_does_not_print_its_password() -> None:
    credentials = Credentials("alice", "access;refresh")
    user, secret = credentials
    assert (user, secret) == ("alice", "access;refresh")
    assert "access" not in repr(credentials) + str(credentials)


steps = st.lists(
    st.one_of(
        *[st.tuples(st.just("token"), st.none())] * 3,  # most often
        st.tuples(st.just("sign in"), st.sampled_from([True, False])),
        *[st.tuples(st.just("wait"), st.sampled_from([30.0, 541.0, 10_000.0]))] * 2,
        st.tuples(
            st.just("trouble"),
            st.sampled_from(
                ["lost before", "lost after", "crash before", "crash after", "refused", "nameless"]
            ),
        ),
        st.tuples(st.just("save fails"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["full", "down", "denied", "bob", "mute"]), st.booleans()),
    ),
    max_size=40,
)


def play(stage: Stage, happens: list[tuple[str, object]]) -> set[str]:
    """Live through what happens; return the refresh tokens that clients were given."""
    handed = set[str]()
    for what, value in happens:
        match what, value:
            case "token", _:
                with suppress(LoginError, Crash):
                    got: Kept = stage.tokens().give()
                    if stage.profile.send == "pair" and got.refresh is not None:
                        handed.add(got.refresh.reveal())
            case "sign in", bool():
                with suppress(LoginError, Crash):
                    stage.tokens().sign_in(again=value)
            case "wait", float():
                stage.clock.at += value
            case "trouble", str():
                stage.issuer.trouble = value
            case "save fails", int():
                stage.keep.fails_at = value
            case "full", bool():
                stage.keep.full = value
            case "down", bool():
                stage.issuer.down = value
            case "denied", bool():
                stage.issuer.denied = value
            case "bob", bool():
                stage.issuer.user = "bob" if value else "alice"
            case "mute", bool():
                stage.issuer.gives_refresh = not value
            case _:
                raise AssertionError(what)
    return handed


@settings(max_examples=400)
@given_any(happens=steps)
def test_whatever_happens_no_refresh_token_of_a_strict_pair_is_ever_sent(
    happens: list[tuple[str, object]],
) -> None:
    stage = Stage(profile())
    play(stage, happens)
    assert stage.issuer.sent == []


@settings(max_examples=400)
@given_any(pairs=steps, then=steps)
def test_no_token_that_was_given_is_sent_after_the_profile_was_changed(
    pairs: list[tuple[str, object]], then: list[tuple[str, object]]
) -> None:
    stage = Stage(profile())
    handed = play(stage, pairs)
    stage.profile = profile(send="access")
    play(stage, then)
    stage.profile = profile()
    handed |= play(stage, pairs)
    stage.profile = profile(send="access")
    play(stage, then)
    assert handed.isdisjoint(stage.issuer.sent)


def test_a_pair_whose_giving_could_not_be_kept_is_not_sent_after_the_profile_was_changed() -> None:
    stage = Stage(profile())
    stage.tokens().sign_in()
    stage.keep.full = True  # and nothing can be taken away either
    assert password(stage) == "access-1;refresh-1"
    stage.keep.full, stage.profile = False, profile(send="access")
    stage.clock.at += 600
    assert password(stage) == "bearer:access-2"
    assert stage.issuer.sent == []


def test_a_clock_that_was_set_back_gives_no_token_that_is_over() -> None:
    stage = Stage(profile())
    stage.clock.at += 86_400
    password(stage)
    stage.clock.at -= 86_400
    assert password(stage) == "access-2;refresh-2"


@settings(max_examples=400)
@given_any(happens=steps)
def test_whatever_happens_no_token_is_sent_again_once_its_answer_is_known(
    happens: list[tuple[str, object]],
) -> None:
    stage = Stage(profile(send="access"))
    refresh = stage.issuer.refresh

    def judged(token: Secret) -> object:
        assert token.reveal() not in stage.issuer.answered
        return refresh(token)

    stage.issuer.refresh = judged  # type: ignore[method-assign, assignment]
    play(stage, happens)
