"""Events as CloudEvents 1.0, in the JSON format (github.com/cloudevents/spec)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from sessiond.api import Event, Gap, to_json

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"

_VERSION: Final = "v1"  # of what `data` looks like
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()


class _CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The attributes of CloudEvents, section "Context Attributes"."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime
    datacontenttype: str
    data: msgspec.Raw


def structured(event: Event, source: str) -> bytes:
    """Return one event in structured mode."""
    return _encoder.encode(_cloud_event(event, source))


def batched(events: Sequence[Event], source: str) -> bytes:
    """Return events in the batch format."""
    return _encoder.encode([_cloud_event(event, source) for event in events])


def id_of(event: Event) -> str:
    """Return what the event is called, the same whenever it is sent.

    Its number alone would come again from a daemon with a new store. A gap has none of its own,
    and its time is that of its telling: what it leaves out is its name.
    """
    if isinstance(event, Gap):
        return f"{event.sequence}-gap-{event.after}"
    return f"{event.sequence}-{(event.at - _1970) // timedelta(microseconds=1)}"


def _cloud_event(event: Event, source: str) -> _CloudEvent:
    return _CloudEvent(
        specversion="1.0",
        id=id_of(event),
        source=source,
        type=f"io.sessiond.{event.kind}.{_VERSION}",
        subject=None if event.session is None else str(event.session),
        time=event.at,
        datacontenttype="application/json",
        data=msgspec.Raw(to_json(event)),
    )
