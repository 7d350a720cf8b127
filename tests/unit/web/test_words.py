"""Every page says what happened and what to do, and leads on."""

import re

import pytest

from sessiond.core.errors import Refusal
from sessiond.web import words
from sessiond.web.base import Base
from sessiond.web.pages import Page

BASE = Base("https://gateway.example:5007")
PAGES = {
    "unavailable": words.unavailable(BASE),
    "misled": words.misled(BASE),
    "not_begun": words.not_begun(BASE),
    "signed_out": words.signed_out(BASE),
    "wrong_sign_out": words.wrong_sign_out(BASE),
    "not_there": words.not_there(BASE),
    "from_elsewhere": words.from_elsewhere(BASE, "/?x"),
    "refused_by_issuer": words.refused_by_issuer(BASE, "access_denied"),
    **{f"refused {reason}": words.refused(BASE, reason) for reason in Refusal},
}
GOING_ON = {"waiting": words.waiting(), "busy": words.busy()}
FOR_A_PERSON = {"unclear": words.unclear(), "no_such_host": words.no_such_host(2)}


@pytest.mark.parametrize("name", PAGES | GOING_ON | FOR_A_PERSON)
def test_a_page_has_a_heading_and_words(name: str) -> None:
    page = (PAGES | GOING_ON | FOR_A_PERSON)[name]
    assert page.title
    assert all(re.fullmatch(r"[A-Z].*\.", text) for text in page.texts)
    assert page.texts


@pytest.mark.parametrize("name", PAGES)
def test_a_page_leads_on_at_its_own_base(name: str) -> None:
    links = PAGES[name].links
    assert links
    assert all(link.href.startswith("https://gateway.example:5007/") for link in links)


@pytest.mark.parametrize("name", GOING_ON)
def test_a_page_that_goes_on_by_itself_says_so(name: str) -> None:
    assert "goes on by itself" in GOING_ON[name].texts[0]
    assert re.search(r"^Refresh: [12]\r$", GOING_ON[name].answer().headers, re.MULTILINE)


@pytest.mark.parametrize(
    "page",
    [
        words.refused(BASE, Refusal.NOROLES, to="/page"),
        words.refused_by_issuer(BASE, "x", to="/page"),
        words.unavailable(BASE, to="/page"),
    ],
)
def test_who_was_refused_begins_again_where_he_wanted_to_be(page: Page) -> None:
    assert page.links[0].href == "https://gateway.example:5007/page"


@pytest.mark.parametrize("error", ["<script>", "eyJhbGciOi", "", "ACCESS_DENIED", "a" * 9000])
def test_no_word_of_the_issuers_is_shown_that_is_not_known(error: str) -> None:
    (text,) = words.refused_by_issuer(BASE, error).texts
    assert "not known here" in text
    assert not error or error not in text


def test_whoever_would_come_back_to_the_same_page_is_told_what_else_to_do() -> None:
    (stepup,) = words.refused(BASE, Refusal.STEPUP).texts
    assert "tell your administrator: stepup" in stepup
    (over,) = words.not_begun(BASE).texts
    assert "keeps no cookies" in over


def test_a_reason_that_needs_an_administrator_is_named() -> None:
    (text,) = words.refused(BASE, Refusal.WRONGAUDIENCE).texts
    assert text.endswith("wrongaudience.")
