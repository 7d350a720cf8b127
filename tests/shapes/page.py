"""What docs/issuers.md tells a reader to write, and what it says of each issuer."""

import re
from pathlib import Path

from sessiond.config import IssuerConfig
from sessiond.config.reading import read

TEXT = (Path(__file__).parents[2] / "docs/issuers.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def sections() -> dict[str, str]:
    """Return the text of each issuer's section by the names of the tables in it."""
    found = {}
    for section in re.split(r"^### ", _one_by_one(), flags=re.MULTILINE)[1:]:
        for issuer in _issuers(section):
            found[issuer.name] = section
    return found


def headings() -> list[str]:
    """Return the heading of each table's section, in the page's order."""
    return [section.partition("\n")[0] for section in sections().values()]


def tables() -> dict[str, IssuerConfig]:
    """Return the vendors' tables by name, each read as the daemon would read it alone."""
    return {issuer.name: issuer for issuer in _issuers(_one_by_one())}


def names() -> list[str]:
    """Return the names of all tables on the page."""
    return [issuer.name for issuer in _issuers(TEXT)]


def rows() -> list[list[str]]:
    """Return the cells of the page's first table, without its head."""
    table = TEXT.partition("\n| ")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table[2:]]


def _one_by_one() -> str:
    return TEXT.partition("\n## One by one\n")[2].partition("\n## ")[0]


def _issuers(text: str) -> list[IssuerConfig]:
    return [issuer for block in _BLOCK.findall(text) for issuer in read(block).issuers]
