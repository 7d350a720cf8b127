"""What both programs are to whoever types them: help in whole sentences, and whole output."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

import click

HELP = {"help_option_names": ["-h", "--help"]}
EX_CLOSED_PIPE = 128 + signal.SIGPIPE  # what a shell says of a program that SIGPIPE ended
_SENTENCE = 1000  # characters: no first sentence is that long


class HelpfulGroup(click.Group):
    """A group of commands that shows `-h`, and the whole first sentence of each command."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", HELP)
        super().__init__(*args, **kwargs)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with what it does, on as many lines as that takes."""
        listed = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, each.get_short_help_str(_SENTENCE))
            for name, each in listed
            if each is not None and not each.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@contextmanager
def whole_output(program: str) -> Iterator[None]:
    """Have all that is printed written when this ends; exit where that cannot be.

    Whoever reads us has read enough: nothing is said, and the code is that of SIGPIPE. Anything
    else, a full disk say, is said in one line, and ends with 74 (EX_IOERR).
    """
    before = sys.stdout
    output = _Watched(before)
    sys.stdout = output
    try:
        yield
        output.flush()
    except (OSError, SystemExit):  # click makes an exit of a closed pipe
        if output.trouble is None and not output.is_stuck():
            raise
    finally:
        sys.stdout = before
    if output.trouble is not None:
        _let_go(before)
        _exit_for(output.trouble, program)


class _Watched:
    """Standard output, which remembers why it could not be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.trouble: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._noting():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._noting():
            self._stream.flush()

    def is_stuck(self) -> bool:
        """Say whether what was printed cannot leave the buffer."""
        with suppress(OSError):
            self.flush()
        return self.trouble is not None

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.trouble = error
            raise


def _exit_for(trouble: OSError, program: str) -> NoReturn:
    if trouble.errno == errno.EPIPE:
        sys.exit(EX_CLOSED_PIPE)
    with suppress(OSError):
        click.echo(
            f"{program}: standard output cannot be written: {trouble.strerror}; "
            "what was printed is not whole",
            err=True,
        )
    sys.exit(os.EX_IOERR)


def _let_go(output: TextIO) -> None:
    """Let the interpreter's last flush go nowhere, which else complains once more."""
    with suppress(OSError):  # it has no descriptor: nothing is flushed at the end either
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output.fileno())
        os.close(nowhere)
