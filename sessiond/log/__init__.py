"""Logs: one line an event, a fixed phrase and facts as keys, never a token. docs/signals.md."""

from sessiond.log.output import lost
from sessiond.log.redaction import REDACTED, SECRET_KEYS, escape, redact
from sessiond.log.repeats import repeats
from sessiond.log.setup import configure, end, run

__all__ = [
    "REDACTED",
    "SECRET_KEYS",
    "configure",
    "end",
    "escape",
    "lost",
    "redact",
    "repeats",
    "run",
]
