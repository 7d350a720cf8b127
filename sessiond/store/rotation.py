"""Has the store's next key take the place of the old one, whatever step it is killed at.

Three steps, each whole on disk before the next: the new key stands in the file beside the old one;
all is sealed anew with it; the old one is taken out. The last comes only when nobody seals with the
old one any more: a daemon that runs says in its lock file which key it seals with. So a rotation
that was killed, or had to wait, is gone on with by asking for it again.
"""

import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sessiond.config import StoreConfig
from sessiond.config.credentials import key_beside, key_text, new_key, replace_key_file, secret
from sessiond.core.errors import AddressInUseError, ConfigError, NotNowError
from sessiond.core.secret import Secret
from sessiond.store.acting import Owner, acting_as, owner_of
from sessiond.store.hold import held, holder
from sessiond.store.rekey import rekey
from sessiond.store.sealing import MAX_KEY_ID, KeyRing, with_key, without

WITHIN = 30.0  # seconds for a daemon to take up the new key
LOOK_EVERY = 0.1  # seconds
ASK_EVERY = 20  # looks; one that is just starting hears nothing yet
CREDENTIAL = "/etc/credstore.encrypted/sessiond.store"  # that the unit names

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """One database, and where its key is."""

    database: Path
    user: int  # whose the database is
    file: Path | None  # None: a systemd credential, which only root can change
    text: Callable[[], Secret]  # of the keys as they are now
    tell: Tell
    at_database: Owner | None = None  # as whom root works on it
    at_file: Owner | None = None  # as whom root replaces the file
    within: float = WITHIN
    pause: Callable[[float], object] = threading.Event().wait

    def run(self) -> None:
        """Make the next key, or go on with one that was made; return when the old one is gone.

        Raises:
            ConfigError: A key or the database is not as it should be.
            NotNowError: Something must be done first; it says what, and then ask again.
        """
        with self._alone():
            ring = KeyRing.from_text(self.text())
            if not ring.older:
                ring = self._make_next(ring)
            else:
                self.tell(f"going on with key {ring.current}, which is there already")
            with self._nobody_seals_with_older(ring):
                with acting_as(self.at_database):
                    resealed = rekey(self.database, ring)
                self.tell(f"{self.database}: {resealed} values sealed anew with key {ring.current}")
                self._drop(ring.older)

    def _make_next(self, ring: KeyRing) -> KeyRing:
        key_id = ring.current + 1
        if key_id > MAX_KEY_ID:
            raise ConfigError(
                f"store.key_file: there is no id after {ring.current}, wanted a lower one: number "
                "the keys anew in a new database"
            )
        if self.file is None:
            raise NotNowError(_to_add(key_id))
        self._replace(self.file, with_key(self.text(), key_id, new_key()))
        self.tell(f"{self.file}: key {key_id} is made")
        return KeyRing.from_text(self.text())

    def _drop(self, ids: list[int]) -> None:
        old = ", ".join(map(str, ids))
        if self.file is None:
            self.tell(f"nothing needs key {old} any more. To take it out:\n{_to_drop(ids)}")
        else:
            self._replace(self.file, without(self.text(), ids))
            self.tell(f"{self.file}: key {old} is taken out, nothing needs it any more")
        self.tell(
            f"backups of the database made before now still need key {old}: keep them with a copy "
            "of it, or make a new one and throw them away"
        )

    def _replace(self, file: Path, text: Secret) -> None:
        with acting_as(self.at_file):
            replace_key_file(file, text)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only one who rotates the keys of this database. Nothing is left behind."""
        with acting_as(self.at_database):
            folder = os.open(self.database.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NotNowError(
                    f"{self.database}: another rekey is at work, wanted it free: wait for that"
                ) from None
            yield
        finally:
            os.close(folder)

    @contextmanager
    def _nobody_seals_with_older(self, ring: KeyRing) -> Iterator[None]:
        """Keep every daemon off the database, or wait until the one there has the new key."""
        looks = count()
        with ExitStack() as stack:
            while not self._is_held_here(stack, ring):
                with acting_as(self.at_database):
                    found, look = holder(self.database), next(looks)
                if found is not None and found.key_id == ring.current:
                    break
                if look >= self.within / LOOK_EVERY:
                    raise NotNowError(self._not_taken(ring))
                if look % ASK_EVERY == 0 and self.file is not None and found is not None:
                    _hang_up(found.pid, self.user)
                self.pause(LOOK_EVERY)
            yield

    def _is_held_here(self, stack: ExitStack, ring: KeyRing) -> bool:
        try:
            with acting_as(self.at_database):
                stack.enter_context(held(self.database)).note_key(ring.current)
        except AddressInUseError:
            return False
        return True

    def _not_taken(self, ring: KeyRing) -> str:
        restart = "restart it (systemctl restart sessiond), and run this again"
        if self.file is None:
            return f"the daemon does not seal with key {ring.current} yet, wanted that: {restart}"
        return (
            f"the daemon has not taken up key {ring.current} within {self.within:g} seconds, "
            "wanted that, and both keys are in the file: `sessionctl status` says whether it "
            f"refuses the configuration; mend that or {restart}"
        )


def rotation_of(store: StoreConfig, environ: Mapping[str, str], tell: Tell) -> Rotation:
    """Return the rotation for what a configuration names.

    Raises:
        ConfigError: There is no database, or no key can be found.
    """
    at_database = owner_of(Path(store.path))
    with acting_as(at_database):
        database, user, beside = _places(store)
    file = Path(store.key_file) if store.key_file else beside
    if file is not None and (store.key_file or _credential(environ) is None):
        at_file = owner_of(file) if store.key_file else at_database

        def of_file() -> Secret:
            with acting_as(at_file):
                return key_text(file, owner=user)

        return Rotation(
            database=database,
            user=user,
            file=file,
            text=of_file,
            tell=tell,
            at_database=at_database,
            at_file=at_file,
        )

    def of_credential() -> Secret:
        found = _credential(environ)
        if found is None:
            raise ConfigError(
                f"store.key_file: there is no {key_beside(database)}, and no systemd credential to "
                "be seen, wanted one: run this as root while the daemon runs"
            )
        return found

    return Rotation(
        database=database,
        user=user,
        file=None,
        text=of_credential,
        tell=tell,
        at_database=at_database,
        within=0.0,
    )


def _places(store: StoreConfig) -> tuple[Path, int, Path | None]:
    """Return where the database is, whose it is, and where the key beside it is, if one is."""
    database = Path(store.path).resolve()  # as the daemon does: the key is beside the file
    beside = key_beside(database)
    try:
        if not database.is_file():
            raise ConfigError(
                f"store.path: there is no database {database}, wanted one: start the daemon once"
            )
        return database, database.lstat().st_uid, beside if beside.exists() else None
    except OSError as error:
        raise ConfigError(
            f"store.path: {database} cannot be looked at: {error.strerror}, wanted a database that "
            "the owner of its folder reaches: mend the path"
        ) from error


def _credential(environ: Mapping[str, str]) -> Secret | None:
    return secret("", key="store.key_file", credential="store", environ=environ)


def _hang_up(pid: int, user: int) -> None:
    """Have the daemon read its configuration again.

    The lock file is its user's, who may have written any number there: it is believed of that
    user's own processes alone, and of the one that was looked at.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, OverflowError):
        return  # it has ended, or there never was one
    try:
        if set(_uids(pid)) == {user}:
            signal.pidfd_send_signal(descriptor, signal.SIGHUP)
    except (OSError, ValueError):
        return  # it has ended, or this user may not: then an operator must
    finally:
        os.close(descriptor)


def _uids(pid: int) -> list[int]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Uid":
            return [int(each) for each in value.split()]
    raise ValueError(f"/proc/{pid}/status names no user")


def _to_add(key_id: int) -> str:
    return (
        f"store.key_file: the key is a systemd credential, wanted key {key_id} beside it: put it "
        "there, restart, and run this again:\n"
        f"( systemd-creds decrypt --name=store {CREDENTIAL} -; echo; printf {key_id}:; "
        f"sessiond keygen ) | systemd-creds encrypt --name=store - {CREDENTIAL}.new\n"
        f"mv {CREDENTIAL}.new {CREDENTIAL}\n"
        "systemctl restart sessiond"
    )


def _to_drop(ids: list[int]) -> str:
    # A key that stands alone on its line is number 1.
    marks = "|".join(f"{each}:" if each != 1 else "1:|[^:]*$" for each in ids)
    return (
        f"systemd-creds decrypt --name=store {CREDENTIAL} - | grep -Ev '^({marks})' | "
        f"systemd-creds encrypt --name=store - {CREDENTIAL}.new\n"
        f"mv {CREDENTIAL}.new {CREDENTIAL}\n"
        "systemctl restart sessiond"
    )
