"""A machine's places below one folder, something to keep, and a keyring of keyring's own kind."""

from pathlib import Path
from threading import Event

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError
from sessiond_login.kept import Kept
from sessiond_login.places import Places
from sessiond_login.secret import Secret


def places_below(folder: Path) -> Places:
    return Places(
        profiles=folder / "config" / "login.toml",
        system_profiles=folder / "etc" / "login.toml",
        state=folder / "state",
        locks=(folder / "run", folder / "state" / "locks"),
    )


def kept(access: str = "access-token", *, refresh: str | None = "refresh-token") -> Kept:
    return Kept(
        made_for="d1",
        user="zoë@corp.example",
        access=Secret(access),
        refresh=None if refresh is None else Secret(refresh),
        expires=1_790_000_000.5,
        handed_over=True,
    )


def same(one: Kept | None, other: Kept | None) -> bool:
    """Compare records, whose secrets do not compare."""
    return _plain(one) == _plain(other)


def _plain(each: Kept | None) -> object:
    if each is None:
        return None
    refresh = None if each.refresh is None else each.refresh.reveal()
    return (each.made_for, each.user, each.access.reveal(), refresh, each.expires, each.handed_over)


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
