"""A request to a stand-in and its answer, whichever way they go."""

import json
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    content: bytes
    parameters: str = ""  # of its address: what comes after the question mark

    @property
    def form(self) -> Mapping[str, str]:
        """Its body's fields as those of a form, the first of each name."""
        return _fields(self.content.decode("utf-8", "replace"))

    @property
    def query(self) -> Mapping[str, str]:
        """The fields of its address, the first of each name."""
        return _fields(self.parameters)

    @property
    def client(self) -> str:
        """Its client's id: of the form, else of the Basic header (RFC 6749, 2.3.1)."""
        return self.credentials[0]

    @property
    def credentials(self) -> tuple[str, str]:
        """Its client's id and secret, from the same place; empty where there is none."""
        kind, _, proof = self.headers.get("authorization", "").partition(" ")
        if "client_id" in self.form or kind.lower() != "basic":
            return self.form.get("client_id", ""), self.form.get("client_secret", "")
        with suppress(ValueError):  # no base64, or no text
            client, _, secret = b64decode(proof, validate=True).decode().partition(":")
            return unquote_plus(client), unquote_plus(secret)
        return "", ""

    def json(self) -> Any:
        """Return its body, which is JSON."""
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `raw` is sent instead of the body where it is given."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    pace: float = 0.0  # seconds between two bytes of the body; 0 = it is sent whole
    is_endless: bool = False  # blanks come after the body, at its pace, without an end
    is_dropped: bool = False  # the connection is closed instead

    @property
    def content(self) -> bytes:
        """The bytes of its body."""
        return json.dumps(self.body).encode() if self.raw is None else self.raw


def _fields(encoded: str) -> Mapping[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}
