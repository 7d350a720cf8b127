"""What is sent: one or more events as the body of one request."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sessiond.api import Event
from sessiond_webhook import chat, cloudevents
from sessiond_webhook.settings import WebhookSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A body, ready to be signed and sent as often as it takes."""

    id: str  # the same whenever the same events are sent
    content_type: str
    body: bytes


def message_of(events: Sequence[Event], settings: WebhookSettings) -> Message:
    """Return the request for 1 to `batch` events."""
    message_id = _id(events, settings.source)
    if settings.format == "chat":
        content_type, body = "application/json", chat.body(events)
    elif settings.batch == 1:
        content_type = cloudevents.STRUCTURED
        body = cloudevents.structured(events[0], settings.source)
    else:
        content_type, body = cloudevents.BATCHED, cloudevents.batched(events, settings.source)
    return Message(id=message_id, content_type=content_type, body=body)


def _id(events: Sequence[Event], source: str) -> str:
    """Return a name that no other events of any sessiond have, and no dot in it."""
    names = "\n".join([source, *map(cloudevents.id_of, events)])
    return "sd_" + hashlib.sha256(names.encode()).hexdigest()[:40]
