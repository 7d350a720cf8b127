"""A guide in Markdown as a script: its files, its commands, and what it says they print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^<!-- (?P<mark>[^\n]*) -->\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Block:
    """A marked block of code: what is to be done with it, and its text."""

    do: str  # file, run, look, start, prints, "printed by"
    what: str  # the file's path, the exit code, the program's name
    until: str  # of start: a line with this says that it is ready
    text: str
    line: int  # of the guide


def blocks_of(path: Path) -> Iterator[Block]:
    """Yield the guide's marked blocks in order; those without a mark are only to be read."""
    guide = path.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(guide):
        mark, _, until = found["mark"].partition(", until: ")
        do, _, what = mark.partition(": ")
        line = guide.count("\n", 0, found.start()) + 1
        yield Block(do, what, until, found["text"], line)
