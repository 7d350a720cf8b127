"""A keyring of keyring's own kind. Where this is imported, keyring finds it by itself."""

from threading import Event

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FakeBackend(KeyringBackend):
    """Entries of at most 2,560 bytes as UTF-16, as Windows has them; raises or hangs if told to."""

    priority = 5.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}
        self.fault: BaseException | None = None
        self.hang: Event | None = None
        self.calls = 0

    def get_password(self, service: str, username: str) -> str | None:
        self._ready()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._ready()
        if len(password.encode("utf-16-le")) > 2_560:
            raise ValueError(f"(1783, 'CredWrite', 'The stub received bad data.') {password}")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._ready()
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError(service)

    def _ready(self) -> None:
        self.calls += 1
        if self.hang is not None:
            self.hang.wait()
        if self.fault is not None:
            raise self.fault
