"""What must not be in a line: secrets, and what steers a terminal."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from structlog.typing import EventDict, WrappedLogger

from sessiond.core.printable import escaped, escaped_lines
from sessiond.core.secret import Secret

REDACTED = "[redacted]"
MAX_TEXT = 16_384  # characters of one text in a line, its middle left out: searching takes time
MAX_SHOWN = 500  # characters of an error's text outside of the log
PLAIN = frozenset({bool, int, float, datetime})  # types that cannot hold a secret
SECRET_KEYS = frozenset(
    {
        "access_token",
        "assertion",
        "authorization",
        "client_assertion",
        "client_secret",
        "cookie",
        "id_token",
        "password",
        "refresh_token",
        "secret",
        "token",
    }
)

# What a token looks like inside of a text, say an exception's: a JWT (RFC 7519, 3), whole or cut
# off, and whatever follows the names under which HTTP and OAuth carry secrets.
_TOKEN = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"
    r"|(?i:\b(?:bearer|basic)[ :]+)[^\s\"',;]{8,}"
    r"|(?i:\b(?:[a-z_]*token|password|client_secret|(?:client_)?assertion)=)[^&\s\"']+"
)


def redact(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Second guard: `Secret` hides itself, this catches bare text by its key and by its look."""
    return {
        key: value if type(value) in PLAIN and not _is_secret(key) else _redacted(key, value)
        for key, value in event_dict.items()
    }


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return key.lower() in SECRET_KEYS


def escape(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Keep what somebody typed from steering the terminal; a traceback keeps its lines."""
    return {
        key: (escaped_lines if key == "exception" else escaped)(value)
        if isinstance(value, str)
        else value
        for key, value in event_dict.items()
    }


def harmless(text: str) -> str:
    """Return what may be shown of an error's text wherever an operator looks, on one line."""
    return escaped(_text(text))[:MAX_SHOWN]


def _redacted(key: str, value: Any) -> Any:
    """Return a value without what must not be shown, however deep inside."""
    if type(value) is str:  # nearly always
        return REDACTED if _is_secret(key) else _text(value)
    if isinstance(value, Secret):
        return value  # prints as a placeholder
    if _is_secret(key) and value is not None:
        return REDACTED
    if isinstance(value, bytes | bytearray):
        value = value.decode("ascii", "backslashreplace")
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | int | float | datetime):
        return value
    if isinstance(value, Mapping):
        return {str(name): _redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", inner) for inner in value]
    return _text(str(value))


def _text(text: str) -> str:
    """Search only where the pattern could match at all: it costs more than the rest of a line."""
    text = text if len(text) <= MAX_TEXT else _without_middle(text)
    if "eyJ" in text or "=" in text or " " in text or ":" in text:
        return _TOKEN.sub(REDACTED, text)
    return text


def _without_middle(text: str) -> str:
    """Return the begin and the last lines. No secret goes on in another line, so none is halved."""
    last_lines = text.find("\n", len(text) - MAX_TEXT // 2)
    return f"{text[: MAX_TEXT // 2]} [...] {'' if last_lines < 0 else text[last_lines:]}"
