"""Secrets from files and from systemd's credentials: never from the configuration itself.

A configured file is read as it is at that moment; where none is configured, the service's
credential of the given name, if it has one (systemd.exec(5), LoadCredential=).
"""

import base64
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from sessiond.core.errors import ConfigError
from sessiond.core.secret import Secret

MAX_SIZE = 65536  # bytes of a file with a secret
KEY_SIZE = 32  # bytes

_ONLY_OWNER = stat.S_IRWXG | stat.S_IRWXO
_OWNER_AND_READING_GROUP = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
# systemd lets the service's user in by an ACL, whose mask shows as permissions of the group.
_MADE_BY_SYSTEMD = stat.S_IRWXO


def secret(file: str, *, key: str, credential: str, environ: Mapping[str, str]) -> Secret | None:
    """Return a secret without the newline at its end, or None where there is none.

    Args:
        file: The configured path; empty means the credential.
        key: The configuration key that errors name.
        credential: The name of the systemd credential.
        environ: Where $CREDENTIALS_DIRECTORY is looked up.

    Raises:
        ConfigError: It is there but cannot be read, is empty, or somebody else may read it.
    """
    if file:
        return _text(Path(file), key, forbidden=_ONLY_OWNER)
    return _credential(credential, environ)


def proof_key(file: str, *, environ: Mapping[str, str]) -> Secret | None:
    """Return the first line of the proof key file as text, not decoded, or None: no proof.

    The file's group may read it, since q must; otherwise as `secret`.
    """
    key = "listen.proof_key_file"
    if file:
        found: Secret | None = _text(Path(file), key, forbidden=_OWNER_AND_READING_GROUP)
    else:
        found = _credential("proof", environ)
    if found is None:
        return None
    line = found.reveal().partition("\n")[0].removesuffix("\r")
    if not line.isascii() or not line.isprintable() or not line:
        raise ConfigError(f"{key}: its first line is empty or not plain, must be printable ASCII")
    return Secret(line)


def store_key(file: str, *, database: Path, environ: Mapping[str, str]) -> Secret:
    """Return the text of the store's key file, which `KeyRing.from_text` reads.

    Without a configured file and a credential it is made beside the database, mode 0600, but
    only before the database itself: a new key would open nothing in an old one.
    """
    found = find_store_key(file, database=database, environ=environ)
    if found is not None:
        return found
    beside = key_beside(database)
    _make_key(beside)
    return _text(beside, "store.key_file", forbidden=_ONLY_OWNER)


def find_store_key(file: str, *, database: Path, environ: Mapping[str, str]) -> Secret | None:
    """Return the same, and make nothing: None where a first start would make the key."""
    found = secret(file, key="store.key_file", credential="store", environ=environ)
    if found is not None:
        return found
    beside = key_beside(database)
    if _exists(beside, "store.path"):
        return _text(beside, "store.key_file", forbidden=_ONLY_OWNER)
    if _exists(database, "store.path"):
        raise ConfigError(
            f"store.key_file: {database} is there but its key {beside} is not, wanted both: bring "
            "the key back, or move the database away and let everybody log in again"
        )
    return None


def key_beside(database: Path) -> Path:
    """Return where the store's key is that a first start makes."""
    return database.with_name(f"{database.name}.key")


def key_text(path: Path, *, owner: int) -> Secret:
    """Return the text of the store's key file at a path, which may be this user's too.

    Raises:
        ConfigError: It cannot be read, is empty, or somebody else may read it.
    """
    return _text(path, "store.key_file", forbidden=_ONLY_OWNER, owner=owner)


def replace_key_file(path: Path, text: Secret) -> None:
    """Put another text in the place of the store's key file: all of it is on disk, or nothing.

    Owner, group and mode stay.

    Raises:
        ConfigError: It cannot be written; the old one is there.
    """
    path = path.resolve()
    draft = path.with_name(f"{path.name}.new")
    try:
        before = path.stat()
        draft.unlink(missing_ok=True)  # what a killed one has left
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            file.write(text.reveal())
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise ConfigError(
            f"store.key_file: cannot write {path}: {error.strerror}, wanted that replaced: run "
            f"this as root, or as a user who may write in {path.parent}"
        ) from error


def new_key() -> Secret:
    """Return a new key as base64 of 32 random bytes."""
    return Secret(base64.b64encode(secrets.token_bytes(KEY_SIZE)).decode())


def _make_key(path: Path) -> None:
    """Put a new key at path, whole and on disk, or leave the one that another process made."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{new_key().reveal()}\n")
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(draft)  # unlike a rename it never replaces a key
        except FileExistsError:
            pass  # that key is as good
        finally:
            draft.unlink()
        _sync(path.parent)
    except OSError as error:
        raise ConfigError(
            f"store.key_file: cannot make {path}: {error.strerror}, wanted a new key there: let "
            f"sessiond's user write in {path.parent}, or name a file"
        ) from error


def _sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _credential(name: str, environ: Mapping[str, str]) -> Secret | None:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    path, key = Path(directory, name), f"systemd credential {name!r}"
    return _text(path, key, forbidden=_MADE_BY_SYSTEMD) if _exists(path, key) else None


def _exists(path: Path, key: str) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError(
            f"{key}: cannot look for {path}: {error.strerror}, wanted to: let sessiond's user into "
            f"{path.parent}"
        ) from error


def _text(path: Path, key: str, *, forbidden: int, owner: int | None = None) -> Secret:
    """Return a file's text without newlines at its end. Errors never show any of it."""
    try:
        # Opened first and judged by its descriptor, so that nobody changes it in between;
        # not blocking, or a pipe would hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _check(os.fstat(descriptor), path, key, forbidden, owner)
            content = os.read(descriptor, MAX_SIZE + 1)  # of a regular file: all of it
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(
            f"{key}: cannot read {path}: {error.strerror}, wanted the secret in it: name a file "
            "that is there, and sessiond's user may read"
        ) from error
    if len(content) > MAX_SIZE:
        raise ConfigError(
            f"{key}: {path} is longer than {MAX_SIZE} bytes, wanted the secret alone: name its file"
        )
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        # Not chained: the error quotes the bytes.
        raise ConfigError(
            f"{key}: {path} is not UTF-8 text, wanted the secret as text: name its file"
        ) from None
    if not text.strip():
        raise ConfigError(f"{key}: {path} is empty, wanted the secret in it: put it there")
    return Secret(text)


def _check(status: os.stat_result, path: Path, key: str, forbidden: int, owner: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{key}: {path} is not a regular file, wanted one: name another")
    if status.st_uid not in (0, os.geteuid() if owner is None else owner):
        raise ConfigError(
            f"{key}: {path} belongs to another user than root and sessiond's own, wanted one of "
            "them: chown it"
        )
    if status.st_mode & forbidden:
        mode = stat.S_IMODE(status.st_mode)
        allowed = 0o600 if forbidden == _ONLY_OWNER else 0o640
        raise ConfigError(
            f"{key}: {path} has mode {mode:04o}, which lets others at the secret, wanted "
            f"{allowed:04o}: chmod {allowed:04o} it"
        )
