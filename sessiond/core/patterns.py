"""Shell patterns, compiled: what a text is compared with very often."""

import re
from collections.abc import Iterable
from fnmatch import translate

from sessiond.core.principal import folded

_SPECIAL = re.compile(r"[*?\[]")


class Patterns:
    """Shell patterns, of which a text is to match any. A-Z is compared without case.

    Names, which have nothing of a pattern, are looked up: there may be thousands of them.
    """

    __slots__ = ("_is_any", "_match", "_names")

    def __init__(self, patterns: Iterable[str]) -> None:
        every = dict.fromkeys(map(folded, patterns))
        self._names = frozenset(each for each in every if not _SPECIAL.search(each))
        others = [each for each in every if each not in self._names]
        self._is_any = "*" in every
        self._match = re.compile("|".join(map(translate, others))).match if others else _none

    def match(self, text: str) -> bool:
        """Say whether the text matches one of them. Where there are none, it does not."""
        if self._is_any:
            return True
        compared = folded(text)
        return compared in self._names or self._match(compared) is not None


def _none(_: str) -> None:
    """Match nothing."""
