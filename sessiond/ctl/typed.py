"""A password read from a terminal: of any length, unseen, and never by the shell."""

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import click

MOST = 131_072  # bytes; no token is that long, and a paste must end somewhere
END_OF_INPUT = 0x04  # Ctrl-D
_ENDS = frozenset({0x0A, 0x0D, END_OF_INPUT})
_ERASE = frozenset({0x7F, 0x08})
_KILL = 0x15  # Ctrl-U
_LOCAL, _CONTROL = 3, 6  # places in what termios.tcgetattr returns


def read_password(prompt: str = "Password") -> str:
    """Return what is typed or pasted up to the end of the line, without its end.

    A terminal that edits lines holds 4,095 bytes of one (termios(3)), which is less than a token
    may have: so it hands over byte by byte here. Backspace and Ctrl-U work, Ctrl-C interrupts.

    Raises:
        click.UsageError: It has no end, or is no text.
    """
    with _unseen(sys.stdin.fileno()) as descriptor:
        click.echo(f"{prompt}: ", nl=False, err=True)  # what is typed before it is thrown away
        typed = _line_of(descriptor)
    click.echo(err=True)
    try:
        return typed.decode()
    except UnicodeDecodeError:
        raise click.UsageError("the password is not UTF-8: paste it once more") from None


def _line_of(descriptor: int) -> bytes:
    line = bytearray()
    while len(line) <= MOST:
        piece = os.read(descriptor, 4096)
        for byte in piece or bytes([END_OF_INPUT]):
            if byte in _ENDS:
                return bytes(line)
            if byte in _ERASE:
                del line[-1:]
            elif byte == _KILL:
                line.clear()
            else:
                line.append(byte)
    raise click.UsageError(f"the password is longer than {MOST} bytes: is it what you meant?")


@contextmanager
def _unseen(descriptor: int) -> Iterator[int]:
    """Have the terminal neither show nor cut what is typed, and be as it was however this ends.

    What is left unread then is thrown away, else the shell would run the rest of a paste. Ctrl-Z
    and Ctrl-\\ do nothing meanwhile: they would leave the terminal so, and a core with the token.
    """
    before = termios.tcgetattr(descriptor)
    during = termios.tcgetattr(descriptor)
    during[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
    during[_CONTROL][termios.VMIN], during[_CONTROL][termios.VTIME] = 1, 0
    for key in (termios.VSUSP, termios.VQUIT):
        during[_CONTROL][key] = b"\0"  # _POSIX_VDISABLE on Linux
    try:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, during)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
