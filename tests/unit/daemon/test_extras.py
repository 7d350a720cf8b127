"""What a configuration needs of packages that are not always installed."""

import sys
from collections.abc import Mapping

import pytest

from sessiond.config import Config, read
from sessiond.core.errors import ConfigError
from sessiond.daemon.extras import check_extras
from sessiond.daemon.settings import look_up
from tests.unit.config.test_issuers import issuer
from tests.unit.config.test_web_tables import CLIENT, WEB

NOTHING: Mapping[str, str] = {}


def by_browser() -> Config:
    return read(issuer() + CLIENT + WEB)


def test_whoever_lets_people_sign_in_by_the_browser_is_told_which_extra_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_extras(by_browser())
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(
        ConfigError, match=r"issuer\[corp\]\.web is set, but jinja2 is not .*web\.txt"
    ):
        check_extras(by_browser())
    with pytest.raises(ConfigError, match="jinja2"):  # at a start, a reload and a check
        look_up(by_browser(), NOTHING)


def test_bearers_and_bases_alone_need_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    check_extras(read(issuer() + WEB))
    look_up(read(issuer()), NOTHING)
