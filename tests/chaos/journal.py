"""What a chaos run did and was told, in order: the evidence that the checker judges by."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID


class Journal:
    """Entries appended to a file of JSON lines; each has its number, Unix time and kind."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self.counts: Counter[str] = Counter()

    @property
    def last(self) -> int:
        """The number of the newest entry."""
        return self.counts.total() - 1

    def note(self, kind: str, **facts: Any) -> float:
        """Append an entry; return its time."""
        now = time.time()
        entry = {"n": self.counts.total(), "t": now, "kind": kind, **facts}
        self.counts[kind] += 1
        self._file.write(json.dumps(entry, default=_text) + "\n")
        return now

    def close(self) -> None:
        self._file.close()


def _text(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"no {type(value).__name__} belongs in the journal")
