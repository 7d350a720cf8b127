"""What the settings keep in files, as it is now."""

import ssl
from collections.abc import Callable

from sessiond.api import Secret, SettingsError, TrustedFileError
from sessiond_webhook.secretfile import SecretFile, only_line
from sessiond_webhook.settings import WebhookSettings
from sessiond_webhook.signature import SigningKey, signing_keys
from sessiond_webhook.target import url_fault


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
        self._url_file = SecretFile(settings.url_file, url_of) if settings.url_file else None
        path = settings.secret_file
        self._secrets = SecretFile(path, signing_keys) if path else None
        path = settings.authorization_file
        self._authorization = SecretFile(path, only_line) if path else None
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


def _read_first(key: str, read: Callable[[], object]) -> None:
    try:
        read()
    except TrustedFileError as error:
        raise SettingsError(f"{key}: {error}") from error
