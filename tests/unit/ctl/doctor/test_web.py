"""What is said of signing in by the browser."""

import sys

import pytest

from sessiond.config import read
from sessiond.ctl.doctor.finding import ok
from sessiond.ctl.doctor.web import web
from tests.unit.config.test_issuers import issuer
from tests.unit.config.test_web_tables import CLIENT, WEB


def test_each_uri_that_must_be_registered_is_said_letter_by_letter() -> None:
    bases = '[web]\nbases = ["HTTPS://Gateway1:443", "http://localhost:5007"]\n'
    assert list(web(read(issuer() + CLIENT + bases))) == [
        ok(
            "web corp",
            "client kdb-web there needs the redirect and post-logout URI "
            f"{base}/.sessiond/callback",
        )
        for base in ("https://gateway1", "http://localhost:5007")
    ]


def test_nothing_is_said_where_nobody_signs_in_by_the_browser() -> None:
    assert list(web(read(issuer()))) == []


def test_bases_that_nobody_signs_in_at_are_doubtful() -> None:
    (found,) = web(read(issuer() + WEB))
    assert (found.check, found.outcome.value) == ("web pages", "warning")
    assert "no issuer has a client for browsers" in found.found


def test_pages_without_what_draws_them_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    first, _ = web(read(issuer() + CLIENT + WEB))
    assert (first.check, first.outcome.value) == ("web pages", "wrong")
    assert ".ci/pins/web.txt" in first.advice
    assert "sessiond[web]" not in first.advice  # nobody's name on an index is ours
