"""What a request says of who makes it, and what of it nobody is shown."""

import pytest

from sessiond.web.request import Request
from tests.fakes import process_about, process_key


def request(**given: str) -> Request:
    return Request(
        **({"target": "/"} | given),  # type: ignore[arg-type]
        process=process_key(),
        about=process_about(),
    )


def test_what_may_hold_a_token_or_a_code_is_not_shown() -> None:
    shown = repr(request(target="/?code=sekrit", cookie="a=sekrit", host="here"))
    assert "sekrit" not in shown
    assert "here" in shown


@pytest.mark.parametrize(
    ("accept", "is_so"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("TEXT/HTML", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
    ],
)
def test_a_page_is_wanted_by_who_accepts_one(accept: str, is_so: bool) -> None:
    assert request(accept=accept).is_for_a_person is is_so


@pytest.mark.parametrize(
    ("site", "is_so"),
    [
        ("cross-site", True),
        ("same-site", True),
        (" Cross-Site ", True),
        ("none, cross-site", True),
        ("made-up", True),
        ("same-origin", False),
        ("none", False),
        ("", False),
    ],
)
def test_another_origins_page_is_told_apart_by_the_browsers_word(site: str, is_so: bool) -> None:
    assert request(site=site).is_from_elsewhere is is_so
    assert request(site=site).is_of_a_browser is bool(site)
