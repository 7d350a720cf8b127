"""What a person sees of a fake issuer: plain pages that work without scripts."""

from collections.abc import Iterable, Mapping
from html import escape

from sessiond.testing.answer import Answer

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # addresses have codes in them
}
PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 4rem auto }}
label, input {{ display: block; width: 100%; box-sizing: border-box }}
input {{ font: inherit; margin-bottom: 1rem; padding: .4rem }}
button {{ font: inherit; padding: .4rem 1rem; margin-right: .5rem }}
[role=alert] {{ color: #b00020 }}
</style>
<main>
<h1>{title}</h1>
{content}
</main>
</html>
"""
CODE = '<label for="code">Code</label><input id="code" name="code" value="{}" required autofocus>'
WHO = (
    '<label for="user">Name</label><input id="user" name="user" autocomplete="username" required>'
    '<label for="password">Password</label><input id="password" name="password" type="password"'
    ' autocomplete="current-password" required>'
)
BUTTONS = '<button>{}</button><button name="answer" value="deny" formnovalidate>Cancel</button>'


def page(
    title: str,
    *content: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return a page; its content is HTML already, its title is not."""
    text = PAGE.format(title=escape(title), content="\n".join(content))
    return Answer(status, {}, {**HEADERS, **(headers or {})}, raw=text.encode())


def words(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def alert(text: str) -> str:
    """Return a paragraph about what went wrong; empty where nothing did."""
    return f'<p role="alert">{escape(text)}</p>' if text else ""


def form(action: str, fields: Iterable[str], *, button: str) -> str:
    """Return a form that is posted to `action`, with a button to agree and one to deny."""
    inner = "\n".join([*fields, BUTTONS.format(escape(button))])
    return f'<form method="post" action="{escape(action)}">\n{inner}\n</form>'


def code_field(value: str) -> str:
    """Return the field for a device's code."""
    return CODE.format(escape(value))
