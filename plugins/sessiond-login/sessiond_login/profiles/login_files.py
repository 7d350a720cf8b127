"""The profiles of this machine: the administrator's, and the person's own before them."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from sessiond_login.errors import ProfileRefused
from sessiond_login.own_files import NotOwnError, check_folder, read_own
from sessiond_login.places import Places
from sessiond_login.profile import Profile
from sessiond_login.profiles.reading import MAX_SIZE, LoginFile, Where, read


class Profiles(msgspec.Struct, frozen=True, kw_only=True):
    """What both files say together."""

    profiles: dict[str, Profile]
    files: dict[str, Path]  # by a profile's name, where it stands
    keep: Where | None


def load(places: Places) -> Profiles:
    """Return all profiles. A table of the person's replaces the system's of that name.

    Raises:
        ProfileRefused: There is none, a file is wrong, or others could have written it: whoever
            writes it decides who gets the tokens.
    """
    found = load_any(places)
    if not found.profiles:
        raise ProfileRefused(
            f"there is no profile in {places.profiles} or {places.system_profiles}: ask your "
            "administrator for one (`sessionctl client-profile` writes it), then "
            "`sessiond-login profiles add URL` or `sessiond-login profiles add FILE`"
        )
    return found


def load_any(places: Places) -> Profiles:
    """Return all profiles, of which there may be none. Raises as `load` for files that are wrong.

    A profile of both files is told apart in `files`, where the person's counts.
    """
    system = load_system(places.system_profiles)
    own = _load(places.profiles, _read_own)
    return Profiles(
        profiles={**system.profiles, **own.profiles},
        files={
            **dict.fromkeys(system.profiles, places.system_profiles),
            **dict.fromkeys(own.profiles, places.profiles),
        },
        keep=own.keep or system.keep,
    )


def load_system(path: Path) -> LoginFile:
    """Return what the administrator's file says, nothing where there is none. Raises as `load`."""
    return _load(path, _read_system)


def load_own(path: Path) -> tuple[str, LoginFile]:
    """Return the text of the person's own file, and what it says; "" where there is none.

    Raises:
        ProfileRefused: As `load`.
    """
    text = _text(path, _read_own) or ""
    return text, read(text, str(path))


def _load(path: Path, content_of: Callable[[Path], bytes]) -> LoginFile:
    text = _text(path, content_of)
    return LoginFile() if text is None else read(text, str(path))


def _text(path: Path, content_of: Callable[[Path], bytes]) -> str | None:
    try:
        return content_of(path).decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except NotOwnError as error:
        raise ProfileRefused(
            f"{error}. Whoever writes it decides who gets your tokens, so it is not read"
        ) from error
    except OSError as error:
        raise ProfileRefused(
            f"cannot read {path}: {error.strerror}; make it readable to you, or remove it"
        ) from error
    except UnicodeDecodeError as error:
        raise ProfileRefused(
            f"{path} is not UTF-8: byte {error.start}; save it as UTF-8"
        ) from error


def _read_own(path: Path) -> bytes:
    """Return the person's file. A link is followed, and what it leads to judged as it would be."""
    check_folder(path.parent)
    real = _real(path)
    check_folder(real.parent)
    return read_own(real, max_size=MAX_SIZE, root_too=True)


def _read_system(path: Path) -> bytes:
    """Return the administrator's file: in a container root may go by another number."""
    return read_own(_real(path), max_size=MAX_SIZE, anybodys=True)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path, strict=True))  # pathlib's raises RuntimeError for a loop
