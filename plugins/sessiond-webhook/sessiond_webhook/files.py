"""What the settings keep in files, as it is now."""

import ssl
from collections.abc import Callable
from typing import Final, TypeVar

from sessiond.api import Secret, SettingsError, TrustedFile, TrustedFileError
from sessiond_webhook.settings import WebhookSettings
from sessiond_webhook.signature import SigningKey, signing_keys
from sessiond_webhook.target import url_fault

_MAX_SIZE: Final = 64 * 1024  # bytes

T = TypeVar("T")


class Files:
    """Each is read again when it has changed; each call may raise TrustedFileError."""

    def __init__(self, settings: WebhookSettings) -> None:
        """Read them once.

        Raises:
            SettingsError: One cannot be used.
        """

        def url_of(text: str) -> Secret:
            line = only_line(text)
            if fault := url_fault(line.reveal(), insecure_http=settings.insecure_http):
                raise ValueError(f"line 1 {fault}")
            return line

        self._url = Secret(settings.url)
        self._url_file = _secret_file(settings.url_file, url_of)
        self._secrets = _secret_file(settings.secret_file, signing_keys)
        self._authorization = _secret_file(settings.authorization_file, only_line)
        _read_first("url_file", self.url)
        _read_first("secret_file", self.keys)
        _read_first("authorization_file", self.authorization)

    def url(self) -> Secret:
        """Return where events go."""
        return self._url if self._url_file is None else self._url_file.current()

    def keys(self) -> tuple[SigningKey, ...]:
        """Return what signs; nothing where nothing is to be signed."""
        return () if self._secrets is None else self._secrets.current()

    def authorization(self) -> Secret | None:
        """Return the Authorization header's value."""
        return None if self._authorization is None else self._authorization.current()


def trust(ca_file: str) -> ssl.SSLContext:
    """Return what decides whom to trust: the machine's authorities, or those in ca_file alone.

    Raises:
        SettingsError: The file is not there, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise SettingsError(f"ca_file: {ca_file} holds no certificate") from error
    except OSError as error:
        raise SettingsError(f"ca_file: cannot read {ca_file}: {error.strerror}") from error


def only_line(text: str) -> Secret:
    """Return the only line of a file, as it goes into a request.

    Raises:
        ValueError: There is none, more than one, or what is no printable ASCII.
    """
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0].strip():
        raise ValueError("it must have one line, and nothing else")
    line = lines[0].strip()
    if not line.isascii() or not line.isprintable():
        raise ValueError("line 1 has characters other than printable ASCII")
    return Secret(line)


def _secret_file(path: str, parse: Callable[[str], T]) -> TrustedFile[T] | None:
    return TrustedFile(path, parse, max_size=_MAX_SIZE, is_secret=True) if path else None


def _read_first(key: str, read: Callable[[], object]) -> None:
    try:
        read()
    except TrustedFileError as error:
        raise SettingsError(f"{key}: {error}") from error
