"""What the machine must have for a configuration, found by the code that a start finds it with.

No socket is opened, the database is not touched, and no issuer is asked.
"""

import os
import pwd
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path

import anyio
import msgspec

from sessiond import config as configuration
from sessiond import log
from sessiond.clock import SystemClock
from sessiond.config import Config, credentials
from sessiond.core.errors import ConfigError, NotNowError
from sessiond.daemon import settings
from sessiond.daemon.issuers import Issuers
from sessiond.daemon.sources import problems_of_sources
from sessiond.extensions.subscribers import starter
from sessiond.extensions.subscribers.checking import check_each
from sessiond.metrics import Metrics
from sessiond.store.acting import owner_of
from sessiond.store.hold import check_private
from sessiond.store.sealing import KeyRing
from sessiond.system.accounts import group_number

USER = "sessiond"  # that the unit names
STATE = Path("/var/lib/sessiond")  # its StateDirectory=


def check(path: Path, environ: Mapping[str, str], doubt: Callable[[str], None]) -> str:
    """Check everything that a start or a reload would; return the name of the user who looked.

    Root looks as the daemon's user does: whose the database is, or is to be.

    Args:
        path: Of the configuration.
        environ: The process's.
        doubt: Is called with a line for each subscriber of which nothing is known, since it hung
            or ended: a start goes on without it, and tries it again.

    Raises:
        ConfigError: What a start or a reload would refuse, a line for each problem.
        NotNowError: Names were not found, and nothing else is wrong.
    """
    config = configuration.load(path)
    if os.geteuid() == 0:
        _become(_owner(Path(config.store.path)))
        config = configuration.load(path)
    log.configure("console", "error")
    anyio.run(partial(_check, config, environ, doubt))
    return _name(os.geteuid())


async def _check(config: Config, environ: Mapping[str, str], doubt: Callable[[str], None]) -> None:
    found = [each async for each in _problems(config, environ, doubt)]
    if found:
        is_lookup = all(isinstance(each, NotNowError) for each in found)
        raise (NotNowError if is_lookup else ConfigError)("\n".join(map(str, found)))


async def _problems(
    config: Config, environ: Mapping[str, str], doubt: Callable[[str], None]
) -> AsyncIterator[ConfigError]:
    """Yield what each step of a start refuses."""
    database = settings.database_of(config)
    steps = (
        partial(_check_key, config, database, environ),
        partial(settings.look_up, config, environ),
        partial(_check_control_group, config),
        partial(_check_database, database),
    )
    for step in steps:
        try:
            step()
        except ConfigError as error:
            yield error
    clock = SystemClock()
    issuers = Issuers(clock, Metrics(), environ, lambda: config.login.deadline)
    for each in config.issuers:
        try:
            alone = msgspec.structs.replace(config, issuers=(each,))
            await issuers.discard(await issuers.build(alone))
        except ConfigError as error:
            yield error
    async for refused in problems_of_sources(config, environ, clock):
        yield refused
    start = starter(environ, clock)
    for checked in await check_each(config.subscribers, start=start, clock=clock):
        for problem in checked.problems:
            yield ConfigError(problem)
        for line in checked.doubts:
            doubt(line)


def _check_key(config: Config, database: Path, environ: Mapping[str, str]) -> None:
    text = credentials.find_store_key(config.store.key_file, database=database, environ=environ)
    if text is not None:  # else the first start makes one
        KeyRing.from_text(text)


def _check_control_group(config: Config) -> None:
    if config.listen.control_group != "":
        group_number("listen.control_group", config.listen.control_group)


def _check_database(database: Path) -> None:
    check_private(database)
    folder = database.parent
    if not folder.exists():
        if folder == STATE.resolve():
            return  # systemd makes that one
        raise ConfigError(
            f"store.path: there is no {folder}, wanted a folder of {_name(os.geteuid())}'s: make "
            "it, or name another file"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"store.path: {_name(os.geteuid())} may not write in {folder}, wanted to: chown it, "
            "or name another file"
        )


def _owner(database: Path) -> int:
    """Return whose the daemon is, where nobody has put a link to a file of root's."""
    other = owner_of(database)
    if other is not None:
        return other.uid
    for each in (database, database.parent):
        if each.exists():
            return each.stat().st_uid
    try:
        return pwd.getpwnam(USER).pw_uid
    except KeyError:
        return 0


def _become(user: int) -> None:
    if user == 0:
        return
    try:
        account = pwd.getpwuid(user)
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
    except KeyError:  # a number alone
        os.setgroups([])
        os.setgid(user)
    os.setuid(user)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
