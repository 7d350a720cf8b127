"""How the story and those it starts talk: one JSON object a line, with the time it was written."""

import json
import os
import sys
import time
from typing import Any

CHUNK = 65536  # bytes
LOGIN = '{"do": "login", "user": "NAME", "password": "TOKEN"}'


def report(event: str, **facts: Any) -> None:
    """Write to standard output what happened.

    `at` is the machine's monotonic clock in seconds: on Linux all processes share it.
    """
    print(json.dumps({"event": event, "at": time.monotonic(), **facts}), flush=True)


class Commands:
    """The lines of a file descriptor; it can be waited for with `select`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> list[dict[str, Any]] | None:
        """Wait for input; return the commands that are whole, or None at its end."""
        data = os.read(self._descriptor, CHUNK)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        try:
            return [json.loads(line) for line in lines]
        except ValueError:  # the line is not shown: it may hold a token
            sys.exit(f"a line of input is no JSON, wanted {LOGIN}")
