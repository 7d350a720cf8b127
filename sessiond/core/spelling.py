"""What was probably meant by a word that nobody knows."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is spelt most like this one; None: none is like it."""
    return next(iter(difflib.get_close_matches(word, known, n=1)), None)


def unknown(word: str, meant: str | None) -> str:
    """Say that a word is unknown, and what was probably meant, where something was."""
    return f"{word} is unknown" + (f"; did you mean {meant}?" if meant else "")
