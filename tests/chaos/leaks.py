"""Looks for secrets in files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

WINDOW = 16  # characters of a secret that must not stand anywhere
STRIDE = 8  # so that any 23 of them are found


def leaks(secrets: Iterable[str], files: Iterable[Path]) -> Iterator[str]:
    """Yield the name of each file in which a part of a secret stands."""
    parts = {
        secret[at : at + WINDOW].encode()
        for secret in secrets
        for at in range(0, len(secret) - WINDOW + 1, STRIDE)
    }
    for path in files:
        content = path.read_bytes()
        if any(content[at : at + WINDOW] in parts for at in range(len(content) - WINDOW + 1)):
            yield path.name
