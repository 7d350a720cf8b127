"""Runs what a process cannot take back in one of its own."""

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection


def in_its_own_process(check: Callable[[], None]) -> None:
    """Call this in a copy of this process; fail if it fails there.

    Coverage sees it: multiprocessing's processes are measured.
    """
    fork = multiprocessing.get_context("fork")
    ours, its = fork.Pipe(duplex=False)
    process = fork.Process(target=_run, args=(check, its))
    process.start()
    its.close()
    try:
        problem = ours.recv()
    except EOFError:
        problem = ""
    ours.close()
    process.join()
    assert (problem, process.exitcode) == ("", 0)


def _run(check: Callable[[], None], pipe: Connection) -> None:
    try:
        check()
    except BaseException:
        pipe.send(traceback.format_exc())
        raise
