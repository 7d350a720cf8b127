"""The role source: some processes that ask, each with a connection, lent to one user at a time."""

from collections import deque
from datetime import datetime
from importlib.util import find_spec
from typing import Any

import anyio

from sessiond.api import (
    ConfigError,
    Granted,
    IssuerUnavailable,
    Principal,
    Secret,
    SettingsError,
    TrustedFile,
    TrustedFileError,
    UnusableAnswer,
)
from sessiond_ldap.asker import Asker, started
from sessiond_ldap.settings import LdapSettings
from sessiond_ldap.wire import Answer, Away, Question, Unusable

MAX_PASSWORD = 4096  # bytes of the file


class LdapRoles:
    """A RoleSource (sessiond.api). A user who is not in the directory has nothing from it."""

    def __init__(self, settings: LdapSettings) -> None:
        """Check the files, and start nothing yet.

        Raises:
            SettingsError: A file is not there, or not to be believed.
            ConfigError: bonsai is not installed.
        """
        self._settings = settings
        self._password = TrustedFile(
            settings.password_file, _line, max_size=MAX_PASSWORD, is_secret=True
        )
        self._check_files()
        if find_spec("bonsai") is None:
            raise ConfigError(
                "bonsai is not installed, wanted it: pip install 'sessiond-ldap[bonsai]', which "
                "needs OpenLDAP's headers and a compiler"
            )
        self._turns: anyio.Semaphore | None = None  # made where the event loop runs
        self._idle: deque[Asker] = deque()  # at most `pool` with those that are lent
        self._lent: set[Asker] = set()
        self._is_stopped = False

    async def roles(self, principal: Principal, *, now: datetime) -> Granted:
        """Return what the directory has of the user as it is now.

        Raises:
            IssuerUnavailable: The directory does not answer, or not us.
            UnusableAnswer: It does, and there is no saying which roles he has.
        """
        if self._turns is None:
            self._turns = anyio.Semaphore(self._settings.pool)
        question = Question(user=principal.name, subject=principal.subject)
        answer = await self._in_turn(question, self._turns)
        if isinstance(answer, Away):
            raise IssuerUnavailable(
                f"no answer of the directory ({answer.text}), wanted one: see to that, or wait"
            )
        if isinstance(answer, Unusable):
            raise UnusableAnswer(
                f"no verdict of the directory ({answer.text}), wanted one: see to that there"
            )
        return Granted(roles=answer.roles, attributes=answer.attributes)

    @property
    def pids(self) -> list[int]:
        """The processes that ask, or wait to be asked."""
        return [asker.pid for asker in (*self._idle, *self._lent)]

    async def stop(self) -> None:
        """End every process."""
        self._is_stopped = True
        for asker in (*self._idle, *self._lent):
            await asker.end()
        self._idle.clear()

    async def _in_turn(self, question: Question, turns: anyio.Semaphore) -> Answer:
        await turns.acquire()
        try:
            return await self._asked(question)
        finally:
            turns.release()

    async def _asked(self, question: Question) -> Answer:
        """Ask by a process that is then lent to the next, or ended where it did not answer."""
        asker = await self._borrowed()
        self._lent.add(asker)
        is_good = False
        try:
            answer = await asker.answer(question)
            is_good = not isinstance(answer, Away)  # the next one has the password of its day
            return answer
        finally:
            self._lent.discard(asker)
            if (is_good or asker.is_starting) and not self._is_stopped:
                self._idle.append(asker)
            else:
                await asker.end()

    async def _borrowed(self) -> Asker:
        if self._is_stopped:
            raise IssuerUnavailable("sessiond is stopping, wanted it open: try again in a moment")
        if self._idle:
            return self._idle.pop()  # whose connection was used last
        password = self._secret()
        with anyio.CancelScope(shield=True):  # what is started is somebody's to end
            asker = await started(self._settings, password)
        return asker  # noqa: RET504 - mypy: a scope may swallow

    def _secret(self) -> Secret:
        if not self._settings.password_file:
            return Secret("")
        try:
            return self._password.current()
        except TrustedFileError as error:
            raise IssuerUnavailable(
                f"password_file: {error}, wanted the password: mend the file"
            ) from None

    def _check_files(self) -> None:
        checked: dict[str, TrustedFile[Any]] = {"password_file": self._password}
        for key, path in self._settings.files().items():
            file = checked.get(key) or TrustedFile(path, str, is_secret=key == "key_file")
            try:
                file.current()
            except TrustedFileError as error:
                raise SettingsError(f"{key}: {error}") from error


def _line(text: str) -> Secret:
    line = text.removesuffix("\n").removesuffix("\r")
    if not line or "\n" in line or "\x00" in line:
        raise ValueError("is empty or has several lines, must be the password alone")
    return Secret(line)
