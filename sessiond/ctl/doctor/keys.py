"""Whether the store's key opens the database."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sessiond.config import Config
from sessiond.config.credentials import MAX_SIZE
from sessiond.core.errors import ConfigError, SessiondError
from sessiond.core.secret import Secret
from sessiond.ctl.doctor.files import Where, credential_file
from sessiond.ctl.doctor.finding import Finding, ok, unseen, warning, wrong
from sessiond.store.sealing import KeyRing
from sessiond.store.sqlite import LOOKUP_KEY, QUERIES

CHECK = "store key fits"


def store_key_fits(config: Config, database: Path, where: Where) -> Iterator[Finding]:
    """Open the one value that every database has with the key that the configuration names."""
    beside = database.with_name(f"{database.name}.key")
    named = Path(config.store.key_file) if config.store.key_file else None
    path = named or credential_file("store", where) or beside
    try:
        if not path.is_file() or not database.is_file():
            return  # said already
        text, sealed = read_secret(path), _sealed(database)
    except OSError as error:
        yield unseen(CHECK, error)
        return
    except (sqlite3.Error, ConfigError) as error:
        yield wrong(CHECK, f"{database}: {error}", "bring a backup back")
        return
    if sealed is None:
        yield warning(CHECK, f"{database} is empty", "the daemon's next start fills it")
        return
    try:
        KeyRing.from_text(text).unseal(sealed, **LOOKUP_KEY)
    except SessiondError as error:
        yield wrong(CHECK, str(error), "bring the key back that the database was made with")
        return
    yield ok(CHECK, f"{path} opens {database}")


def read_secret(path: Path) -> Secret:
    """Return a secret's text, for a look at what it is good for.

    Raises:
        OSError: It cannot be read.
        ConfigError: It is not text, or too long.
    """
    with path.open("rb") as file:
        content = file.read(MAX_SIZE + 1)
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(
            f"{path} is not UTF-8 text, wanted the secret as text: name its file"
        ) from None
    if len(content) > MAX_SIZE or not text:
        raise ConfigError(
            f"{path} is empty, or longer than {MAX_SIZE} bytes, wanted the secret alone: put it "
            "there, or name its file"
        )
    return Secret(text)


def _sealed(database: Path) -> bytes | None:
    """Return the sealed value, and leave no file behind that the daemon could not write."""
    if not os.access(database, os.R_OK):
        raise PermissionError(13, "Permission denied", str(database))
    has_log = database.with_name(f"{database.name}-wal").exists()
    mode = "mode=ro" if has_log else "immutable=1"
    with closing(sqlite3.connect(f"{database.as_uri()}?{mode}", uri=True)) as db:
        row = db.execute(QUERIES["key"], ("lookup",)).fetchone()
    return None if row is None else bytes(row[0])
