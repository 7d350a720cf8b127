"""Standard output and error of the program: for whoever called it, and nobody else."""

import contextlib
import errno
import io
import os
import sys
from typing import NoReturn

EX_CLOSED_PIPE = 141  # what a shell says of a program that SIGPIPE ended
EX_IOERR = 74


def keep_from_others() -> None:
    """Give nothing that is started from here the program's standard output and error.

    A browser that it opens lives on: who reads a pipe to its end would wait for that to be closed,
    and what the browser says would stand among what was asked for.
    """
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        try:
            own = os.dup(number)  # which no other program inherits
            nowhere = os.open(os.devnull, os.O_WRONLY)
        except OSError:  # closed from the start
            continue
        os.dup2(nowhere, number)
        os.close(nowhere)
        words = {"encoding": stream.encoding, "errors": stream.errors}
        setattr(sys, name, os.fdopen(own, "w", buffering=1, **words))


def print_whole(text: str) -> None:
    """Write a line to standard output, or end the program.

    Whoever reads has read enough: nothing is said. A full disk is.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        _exit_for(error)


def _exit_for(trouble: OSError) -> NoReturn:
    sys.stdout = io.StringIO()  # the last flush of the interpreter would complain once more
    if trouble.errno == errno.EPIPE:
        raise SystemExit(EX_CLOSED_PIPE)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"sessiond-login: standard output cannot be written: {trouble.strerror}\n")
    raise SystemExit(EX_IOERR)
