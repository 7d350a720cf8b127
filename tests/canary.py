"""Whether a secret that the suite has seen stands anywhere it should not.

What counts of a secret is its random part: a JWT's signature, an opaque token whole.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sessiond.core.errors import SessiondError

CHUNK = 8  # characters; any 16 in a row hold one of these whole
LEAST, LEAST_DISTINCT = 32, 10  # characters; less is made up by hand, and may stand anywhere
VARIED = 4  # distinct characters of a chunk: a row of one letter is nobody's secret
MOST_TEXTS = 200_000  # distinct ones; a fuzzed parser has more to say than is worth keeping

_chunks: dict[bytes, str] = {}  # of every secret, with a name to report it by
_remembered: Counter[str] = Counter()  # tokens of each name


def remember(token: str, name: str, *, at_most: int | None = None) -> None:
    """Look for this token from now on, unless `at_most` of this name are looked for already."""
    random_part = token.rpartition(".")[2].encode()
    if len(random_part) < LEAST or len(set(random_part)) < LEAST_DISTINCT:
        return
    if at_most is not None and _remembered[name] >= at_most:
        return
    _remembered[name] += 1
    for at in range(0, len(random_part) - CHUNK + 1, CHUNK):
        chunk = random_part[at : at + CHUNK]
        if len(set(chunk)) >= VARIED:
            _chunks[chunk] = name


def found_in(text: bytes) -> set[str]:
    """Return the names of the secrets of which 16 characters or more in a row stand in the text."""
    return {
        _chunks[text[at : at + CHUNK]]
        for at in range(len(text) - CHUNK + 1)
        if text[at : at + CHUNK] in _chunks
    }


@contextmanager
def texts_of_errors() -> Iterator[set[str]]:
    """Collect what every error that sessiond raises on purpose says, until the block ends.

    Where one block stands in another, the inner one's errors are its own.
    """
    texts: set[str] = set()

    def collect(self: SessiondError, *args: object) -> None:
        super(SessiondError, self).__init__(*args)
        if len(texts) < MOST_TEXTS:
            texts.add(" ".join([type(self).__name__, *map(str, args)]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SessiondError, "__init__", collect)
        yield texts


def leaks(texts: set[str]) -> list[str]:
    """Return a line for each text in which a secret stands."""
    found = ((text, found_in(text.encode(errors="backslashreplace"))) for text in sorted(texts))
    return [f"{', '.join(sorted(names))}: {text}" for text, names in found if names]
