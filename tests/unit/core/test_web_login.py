"""How long a login over HTTP may last."""

from datetime import timedelta

from sessiond.core.rules import WebRules
from sessiond.core.web_login import WebLogin
from tests.fakes import HOUR, START, session_id

RULES = WebRules(idle=HOUR, session=8 * HOUR)


def at(made: timedelta, used: timedelta) -> WebLogin:
    return WebLogin(
        session=session_id(1), cookie=None, base="", made_at=START + made, used_at=START + used
    )


def test_it_lasts_for_so_long_after_its_last_use() -> None:
    assert at(0 * HOUR, 2 * HOUR).until(RULES) == START + 3 * HOUR


def test_it_lasts_no_longer_than_a_session_may() -> None:
    assert at(0 * HOUR, 7.5 * HOUR).until(RULES) == START + 8 * HOUR
