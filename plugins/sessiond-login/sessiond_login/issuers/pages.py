"""What the browser's tab shows of a sign-in."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from html import escape

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:15vh auto 0;padding:0 1.5rem}"
    "h1{font-size:1.6rem;line-height:1.2}"
)
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of one heading and a few sentences, as plain text."""

    status: int = 200
    heading: str
    sentences: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return the page as UTF-8."""
        text = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in self.sentences)
        # The empty icon keeps browsers from asking for one.
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="icon" href="data:,"><title>{escape(self.heading)}</title>'
            f"<style>{_STYLE}</style></head>\n"
            f"<body><main><h1>{escape(self.heading)}</h1>\n{text}</main></body></html>\n"
        ).encode("utf-8", "replace")


def signed_in(user: str, host: str) -> Page:
    """Return what is shown once the tokens are there."""
    return Page(
        heading="Signed in",
        sentences=(
            f"You are signed in as {user} at {host}.",
            "Close this tab, and go on in the program that you came from.",
        ),
    )


def failed(reason: str) -> Page:
    """Return what is shown where the person came back and is not signed in."""
    return Page(
        heading="Not signed in",
        sentences=(
            f"{reason[:1].upper()}{reason[1:]}.",
            "Close this tab. The program that you came from says the same.",
        ),
    )


NOT_THIS_ONE = Page(
    status=400,
    heading="Not this sign-in",
    sentences=(
        "This page belongs to another sign-in, or to none. Nothing has changed by it.",
        "Go back to the tab that your program opened last, or sign in again there.",
    ),
)
NOT_YOURS = Page(
    status=403,
    heading="Not your sign-in",
    sentences=(
        "Another user of this computer began it, and it goes on in that user's browser alone.",
        "Close this tab. If you began it yourself, run the browser as the same user.",
    ),
)
NOTHING_HERE = Page(
    status=404, heading="Nothing here", sentences=("Close this tab: it is of no use.",)
)
NOT_ALLOWED = Page(
    status=405, heading="Nothing here", sentences=("Only a browser's GET is answered here.",)
)
