"""Valid inputs, damaged: what fuzzing with random bytes alone never gets past the first check."""

import re
from collections.abc import Callable, Iterator, Sequence

from hypothesis import strategies as st

MAX_DAMAGES = 4
_WORD = re.compile(rb'"[^"\n]*"|[A-Za-z0-9_+/-]{2,}')  # of JSON, TOML and tokens
TEXTS = (
    rb'null true false 0 -1 1e999 NaN 1772442000.5 99999999999999 [] {} ["x",7] {"a":{"a":1}} '
    rb'"" "x" "\ud800" "\u202e" "*" "[a" = ; . .. eyJ bearer:'
)
OCTETS = [b"\n", b"\0", b"\xff", b"\0" * 4, b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\xff" * 4]
WORDS = [*TEXTS.split(), *OCTETS, b"a" * 60]
# Nested deeper than Python recurses: lists of one list each, JSON's and TOML's arrays.
DEEP = [b"\0\0\1\0\0\0" * 500, b"[" * 3000]

Damage = Callable[[st.DrawFn, bytes, Sequence[bytes]], bytes]


def _one_bit(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]


def _torn(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _cut(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = sorted(draw(st.integers(0, len(data))) for _ in range(2))
    return data[:start] + data[end:]


def _repeated(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = sorted(draw(st.integers(0, len(data))) for _ in range(2))
    return data[:end] + data[start:end] * draw(st.integers(1, 3)) + data[end:]


def _inserted(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.sampled_from(WORDS) | st.binary(max_size=8)) + data[at:]


def _another_word(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    """Replace one word by another of the same text, or by an odd one."""
    words = _words(data)
    start, end = draw(st.sampled_from(words))
    other = slice(*draw(st.sampled_from(words)))
    return data[:start] + draw(st.sampled_from([*WORDS, data[other]])) + data[end:]


def _shorter_word(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = draw(st.sampled_from(_words(data)))
    return data[: max(start, end - draw(st.integers(1, 3)))] + data[end:]


def _deep(draw: st.DrawFn, data: bytes, _: Sequence[bytes]) -> bytes:
    at = draw(st.sampled_from([0, *(start for start, _ in _words(data))]))
    return data[:at] + draw(st.sampled_from(DEEP)) + data[at:]


def replacements(data: bytes) -> Iterator[bytes]:
    """Every word of a text replaced by every odd one."""
    for start, end in _words(data):
        for word in WORDS:
            yield data[:start] + word + data[end:]


def _words(data: bytes) -> list[tuple[int, int]]:
    return [found.span() for found in _WORD.finditer(data)] or [(0, len(data))]


def _grafted(draw: st.DrawFn, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """End as another seed ends."""
    other = draw(st.sampled_from(seeds))
    return data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]


DAMAGES: list[Damage] = [
    *(_one_bit, _torn, _cut, _repeated, _inserted),
    *(_another_word, _another_word, _another_word, _shorter_word, _deep, _grafted),
]


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed with up to four damages; now and then it is whole."""
    data = draw(st.sampled_from(seeds))
    for damage in draw(st.lists(st.sampled_from(DAMAGES), max_size=MAX_DAMAGES)):
        if data:
            data = damage(draw, data, seeds)
    return data
