"""The example page: who has signed in, as text; and nothing that was sent is evaluated."""

from html.parser import HTMLParser

import pytest

from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Interpreter

pytestmark = pytest.mark.needs("q")

PERSON = (
    "`session`user`name`roles`attributes`expires!(first -1?0Ng;`typed;`$\"<b>'alice'&co</b>\";"
    '`reader`trader;(enlist`dept)!enlist "<script src=\\"//evil.example\\">";2030.01.02D03:04:05)'
)
LEAVE = "https://localhost:5007/.sessiond/signout?t=1&\\\"onclick='2'"


class Read(HTMLParser):
    """What a browser makes of a page: elements, with what they have, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.links: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag == "a":
            self.links.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def q(start_q: Start) -> Interpreter:
    """q with the page, and a hook that says of everybody what we say."""
    after = f'.person:{PERSON}\n.leave:"{LEAVE}"\n.sessiond.who:{{[h] .person}}\n'
    everybody = ".z.pw:{[u;p] 1b}\n.sessiond.signout:{[] .leave}"
    return start_q(f"\\l {HOOK}/page.q", after + everybody)


def asked(q: Interpreter, target: str) -> tuple[str, str]:
    """Return the head and the body of what q answers to a GET."""
    head, _, body = q.http(f"GET {target}", "alice", "pw").partition("\r\n\r\n")
    return head, body


def test_the_page_says_who_has_signed_in_and_leads_to_signing_out(q: Interpreter) -> None:
    head, body = asked(q, "/")
    page = Read(body)
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "Cache-Control: no-store" in head
    assert "frame-ancestors 'none'" in head
    assert f"Content-Length: {len(body)}" in head
    assert "Name<b>'alice'&co</b>\n" in page.text
    assert "Rolesreader, trader\n" in page.text
    assert "This access lasts until2030.01.02 03:04 UTC, and is prolonged by itself\n" in page.text
    assert [link["href"] for link in page.links] == [LEAVE.replace("\\", "")]


def test_what_comes_of_people_and_tokens_is_text(q: Interpreter) -> None:
    page = Read(asked(q, "/")[1])
    assert 'dept<script src="//evil.example">\n' in page.text
    assert not {"b", "script"} & set(page.elements)
    assert [set(link) for link in page.links] == [{"href"}]


@pytest.mark.parametrize("target", ["/?.got:1", "/?.got%3a1", "/trade?.got:1", "/.got:1"])
def test_nothing_that_a_browser_sends_is_evaluated(q: Interpreter, target: str) -> None:
    q.run(".got:0")
    head, body = asked(q, target)
    assert head.startswith("HTTP/1.1 200 OK" if target.startswith("/?") else "HTTP/1.1 404 ")
    assert "got" not in body
    assert q.evaluate(".got") == "0"


def test_who_came_by_a_password_has_nothing_to_sign_out_of(q: Interpreter) -> None:
    q.run(".person:()!()")
    q.run('.leave:""')
    page = Read(asked(q, "/")[1])
    assert "You came by a password, or by none." in page.text
    assert page.links == []
