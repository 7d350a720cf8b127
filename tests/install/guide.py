"""What docs/operations.md has a reader do, taken from its marked blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/operations.md"
# A comment before a block says whose it is: <!-- install: pip --> or <!-- install: pip deb -->
_BLOCK = re.compile(
    r"^<!-- install: ([a-z ]+) -->\n```([a-z]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def steps(way: str) -> list[str]:
    """Return the shell blocks that this way of installing runs as root, in their order."""
    return [text for words, language, text in _blocks() if way in words and language == "sh"]


def _blocks() -> list[tuple[list[str], str, str]]:
    found = _BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    return [(words.split(), language, text) for words, language, text in found]
