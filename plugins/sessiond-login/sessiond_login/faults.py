"""What a fault of this program shows: its kind and its place, never a value."""

import logging
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType


def show_no_values() -> None:
    """Have nothing unforeseen print a traceback, a message or a log line: a token could be in it.

    Nor leave a core file, as Ctrl-\\ does where that is allowed.

    Python's own exit code for it stays, which is 1.
    """
    sys.excepthook = _told
    threading.excepthook = lambda seen: _told(seen.exc_type, seen.exc_value, seen.exc_traceback)
    sys.unraisablehook = lambda seen: None
    logging.lastResort = None  # libraries' warnings, which else go to standard error
    logging.raiseExceptions = False
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _told(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, SystemExit):  # of a thread, which ends by it
        return
    frames = traceback.extract_tb(trace)
    place = (
        f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    )
    own = [each for each in frames if Path(each.filename).is_relative_to(Path(__file__).parent)]
    if own and own[-1] is not frames[-1]:
        place += f", called from {Path(own[-1].filename).name}:{own[-1].lineno}"
    if sys.stderr is not None:
        sys.stderr.write(
            f"sessiond-login: a fault of this program: {kind.__name__} at {place}. "
            "Please report this line; what is kept is as it was, or complete\n"
        )
