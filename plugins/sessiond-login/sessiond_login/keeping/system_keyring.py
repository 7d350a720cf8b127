"""The system's keyring, as short entries, and every way in which there may be none."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "sessiond-login"
USER = "tokens"  # the entries' user name; each entry is a service of its own
DEADLINE = 60.0  # seconds: the desktop may be asking the person to unlock it
# A Windows credential holds 2,560 bytes (CRED_MAX_CREDENTIAL_BLOB_SIZE), and keyring writes
# UTF-16. Backends that are not known to hold more are taken to hold as little.
_SHORT, _LONG = 1_000, 60_000  # characters of ASCII
_ROOMY = (
    "keyring.backends.SecretService",
    "keyring.backends.libsecret",
    "keyring.backends.kwallet",
    "keyring.backends.macOS",
)
_ABSENT = "is not there"
_PLAIN = "keyrings.alt"  # text files, and files with a password to type each time

T = TypeVar("T")


class KeyringAwayError(Exception):
    """The keyring cannot be used; the message says why, in words that follow its name."""

    @property
    def absent(self) -> bool:
        """Say whether there is none, so that nothing can be in it that is found again soon."""
        return str(self) == _ABSENT


class SystemKeyring:
    """Entries of the keyring that this system recommends, each call with a deadline.

    A call that hangs is left to itself, in a thread that ends with the program. After one that
    failed the keyring counts as away: a person who dismissed its window is not asked again.
    """

    def __init__(
        self, *, backend: "Callable[[], KeyringBackend] | None" = None, deadline: float = DEADLINE
    ) -> None:
        """Ask nothing yet.

        Args:
            backend: Finds it; None: as keyring does.
            deadline: Seconds for each call.
        """
        self._find = _configured if backend is None else backend
        self._deadline = deadline
        self._found: KeyringBackend | None = None
        self._away = ""

    @property
    def longest(self) -> int:
        return _LONG if type(self._backend()).__module__.startswith(_ROOMY) else _SHORT

    def get(self, name: str) -> str | None:
        """Return an entry, None where there is none.

        Raises:
            KeyringAwayError: As every method.
        """
        backend = self._backend()
        return self._call(lambda: _ours(backend.get_password(_service(name), USER)))

    def set(self, name: str, text: str) -> None:
        """Write an entry."""
        backend = self._backend()
        self._call(lambda: backend.set_password(_service(name), USER, text))

    def delete(self, name: str) -> None:
        """Take away an entry that is there."""
        backend = self._backend()
        self._call(lambda: backend.delete_password(_service(name), USER))

    def _backend(self) -> "KeyringBackend":
        if self._found is None:
            self._found = self._call(lambda: _trusted(self._find()))
        return self._found

    def _call(self, work: Callable[[], T]) -> T:
        if self._away:
            raise KeyringAwayError(self._away)
        outcomes: SimpleQueue[tuple[T] | str] = SimpleQueue()
        Thread(target=_attempt, args=(work, outcomes), daemon=True).start()
        try:
            outcome = outcomes.get(timeout=self._deadline)
        except Empty:
            outcome = f"did not answer within {self._deadline:g} s"
        if isinstance(outcome, str):
            self._away = outcome
            raise KeyringAwayError(outcome)
        return outcome[0]


def _attempt(work: Callable[[], T], outcomes: "SimpleQueue[tuple[T] | str]") -> None:
    try:
        outcomes.put((work(),))
    except KeyringAwayError as error:
        outcomes.put(str(error))
    except BaseException as error:  # noqa: BLE001 -- a stranger's code, on a stranger's desktop
        outcomes.put(_why(error))


def _why(error: BaseException) -> str:
    """Return what went wrong. Not in the error's words, which may quote what was to be kept."""
    kind = type(error).__name__
    if kind == "KeyringLocked":
        return "is locked, and was not unlocked"
    if kind in {"NoKeyringError", "InitError"}:
        return _ABSENT
    return f"failed ({kind})"


def _configured() -> "KeyringBackend":
    import keyring  # here: it looks for every backend that is installed

    return keyring.get_keyring()


def _trusted(backend: "KeyringBackend") -> "KeyringBackend":
    """Return the one to use: recommended by keyring, and no text file under another name."""
    from keyring.backends.chainer import ChainerBackend
    from keyring.core import recommended

    candidates = backend.backends if isinstance(backend, ChainerBackend) else [backend]
    for candidate in candidates:
        if recommended(candidate) and not type(candidate).__module__.startswith(_PLAIN):
            return candidate
    raise KeyringAwayError(_ABSENT)


def _ours(text: object) -> str | None:
    """Return what an entry holds, which was ASCII when it was written."""
    if text is None or (isinstance(text, str) and text.isascii()):
        return text
    raise TypeError(type(text).__name__)


def _service(name: str) -> str:
    return f"{SERVICE}:{name}"
