"""Events as a chat message, `{"text": …}`: Slack, Mattermost, Rocket.Chat, Google Chat."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from sessiond.api import (
    Event,
    Gap,
    LoginRefused,
    OperatorEvent,
    SessionRevoked,
    SourceIssued,
)

MAX_VALUE: Final = 100  # characters of one value
MAX_TEXT: Final = 3500  # bytes of one message; Google Chat takes 4096

_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'"})


def body(events: Sequence[Event]) -> bytes:
    """Return the message: a line for each event, as many as there is room for."""
    lines = [line_of(event) for event in events]
    kept = lines
    while sum(len(line.encode()) + 1 for line in kept) > MAX_TEXT:
        kept = kept[:-1]
    if len(kept) < len(lines):
        kept = [*kept, f"and {len(lines) - len(kept)} more"]
    return msgspec.json.encode({"text": "\n".join(kept)})


def line_of(event: Event) -> str:
    """Return one event in fixed words, its values quoted.

    Quoted as code, a value cannot mention people, make links or change how the message looks:
    whoever can try to log in chooses what is shown as the user.
    """
    return " ".join([_quoted(event.kind), *(f"{word} {_quoted(it)}" for word, it in _facts(event))])


def _facts(event: Event) -> Iterator[tuple[str, str]]:
    if isinstance(event, Gap):
        yield "events are missing after", str(event.after)
        yield "and before", str(event.before)
        return
    if isinstance(event, OperatorEvent):
        yield from _order(event)
        return
    if isinstance(event, SourceIssued):
        yield from _issued(event)
        return
    yield "user", event.user
    if event.issuer:
        yield "of", event.issuer
    if event.process is not None:
        yield "on", f"{event.process.name}@{event.process.host}"
    if event.reason:
        yield "because", event.reason
    if isinstance(event, SessionRevoked) and event.detail:
        yield "in words", event.detail
    if isinstance(event, LoginRefused):
        yield "times", str(event.count)
    yield "at", event.at.isoformat(sep=" ", timespec="seconds")


def _issued(event: SourceIssued) -> Iterator[tuple[str, str]]:
    yield "for", event.source
    if event.process is not None:
        yield "to", f"{event.process.name}@{event.process.host}"
    if event.by is not None:
        yield "to", event.by.name or f"uid {event.by.uid}"
    if event.user:
        yield "on behalf of", event.user
    yield "times", str(event.count)
    yield "at", event.at.isoformat(sep=" ", timespec="seconds")


def _order(event: OperatorEvent) -> Iterator[tuple[str, str]]:
    by = event.by
    yield "by", "a signal" if by is None else by.name or f"uid {by.uid}"
    yield "of", f"{event.scope} {event.value}".strip()
    if event.reason:
        yield "because", event.reason
    yield "sessions", str(event.count)
    yield "at", event.at.isoformat(sep=" ", timespec="seconds")


def _quoted(value: str) -> str:
    plain = "".join(each if each.isprintable() else "?" for each in value)
    if len(plain) > MAX_VALUE:
        plain = plain[:MAX_VALUE] + "…"
    return f"`{plain.strip().translate(_ENTITIES) or '-'}`"
