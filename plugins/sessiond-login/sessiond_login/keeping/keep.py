"""Where a record is kept: in the system's keyring, else in a file of the person's own.

A file that is there is the newer record, always: a keyring that can be used again takes its record
over, and the file goes last. So an older record, whose refresh token was spent meanwhile, is never
found again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec

from sessiond_login.errors import CannotKeep, ProfileRefused
from sessiond_login.keeping import pieces
from sessiond_login.keeping.alone import alone
from sessiond_login.keeping.kept_file import KeptFiles
from sessiond_login.keeping.pieces import NotHeldError
from sessiond_login.keeping.record import MAX_SIZE, from_text, to_text
from sessiond_login.keeping.system_keyring import KeyringAwayError, SystemKeyring
from sessiond_login.kept import Kept
from sessiond_login.places import Places
from sessiond_login.profiles.reading import Where

VARIABLE = "SESSIOND_LOGIN_KEEP"
_NOTHING = ""  # in a file: nothing is kept, whatever an older place says


def wanted(environment: Mapping[str, str], keep: Where | None) -> Where | None:
    """Return where the person wants tokens kept; None: in the keyring, else in a file.

    Raises:
        ProfileRefused: The environment names no such place.
    """
    named = environment.get(VARIABLE)
    if not named:
        return keep
    try:
        where: Where = msgspec.convert(named, Where)
    except msgspec.ValidationError:
        pass
    else:
        return where
    raise ProfileRefused(f"{VARIABLE} is {ascii(named)[:80]}, must be keyring, file or none")


class Keeping:
    """Keeps the records of all profiles of one person (`Keep`)."""

    def __init__(
        self,
        places: Places,
        tell: Callable[[str], None],
        *,
        where: Where | None = None,
        keyring: SystemKeyring | None = None,
    ) -> None:
        """Touch nothing yet.

        Args:
            places: This machine's.
            tell: Says something to the person.
            where: As `wanted` says.
            keyring: None: the system's.
        """
        self._places = places
        self._tell = tell
        self._where = where
        self._keyring = SystemKeyring() if keyring is None else keyring
        self._files = KeptFiles(places.state, tell)

    def load(self, profile: str) -> Kept | None:
        """Return what is kept for a profile; None where nothing is, or nothing that can be read."""
        if self._where == "none":
            return None
        text = self._files.load(profile)
        if text is None and self._where != "file":
            with suppress(KeyringAwayError):
                text = pieces.load(self._keyring, profile)
        return None if text is None else from_text(text)

    def save(self, profile: str, kept: Kept) -> None:
        """Put a record in the place of the one before.

        Raises:
            CannotKeep: There is no place for it.
        """
        text = to_text(kept)
        if len(text) > MAX_SIZE:
            raise CannotKeep(
                f"the tokens have {len(text):,} characters, wanted at most {MAX_SIZE:,}: "
                "ask your administrator for a token with fewer claims"
            )
        match self._where:
            case "none":
                pass
            case "file":
                self._files.save(profile, text)
            case "keyring":
                self._save_in_keyring(profile, text)
            case None:
                self._save_anywhere(profile, text)

    def forget(self, profile: str) -> None:
        """Take a record away; that there is none is fine.

        Raises:
            CannotKeep: It is there and cannot be taken away.
        """
        away = None
        if self._where != "file":  # else the keyring may be why
            try:
                pieces.forget(self._keyring, profile)
            except KeyringAwayError as error:
                away = error
            else:
                self._files.forget(profile)
                return
        self._bury(profile, away)

    @contextmanager
    def alone(self, profile: str) -> Iterator[None]:
        """Be the only process at work on this profile, waiting at most 180 s for another.

        Raises:
            NotSignedIn: The other one was not done in time.
            CannotKeep: There is no place for a lock.
        """
        with alone(self._places.locks, profile):
            yield

    def place(self, profile: str, *, is_kept: bool) -> str:
        """Say where the record of a profile is, or will be, without asking the keyring."""
        if self._where == "none":
            return "nowhere: each call signs in"
        if self._where == "file" or self._files.path(profile).exists():
            return str(self._files.path(profile))
        if is_kept or self._where == "keyring":
            return "the system's keyring"
        return "the system's keyring, or a file where there is none"

    def _save_in_keyring(self, profile: str, text: str) -> None:
        """Save there and nowhere else: the person's, or the administrator's, will."""
        self._files.forget(profile)
        try:
            pieces.save(self._keyring, profile, text)
        except (KeyringAwayError, NotHeldError) as error:
            raise CannotKeep(
                f"the system's keyring {error}, and tokens are to be kept nowhere else: unlock "
                f"it, or set {VARIABLE}=file"
            ) from error

    def _save_anywhere(self, profile: str, text: str) -> None:
        in_file = self._files.path(profile).exists()
        if in_file:
            self._files.save(profile, text)
        try:
            pieces.save(self._keyring, profile, text)
        except (KeyringAwayError, NotHeldError) as error:
            if not in_file:
                self._files.save(profile, text)
            self._say_once(profile, error)
            return
        self._files.forget(profile)

    def _say_once(self, profile: str, error: Exception) -> None:
        if self._files.first_time("no-keyring"):
            self._tell(
                f"the system's keyring {error}: tokens are kept in {self._files.path(profile)}, "
                f"which only you can read. This is said once ({VARIABLE}=file: not at all)"
            )

    def _bury(self, profile: str, away: KeyringAwayError | None) -> None:
        """Have nothing kept, though the keyring cannot be asked: what it may hold is older."""
        try:
            self._files.save(profile, _NOTHING)
        except CannotKeep:
            self._files.forget(profile)
            if away is None or away.absent:
                return
            raise CannotKeep(
                f"the system's keyring {away}: what it may hold of this profile is still there; "
                "unlock it, then sign out again"
            ) from away
