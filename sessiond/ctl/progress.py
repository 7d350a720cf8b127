"""How far a revocation has come, by the events that tell of it: no bar is drawn that only waits."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sessiond.ctl.client import Client, ControlError

MANY = 1000  # live sessions; fewer end before a bar could be read
TELLING = "session.revoked"


@contextmanager
def followed(client: Client, *, is_shown: bool) -> Iterator[None]:
    """Draw how many sessions have ended on disk, while the body has them revoked.

    Only on a terminal, and only where so many are live that it takes a while. The bar counts the
    events, on a connection of its own, and the number that it counts to is of all live sessions.
    """
    if not is_shown or not sys.stderr.isatty():
        yield
        return
    status = client.get("/v1/status")
    live = sum(status["sessions"].values())
    if live < MANY:
        yield
        return
    columns = (TextColumn("sessions ended"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        drawn = bar.add_task("", total=live)
        threading.Thread(
            target=_follow,
            args=(client.path, status["last_sequence"], lambda: bar.advance(drawn)),
            daemon=True,  # it waits for more events than will come
        ).start()
        yield


def _follow(path: str, after: int, has_ended: Callable[[], None]) -> None:
    with Client(path) as client, suppress(ControlError):
        for told in client.events(after):
            if told.kind == TELLING:
                has_ended()
