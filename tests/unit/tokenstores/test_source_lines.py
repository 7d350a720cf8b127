"""A source's token in the words of CData's drivers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sessiond.core.secret import Secret
from sessiond.tokenstores.source_lines import lines_of

NOW = datetime(2026, 3, 2, 9, 0, 0, 250_000, tzinfo=UTC)


@dataclass
class Token:
    expires_at: datetime
    token: Secret


def test_it_says_what_the_token_is_from_when_and_for_how_long() -> None:
    token = Token(expires_at=NOW + timedelta(seconds=3599.9), token=Secret("eyJ.e.s"))
    assert lines_of(token, now=NOW) == (
        b"oauthaccesstoken=eyJ.e.s\noauthexpiresin=3599\noauthtokentimestamp=1772442000250\n"
    )


def test_one_that_is_over_is_good_for_no_second() -> None:
    token = Token(expires_at=NOW - timedelta(seconds=5), token=Secret("t"))
    assert b"oauthexpiresin=0\n" in lines_of(token, now=NOW)
