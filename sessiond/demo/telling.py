"""How the story is told: what happened, line by line, in colour on a terminal only."""

import textwrap
import time
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

STYLES = {"sessiond": "cyan", "issuer": "magenta", "kill -9": "red", "alice": "bright_blue"}
WIDTH = 80  # columns
WHO = 11
INDENT = len("   0.00 s  ") + WHO


class Telling:
    """Prints the story, on lines of 80 columns at most."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the story has been going."""
        return time.monotonic() - self._started

    def title(self, words: str) -> None:
        """Print what it is all about."""
        self._print(words, "bold")

    def step(self, number: int, words: str) -> None:
        """Print what is about to be shown."""
        self._console.print()
        self._print(f"{number}. {words}", "bold")

    def line(self, who: str, what: str, *, took: float | None = None, since: str = "") -> None:
        """Print who did what; `took` is in seconds, measured, and counts from `since`."""
        told = Text(f"{self.seconds:7.2f} s  ", style="dim")
        told.append(f"{who:<{WHO}}", style=STYLES.get(who, "green"))
        *before, last = _lines(what, WIDTH - INDENT)
        for each in before:
            told.append(f"{each}\n{'':{INDENT}}", style="default")
        told.append(last, style="default")
        if took is not None:
            after = f" after {since}" if since else ""
            measured = f"[{took * 1000:.1f} ms{after}]"
            is_room = INDENT + len(last) + 2 + len(measured) <= WIDTH
            told.append(("  " if is_room else f"\n{'':{INDENT}}") + measured, style="yellow")
        self._console.print(told)

    def quote(self, words: str) -> None:
        """Print what somebody reads, as it stands."""
        before = f"{'':{INDENT - WHO}}| "
        for each in _lines(words, WIDTH - len(before)):
            self._console.print(Text(f"{before}{each}", style="bold"))

    def end(self, words: str) -> None:
        """Print that all went well."""
        self._console.print()
        self._print(words, "bold green")

    def failed(self, why: str, log: Iterable[str]) -> None:
        """Print what did not happen, and what the daemon said meanwhile."""
        self._console.print()
        self._print(f"This did not happen: {why}", "bold red")
        self._console.print(Text("The daemon's log:"))
        for line in log:
            self._console.print(Text(f"  {line.rstrip()}", style="dim"))

    def _print(self, words: str, style: str) -> None:
        self._console.print(Text("\n".join(_lines(words, WIDTH)), style=style))


def _lines(words: str, width: int) -> list[str]:
    """Break words into lines; what is itself longer, such as an address, stays whole."""
    return textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False) or [""]
