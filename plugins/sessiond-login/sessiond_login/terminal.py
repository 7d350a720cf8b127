"""The person at this terminal, and in the browser that it opens."""

import contextlib
import getpass
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn, TextIO
from urllib.parse import urlsplit

from sessiond_login.errors import NotSignedIn, UsageRefused
from sessiond_login.secret import Secret
from sessiond_login.surroundings import Surroundings

_INPUT, _OUTPUT = ("CONIN$", "CONOUT$") if sys.platform == "win32" else ("/dev/tty", "/dev/tty")
_OPENING = 2.0  # seconds that a browser may take to say that it cannot be opened
_ENDING = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
]


def printable(words: str) -> str:
    """Return a text that moves no cursor: issuers choose some of what is told."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in words
    )


class PersonAtTerminal:
    """A `Person`: pages by the system's browser or $BROWSER, words on standard error."""

    def open(self, url: str) -> bool:
        """Show a page in the person's browser; False: there is none."""
        opened = []
        opening = threading.Thread(target=lambda: opened.append(_open(url)), daemon=True)
        opening.start()
        opening.join(_OPENING)
        if opened == [False]:
            return False
        # It is not known whether one came: a $BROWSER may end when its window is closed, and a
        # program that opens pages for others may find none to open them.
        if Surroundings.here().reads:
            self.tell(
                f"Sign in in your browser, where {urlsplit(url).hostname} opens. No page there? "
                "Ctrl-C, then `sessiond-login --device`, or name your browser in BROWSER"
            )
        return True

    def tell(self, words: str) -> None:
        """Say something on standard error, where there is one."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or a window's
            sys.stderr.write(printable(words) + "\n")
            sys.stderr.flush()

    def ask_password(self, user: str) -> tuple[str, Secret]:
        """Ask on the terminal itself, whatever standard input and output are.

        Raises:
            NotSignedIn: There is no terminal, or it was left.
        """
        with _terminal() as (answers, questions), _echo_comes_back():
            try:
                if not user:
                    questions.write("User: ")
                    questions.flush()
                    user = answers.readline().strip()
                password = getpass.getpass(f"Password of {printable(user)}: ") if user else ""
            except (EOFError, OSError):
                password = ""
        if not password:
            raise NotSignedIn("no name and password were entered; run it again to sign in")
        return user, Secret(password)


def agrees(question: str) -> bool:
    """Ask on the terminal itself, whatever standard input is.

    Raises:
        UsageRefused: There is no terminal.
    """
    try:
        with _terminal() as (answers, questions):
            questions.write(f"{printable(question)} [y/N] ")
            questions.flush()
            return answers.readline().strip().lower() in {"y", "yes"}
    except NotSignedIn:
        raise UsageRefused("there is no terminal to ask you on: say --yes") from None


def _open(url: str) -> bool:
    try:
        return webbrowser.open(url)
    except (webbrowser.Error, OSError, ValueError):  # the last of quotes in $BROWSER that are open
        return False


@contextlib.contextmanager
def _terminal() -> Iterator[tuple[TextIO, TextIO]]:
    try:
        with (
            open(_INPUT, encoding="utf-8") as answers,  # noqa: PTH123 -- no path: a device
            open(_OUTPUT, "w", encoding="utf-8") as questions,  # noqa: PTH123
        ):
            yield answers, questions
    except OSError:
        raise NotSignedIn(
            "there is no terminal to ask for a password on: run `sessiond-login` in one first"
        ) from None


@contextlib.contextmanager
def _echo_comes_back() -> Iterator[None]:
    """Have signals that end the program end it by an exception, which getpass tidies up behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
