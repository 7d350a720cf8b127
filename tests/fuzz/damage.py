"""Valid inputs, damaged: what fuzzing with random bytes alone never gets past the first check."""

import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

MAX_DAMAGES = 4
# Words of JSON, TOML and tokens, else single bytes: what a value can be replaced by.
_WORD = re.compile(rb'"[^"\n]*"|[A-Za-z0-9_+/.-]+|.', re.DOTALL)
WORDS = [
    *(
        b"null",
        b"true",
        b"false",
        b"0",
        b"-1",
        b"1e999",
        b"NaN",
        b"1772442000.5",
        b"99999999999999",
    ),
    *(b'""', b'"x"', b'"\\ud800"', b'"*"', b'"[a"', b"[]", b"{}", b'["x",7]', b'{"a":{"a":1}}'),
    *(b"[" * 20, b"{" * 3, b"\0", b"\xff", b"\n", b"=", b";", b".", b"..", b"eyJ", b"bearer:"),
    *(b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80", b"a" * 300),
]

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
    words = [found.span() for found in _WORD.finditer(data)]
    start, end = draw(st.sampled_from(words))
    other = slice(*draw(st.sampled_from(words)))
    return data[:start] + draw(st.sampled_from([data[other], *WORDS])) + data[end:]


def _grafted(draw: st.DrawFn, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """End as another seed ends."""
    other = draw(st.sampled_from(seeds))
    return data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]


DAMAGES: list[Damage] = [_one_bit, _torn, _cut, _repeated, _inserted, _another_word, _grafted]


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed with up to four damages; now and then it is whole."""
    data = draw(st.sampled_from(seeds))
    for damage in draw(st.lists(st.sampled_from(DAMAGES), max_size=MAX_DAMAGES)):
        if data:
            data = damage(draw, data, seeds)
    return data
