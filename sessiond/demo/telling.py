"""How the story is told: a line for each thing that happened, in colour on a terminal only."""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

STYLES = {"sessiond": "cyan", "issuer": "magenta", "kill -9": "red"}  # the others are q processes


class Telling:
    """Prints the story."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the story has been going."""
        return time.monotonic() - self._started

    def title(self, words: str) -> None:
        """Print what it is all about."""
        self._console.print(Text(words, style="bold"))

    def step(self, number: int, words: str) -> None:
        """Print what is about to be shown."""
        self._console.print(Text(f"\n{number}. {words}", style="bold"))

    def line(self, who: str, what: str, *, took: float | None = None, since: str = "") -> None:
        """Print who did what; `took` is in seconds, measured, and counts from `since`."""
        told = Text(f"{self.seconds:7.2f} s  ", style="dim")
        told.append(f"{who:<10}", style=STYLES.get(who, "green"))
        told.append(what, style="default")
        if took is not None:
            after = f" after {since}" if since else ""
            told.append(f"  [{took * 1000:.1f} ms{after}]", style="yellow")
        self._console.print(told)

    def end(self, words: str) -> None:
        """Print that all went well."""
        self._console.print(Text(f"\n{words}", style="bold green"))

    def failed(self, why: str, log: Iterable[str]) -> None:
        """Print what did not happen, and what the daemon said meanwhile."""
        self._console.print(Text(f"\nThis did not happen: {why}", style="bold red"))
        self._console.print(Text("The daemon's log:"))
        for line in log:
            self._console.print(Text(f"  {line.rstrip()}", style="dim"))
