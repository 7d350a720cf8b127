"""One connection to a kdb+ process: blocking, every wait bounded."""

import os
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

from sessiond.api import Secret, TryLater
from sessiond.qipc import (
    Accepted,
    Asked,
    ClientConnection,
    ProtocolError,
    QError,
    Response,
    Value,
    string,
)
from sessiond_kdb.settings import KdbSettings

_MAX_MESSAGE: Final = 1 << 20  # bytes; what comes back is a sign of life or an error
_GUIDS: Final = 3  # the capability from which on there are guids: kdb+ 3.0
_SHOWN: Final = 200  # characters of q's error
_READ: Final = 1 << 16  # bytes


class TickerplantError(TryLater):
    """The rows may not have arrived, and are not to blame: let the events come again."""


class ClosedError(TickerplantError):
    """The other end has closed the connection: as any TickerplantError."""


class UpdateRefusedError(Exception):
    """The tickerplant does not take these rows: what comes again too often is set aside."""


class Connection:
    """A login at the tickerplant. After any error it is of no more use: close it."""

    def __init__(self, name: str, opened: socket.socket) -> None:
        self._name = name  # for errors
        self._socket = opened
        self._wire = ClientConnection(max_message=_MAX_MESSAGE)

    @classmethod
    def open(cls, settings: KdbSettings) -> Self:
        """Connect and log in.

        Raises:
            TickerplantError: Nobody listens, or we are not let in.
        """
        password = _password(settings.password_file)
        name = f":unix://{settings.unix}" if settings.unix else f"{settings.host}:{settings.port}"
        try:
            opened = _connected(settings)
        except OSError as error:
            raise TickerplantError(f"{name}: cannot connect: {_text(error)}") from error
        with ExitStack() as on_failure:
            on_failure.enter_context(opened)
            connection = cls(name, opened)
            connection._log_in(settings.user, password)
            on_failure.pop_all()
        return connection

    def tell(self, value: Value) -> None:
        """Send an async message and return when the other end has processed it.

        kdb+ takes a connection's messages in their order: an answer to what was asked after it,
        whatever the answer, says that its turn has been.
        """
        self._send(self._wire.async_(value) + self._wire.sync(string("")))
        self._response()

    def ask(self, value: Value) -> None:
        """Send a sync message and return when it has succeeded.

        Raises:
            UpdateRefusedError: q signals an error, which is the text.
            TickerplantError: As ever.
        """
        self._send(self._wire.sync(value))
        answer = self._response()
        if isinstance(answer.value, QError):
            raise UpdateRefusedError(f"{self._name}: .u.upd failed: '{answer.value.text[:_SHOWN]}")

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()

    def _log_in(self, user: str, password: Secret) -> None:
        self._send(self._wire.greeting(user, password))
        try:
            accepted = self._next()
        except ClosedError as error:  # which is how kdb+ says no
            raise TickerplantError(f"{error}: perhaps it refuses the user {user}") from error
        if not isinstance(accepted, Accepted) or accepted.capability < _GUIDS:
            raise TickerplantError(f"{self._name}: older than kdb+ 3.0, which guids need")

    def _response(self) -> Response:
        while True:
            event = self._next()
            if isinstance(event, Response):
                return event
            if isinstance(event, Asked):  # a kdb+ process may ask back, and waits
                self._send(self._wire.error("sessiond: not a q process"))

    def _send(self, wire: bytes) -> None:
        try:
            self._socket.sendall(wire)
        except OSError as error:
            raise TickerplantError(f"{self._name}: {_text(error)}") from error

    def _next(self) -> object:
        try:
            while (event := self._wire.next_event()) is None:
                data = self._socket.recv(_READ)
                if not data:
                    raise ClosedError(f"{self._name}: it closed the connection")
                self._wire.receive_data(data)
        except OSError as error:
            raise TickerplantError(f"{self._name}: {_text(error)}") from error
        except ProtocolError as error:
            raise TickerplantError(f"{self._name}: it does not speak kdb+ IPC: {error}") from error
        return event


def _connected(settings: KdbSettings) -> socket.socket:
    if not settings.unix:
        return socket.create_connection((settings.host, settings.port), settings.timeout)
    path = f"{settings.directory}/kx.{settings.unix}"
    for address in (
        f"\0{path}",
        f"\0{path}".ljust(108, "\0"),
    ):  # abstract names come first, as in q
        with suppress(ConnectionRefusedError):
            return _connected_to(address, settings.timeout)
    return _connected_to(path, settings.timeout)


def _connected_to(address: str, timeout: float) -> socket.socket:
    with ExitStack() as on_failure:
        opened = on_failure.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        opened.settimeout(timeout)
        opened.connect(address)
        on_failure.pop_all()
    return opened


def _password(file: str) -> Secret:
    """Return the first line of a file that only its owner and group may read."""
    if not file:
        return Secret("")
    try:
        with Path(file).open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & stat.S_IRWXO:
                raise TickerplantError(f"password_file {file} is open to others: chmod o-rwx")
            line = opened.readline().rstrip(b"\r\n")
    except OSError as error:
        raise TickerplantError(f"password_file {file}: {_text(error)}") from error
    text: str | None = None
    with suppress(UnicodeDecodeError):  # which shows the bytes: it must be no error's context
        text = line.decode()
    if text is None or "\0" in text:
        raise TickerplantError(f"password_file {file} is not UTF-8, or has a NUL")
    return Secret(text)


def _text(error: OSError) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
