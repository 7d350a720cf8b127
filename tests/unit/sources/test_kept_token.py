"""For how long a token is given."""

from datetime import timedelta

import pytest

from sessiond.core.errors import UnusableAnswer
from sessiond.core.secret import Secret
from sessiond.refresher import Tokens
from sessiond.sources.kept_token import LIFE, LONGEST, KeptToken, kept
from tests.fakes import START
from tests.unit.jwt import forge


def jwt(**claims: object) -> str:
    return forge.signed(forge.HEADER, {**forge.CLAIMS, **claims}).reveal()


def got(*, expires_in: float | None, text: str = "opaque", took: float = 0.0) -> KeptToken:
    answer = Tokens(access_token=Secret(text), refresh_token=None, expires_in=expires_in)
    return kept(answer, asked_at=100.0, now=START, monotonic=100.0 + took)


@pytest.mark.parametrize(
    ("expires_in", "life"), [(3600.0, 3600.0), (None, LIFE), (1e9, LONGEST), (0.5, 0.5)]
)
def test_its_life_is_what_the_issuer_says_within_bounds(
    expires_in: float | None, life: float
) -> None:
    token = got(expires_in=expires_in)
    assert token.life == life
    assert token.expires_at == START + timedelta(seconds=life)


def test_where_the_issuer_says_nothing_a_jwts_own_end_counts() -> None:
    stated = jwt(exp=int(START.timestamp()) + 60)
    assert got(expires_in=None, text=stated, took=2.0).life == pytest.approx(62.0)
    assert got(expires_in=10.0, text=stated).life == 10.0
    assert got(expires_in=None, text=jwt(exp="never")).life == LIFE


def test_its_life_begins_as_it_is_asked_for() -> None:
    assert got(expires_in=10.0, took=4.0).expires_at == START + timedelta(seconds=6)


@pytest.mark.parametrize("expires_in", [0.0, -1.0, 2.0])
def test_one_that_is_over_already_is_of_no_use(expires_in: float) -> None:
    with pytest.raises(UnusableAnswer, match="wanted one that is good still"):
        got(expires_in=expires_in, took=2.0)


@pytest.mark.parametrize(
    ("min_validity", "given_for"), [(60.0, 240.0), (0.0, 300.0), (200.0, 150.0), (1e9, 150.0)]
)
def test_it_is_given_while_enough_is_left_or_for_half_its_life(
    min_validity: float, given_for: float
) -> None:
    assert got(expires_in=300.0).given_for(min_validity) == given_for
