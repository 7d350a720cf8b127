"""The story that `sessiond demo` tells: each step is done by real processes, and checked."""

import os
import signal
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import httpx

from sessiond import __version__
from sessiond.demo.actor import StepFailedError
from sessiond.demo.client import TurnedAwayError
from sessiond.demo.entering import log_in, prove, refuse, sign_in_alice
from sessiond.demo.lasting import refresh, restart, revoke
from sessiond.demo.login import check
from sessiond.demo.person import PROGRAM
from sessiond.demo.reaching import go_on, introduce, read_a_source, read_again, share
from sessiond.demo.stage import LIFE, Stage
from sessiond.demo.telling import Telling

LACKING = (
    "sessiond demo: sessiond-login, which people sign in with, is not installed here, wanted it "
    "beside sessiond: run `make demo` in a checkout, or there "
    f"`{sys.executable} -m pip install ./plugins/sessiond-login`"
)

LEAVE = (signal.SIGTERM, signal.SIGHUP)  # the second when the terminal is closed


def main(*, by_browser: bool = False) -> int:
    """Tell the story; return 0, or 1 when a step of it did not happen, or 69 where it cannot be.

    Args:
        by_browser: Alice is who watches, and signs in with a browser.
    """
    if find_spec(PROGRAM) is None:
        print(LACKING, file=sys.stderr)
        return os.EX_UNAVAILABLE
    telling = Telling()
    heeded = [each for each in LEAVE if signal.getsignal(each) is not signal.SIG_IGN]  # nohup(1)
    earlier = {number: signal.signal(number, _leave) for number in heeded}
    try:
        with (
            TemporaryDirectory(prefix="sessiond-demo-") as folder,
            Stage(Path(folder)) as stage,
        ):
            try:
                _tell(stage, telling, by_browser=by_browser)
            except (StepFailedError, TurnedAwayError, OSError, httpx.HTTPError) as error:
                telling.failed(str(error), stage.log())
                return 1
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    return 0


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)  # as a shell says it; on the way out everybody is stopped


def _tell(stage: Stage, telling: Telling, *, by_browser: bool) -> None:
    telling.title(f"sessiond {__version__} at work: real processes, real kdb+ IPC, made-up people")
    stage.set_up()
    telling.line("issuer", f"is up at {stage.url}; its tokens live {LIFE} s")
    telling.line("sessiond", "is ready, on SQLite in a folder of its own")
    with ExitStack() as clients:
        ports = prove(stage, telling)
        introduce(stage)
        sign_in_alice(stage, telling, by_browser=by_browser)
        logins = log_in(stage, telling, ports, clients)
        refusals = refuse(stage, telling, ports)
        behind = go_on(stage, telling, logins[0])
        read_a_source(stage, telling)
        share(stage, telling)
        refresh(stage, telling, [*logins, behind])
        restart(stage, telling, [*logins, behind])
        read_again(stage, telling)
        revoke(stage, telling, logins, behind)
    code = stage.daemon.stop()
    check(code == 0, f"sessiond ended with {code}, not 0, on SIGTERM")
    telling.end(
        f"All of it happened, in {telling.seconds:.1f} s: 1 sign-in, {len(logins)} logins on one "
        f"grant, 1 more by a ticket, {refusals} refusals, 1 token for a feed, 1 for two programs, "
        "1 refresh for all, 1 crash with nothing lost, 1 revocation."
    )
