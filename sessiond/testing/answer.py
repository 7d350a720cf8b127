"""A question to the fake issuer and its answer, as they are on every way there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `raw` is sent instead of the body where it is given."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    @property
    def content(self) -> bytes:
        """The bytes of its body."""
        return json.dumps(self.body).encode() if self.raw is None else self.raw


def form_of(content: bytes) -> dict[str, str]:
    """Return a form's fields, the first of each name."""
    found = parse_qs(content.decode("utf-8", "replace"))
    return {name: values[0] for name, values in found.items()}
