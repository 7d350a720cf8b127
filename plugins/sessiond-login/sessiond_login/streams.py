"""Standard output and error of the program: for whoever called it, and nobody else."""

import contextlib
import errno
import io
import os
import sys
from typing import NoReturn

EX_CLOSED_PIPE = 141  # what a shell says of a program that SIGPIPE ended
EX_IOERR = 74
_LAST = 2  # the highest number of a standard stream


def keep_from_others() -> None:
    """Give nothing that is started from here the program's standard output and error.

    A browser that it opens lives on: who reads a pipe to its end would wait for that to be closed,
    and what the browser says would stand among what was asked for.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        pass  # one was closed from the start: no file of ours is to have its number
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        own = os.dup(number)  # which no other program inherits
        os.dup2(nowhere, number)
        if stream is None:
            os.close(own)
            continue
        # Names of files may be in no alphabet of the terminal's. Tokens are ASCII.
        words = {"encoding": stream.encoding, "errors": "backslashreplace"}
        if number == 1:
            sys.stdout = os.fdopen(own, "w", buffering=1, **words)
        else:  # what cannot be said is not tried again at the end, which would be another exit code
            raw = os.fdopen(own, "wb", buffering=0)
            sys.stderr = io.TextIOWrapper(raw, write_through=True, **words)
    os.close(nowhere)


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
