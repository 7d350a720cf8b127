"""Logs: one line an event to standard output, a fixed phrase and facts as keys, never a token."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sessiond.core.secret import Secret

REDACTED = "[redacted]"
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

_LEVELS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}
# What a token looks like inside of a text, say an exception's: a JWT (RFC 7519, 3), whole or cut
# off, and whatever follows the names under which HTTP and OAuth carry secrets.
_TOKEN = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"
    r"|(?i:\b(?:bearer|basic)[ :]+)[^\s\"',;]{8,}"
    r"|(?i:\b(?:[a-z_]*token|password|client_secret|(?:client_)?assertion)=)[^&\s\"']+"
)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}


def redact(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Second guard: `Secret` hides itself, this catches bare text by its key and by its look."""
    return {
        key: value if key.startswith("_") else _redacted(key, value)  # _: structlog's own
        for key, value in event_dict.items()
    }


def escape(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Keep what somebody typed from steering the terminal; a traceback keeps its lines."""
    return {
        key: value.translate(_CONTROL) if isinstance(value, str) and key != "exception" else value
        for key, value in event_dict.items()
    }


def configure(line_format: str, level: str, *, stream: TextIO | None = None) -> None:
    """Set up sessiond's own log and, from warnings upwards, that of the libraries.

    Args:
        line_format: "json" or "console".
        level: The lowest that is shown: "debug", "info", "warning", "error" or "critical".
        stream: Where to; None: standard output.
    """
    target = sys.stdout if stream is None else stream
    before, last = _processors(line_format)
    structlog.configure(
        processors=[*before, last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,  # or a logger used before this would stay as it was
    )
    lines = logging.StreamHandler(target)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                last,
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(max(_LEVELS[level], logging.WARNING))  # httpx tells every URL at INFO


def _processors(line_format: str) -> tuple[list[Processor], Processor]:
    """Return what every line goes through, and what makes it a text at the end."""
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # no locals: they hold tokens
        redact,  # after it, since an exception's text is a stranger's
    ]
    if line_format == "json":
        return before, structlog.processors.JSONRenderer(serializer=json.dumps, default=_plain)
    return [*before, escape], structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )


def _redacted(key: str, value: Any) -> Any:
    """Return a value without what must not be shown, however deep inside."""
    if isinstance(value, Secret):
        return value  # prints as a placeholder
    if key.lower() in SECRET_KEYS and value is not None:
        return REDACTED
    if isinstance(value, bytes | bytearray):
        value = value.decode("ascii", "backslashreplace")
    if isinstance(value, str):
        return _TOKEN.sub(REDACTED, value)
    if isinstance(value, Mapping):
        return {str(name): _redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | datetime):
        return value
    return _TOKEN.sub(REDACTED, str(value))


def _plain(value: object) -> str:
    """Return what JSON has no type for as text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
