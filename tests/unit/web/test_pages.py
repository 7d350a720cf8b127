"""Pages are safe to show whatever is put into them, and carry nothing along."""

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.web.pages import MAX_SHOWN, Link, Page, front_page


class Reader(HTMLParser):
    """Collects the elements and the text of a page, as a browser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "<script>alert(1)</script>\"'&\u00e9\ud800\r\n{{ 7*7 }}"


def page(text: str = HOSTILE) -> Page:
    return Page(title=text, texts=[text], shown=text, links=[Link("https://a/", text)])


def test_what_is_put_in_is_text_and_nothing_else() -> None:
    read = Reader(page().answer().body)
    assert "script" not in {tag for tag, _ in read.elements}
    assert "<script>alert(1)</script>" in read.text
    assert "{{ 7*7 }}" in read.text


@given(st.text(max_size=40))
def test_no_text_adds_an_element(text: str) -> None:
    plain = [tag for tag, _ in Reader(page("x").answer().body).elements]
    answer = page(text or "x").answer()
    assert [tag for tag, _ in Reader(answer.body).elements] == plain
    assert answer.body.isascii()
    assert f"Content-Length: {len(answer.body)}\r\n" in answer.headers


def test_a_page_has_no_script_and_allows_none_nor_any_frame() -> None:
    answer = page().answer()
    (policy,) = re.findall(r"Content-Security-Policy: (.*)\r\n", answer.headers)
    (style,) = re.findall(r"(?s)<style>(.*)</style>", answer.body)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    for header in ("Referrer-Policy: no-referrer", "X-Content-Type-Options: nosniff"):
        assert f"{header}\r\n" in answer.headers
    assert "Cache-Control: no-store\r\n" in answer.headers


def test_an_address_is_shown_as_far_as_it_can_be_read() -> None:
    read = Reader(Page(title="x", shown="/" + "a" * 5000).answer().body)
    assert "/" + "a" * (MAX_SHOWN - 1) + " ..." in read.text
    assert "a" * MAX_SHOWN not in read.text


def test_a_page_says_its_status_and_reason_to_the_process() -> None:
    answer = Page(title="x", status=404, reason="malformed").answer(("Refresh", "1"))
    assert (answer.action, answer.status, answer.reason) == ("deny", 404, "malformed")
    assert answer.headers.endswith("Refresh: 1\r\n")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (Page(title="x"), []),
        (Page(title="x", refresh=1, status=202), ["Refresh: 1"]),
        (Page(title="x", refresh=2, status=503), ["Refresh: 2", "Retry-After: 2"]),
        (Page(title="x", status=503), ["Retry-After: 5"]),
    ],
)
def test_a_page_for_a_while_says_when_to_ask_again(page: Page, said: list[str]) -> None:
    lines = page.answer().headers.split("\r\n")
    assert [line for line in lines if line.startswith(("Refresh", "Retry-After"))] == said


def test_whoever_shows_no_page_needs_no_jinja_and_whoever_does_has_it_before_the_first() -> None:
    program = (
        "import sys; from sessiond.web import pages, web\n"
        "print('jinja2' in sys.modules); pages.prepare(); print('jinja2' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert printed.stdout.split() == [b"False", b"True"]


def test_a_button_leads_to_the_front_page() -> None:
    assert front_page("https://a:1") == Link("https://a:1/", "Go on")


@pytest.mark.parametrize("href", ['"><script>', "javascript:'"])
def test_an_address_cannot_leave_its_attribute(href: str) -> None:
    read = Reader(Page(title="x", links=[Link(href, "y")]).answer().body)
    assert [attrs for tag, attrs in read.elements if tag == "a"] == [{"href": href}]
