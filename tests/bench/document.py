"""The figures as Markdown, put between their marks into docs/performance.md; the plot beside."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.bench.aims import aims
from tests.bench.figures import COLUMNS, Row, cells
from tests.bench.plot import plot

PLOT = "images/performance.svg"  # beside the document
MARKS = "<!-- {name} -->\n{content}<!-- /{name} -->"


def write(document: Path, machine: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Put the figures between the document's marks, and draw the plot that it shows.

    Raises:
        ValueError: A mark is not there.
    """
    parts = {
        "machine": "".join(f"- {name}: {value}\n" for name, value in machine.items()),
        "aims": _aims(rows),
        "figures": _figures(rows),
        "rooms": _rooms(rows),
    }
    text = document.read_text()
    for name, content in parts.items():
        if content:
            text = placed(text, name, f"\n{content}\n")
    document.write_text(text)
    (document.parent / PLOT).write_text(plot(rows))


def placed(text: str, name: str, content: str) -> str:
    """Return a text with other content between the marks of this name.

    Raises:
        ValueError: They are not there, or more than once.
    """
    marked = re.compile(MARKS.format(name=name, content="(?:.*\n)*?"))
    text, count = marked.subn(lambda _: MARKS.format(name=name, content=content), text)
    if count != 1:
        raise ValueError(f"{count} places for the {name}, wanted one")
    return text


def _aims(rows: Sequence[Row]) -> str:
    lines = [(aim.what, aim.wanted, aim.measured, aim.verdict) for aim in aims(rows)]
    return _table(("", "aim", "measured", ""), lines) if lines else ""


def _figures(rows: Sequence[Row]) -> str:
    known = [row for row in rows if not row.key.startswith("room.")]
    shown = [[row.what.replace("- ", "– ", 1), *cells(row), row.note] for row in known]
    return _table(("", *COLUMNS, ""), shown)


def _rooms(rows: Sequence[Row]) -> str:
    rooms = [row for row in rows if row.key.startswith("room.")]
    loads = list(dict.fromkeys(name for row in rooms for name in row.figures))
    lines = [[row.what, *(f"{row.figures.get(name, 0):.0f}" for name in loads)] for row in rooms]
    return _table(("% of the CPU time", *loads), lines) if rooms else ""


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table; what is a figure stands on the right."""
    rule = ["---", *("---:" if name else "---" for name in head[1:])]
    rows = [head, rule, *lines]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)
