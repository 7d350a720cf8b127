"""Pages for people: what happened, what to do, and a button. Without scripts, and never kept.

Jinja escapes whatever is put into them. It is imported where pages are shown: who comes with an
access token needs none.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sessiond.web.answer import RETRY_AFTER, Answer, Header, retry_after, sent

if TYPE_CHECKING:
    from jinja2 import Template

MAX_SHOWN = 400  # characters of an address

_TYPE = "text/html; charset=us-ascii"


@dataclass(frozen=True, slots=True)
class Link:
    """A button: it leads somewhere, and changes nothing by itself."""

    href: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a person is told."""

    title: str
    texts: Sequence[str] = ()
    links: Sequence[Link] = ()
    shown: str = ""  # an address to be judged before it is gone to
    status: int = 200
    reason: str = ""  # for the process
    refresh: int = 0  # seconds until the browser asks again by itself; 0: it does not

    def answer(self, *headers: Header) -> Answer:
        """Return it as a response; nobody is let in by it."""
        style = _style()
        html = _template().render(
            title=self.title,
            texts=self.texts,
            links=self.links,
            shown=_cut(self.shown),
            style=style,
        )
        return sent(
            "deny",
            self.status,
            *_guards(style),
            *self._again(),
            *headers,
            body=html.encode("ascii", "xmlcharrefreplace").decode("ascii"),
            content_type=_TYPE,
            reason=self.reason,
        )

    def _again(self) -> Iterator[Header]:
        if self.refresh:
            yield "Refresh", str(self.refresh)
        if self.status == 503:
            yield retry_after(self.refresh or RETRY_AFTER)


def prepare() -> None:
    """Get ready to draw pages: it takes 65 ms, for which the first person would hold all others."""
    _style()
    _template()


def front_page(base_url: str, text: str = "Go on") -> Link:
    """Return the button to the front page, where whoever has no session is asked to sign in."""
    return Link(f"{base_url}/", text)


def _guards(style: str) -> Sequence[Header]:
    """Return what keeps a page from being framed, read as something else, or leaking its address.

    The address of a callback has a code in it, until that is spent.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        ("Content-Security-Policy", f"{policy}; frame-ancestors 'none'"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    )


@cache
def _style() -> str:
    return _read("style.css")


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_read("page.html"))


def _read(name: str) -> str:
    return files("sessiond.web").joinpath("templates", name).read_text(encoding="ascii")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ..."
