"""Which verdicts are used again, and for how long."""

from datetime import timedelta

import pytest

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.secret import Secret
from sessiond.gate.cache import Key, VerdictCache
from tests.fakes import START, verdict

REFUSED = TokenRejected(Refusal.INACTIVE, "the issuer says so")


def key(access: str = "access", user: str = "alice", issuer: str = "corp") -> Key:
    return Key.of(Secret(access), user=user, issuer=issuer)


def test_a_kept_verdict_is_found_until_its_moment() -> None:
    kept, said = VerdictCache(100), verdict()
    kept.keep(key(), said, until=100.0)
    assert kept.find(key(), monotonic=99.9, now=START) is said
    assert kept.find(key(), monotonic=100.0, now=START) is None
    assert kept.find(key(), monotonic=99.9, now=START) is None


def test_no_verdict_outlives_its_token() -> None:
    kept, said = VerdictCache(100), verdict(length=timedelta(seconds=10))
    kept.keep(key(), said, until=100.0)
    last = START + timedelta(seconds=9, microseconds=999_999)
    assert kept.find(key(), monotonic=0.0, now=last) is said
    assert kept.find(key(), monotonic=0.0, now=START + timedelta(seconds=10)) is None
    assert kept.find(key(), monotonic=0.0, now=last) is None


def test_a_refusal_is_kept_too() -> None:
    kept = VerdictCache(100)
    kept.keep(key(), REFUSED, until=100.0)
    assert kept.find(key(), monotonic=99.0, now=START) is REFUSED
    assert kept.find(key(), monotonic=100.0, now=START) is None


@pytest.mark.parametrize("other", [key(access="another"), key(user="bob"), key(issuer="another")])
def test_another_token_user_or_issuer_is_another_verdict(other: Key) -> None:
    kept = VerdictCache(100)
    kept.keep(key(), verdict(), until=100.0)
    assert kept.find(other, monotonic=0.0, now=START) is None


def test_the_token_itself_is_not_kept() -> None:
    assert "secret-token" not in repr(key("secret-token"))
    assert b"secret-token" not in key("secret-token").token


def test_one_verdict_can_be_forgotten_or_all() -> None:
    kept = VerdictCache(100)
    for token in ("a", "b", "c"):
        kept.keep(key(token), verdict(), until=100.0)

    def found() -> list[str]:
        return [each for each in "abc" if kept.find(key(each), monotonic=0.0, now=START)]

    kept.drop(key("b"))
    kept.drop(key("b"))
    assert found() == ["a", "c"]
    kept.clear()
    assert found() == []


def test_when_it_is_full_the_oldest_goes() -> None:
    kept = VerdictCache(2)
    for token in ("a", "b", "a", "c"):
        kept.keep(key(token), verdict(), until=100.0)
    found = [each for each in "abc" if kept.find(key(each), monotonic=0.0, now=START)]
    assert found == ["a", "c"]


def test_what_another_configuration_has_verified_is_not_found_and_can_be_forgotten() -> None:
    kept = VerdictCache(100)
    older = Key.of(Secret("a"), user="alice", issuer="corp", generation=1)
    newer = Key.of(Secret("a"), user="alice", issuer="corp", generation=2)
    gone = Key.of(Secret("a"), user="alice", issuer="gone", generation=1)
    for each in (older, gone):
        kept.keep(each, verdict(), until=100.0)
    assert kept.find(newer, monotonic=0.0, now=START) is None
    kept.keep(newer, verdict(), until=100.0)
    kept.keep_only({"corp": 2})
    found = [each for each in (older, newer, gone) if kept.find(each, monotonic=0.0, now=START)]
    assert found == [newer]
