"""systemd's units for this daemon, with the configuration's addresses and paths filled in.

The files of `systemd/` are whole as they are; where the configuration says something else than
they do, that is replaced.
"""

import hashlib
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sessiond import config as configuration
from sessiond.config import Config
from sessiond.core.errors import ConfigError
from sessiond.whole_file import below, make_folder, write_whole

SOCKETS = ("sessiond-abstract.socket", "sessiond-path.socket", "sessiond-control.socket")
PATH_SOCKET = "sessiond-path.socket"
CREDENTIALS = ("client_secret", "refresh_client_secret", "web_client_secret")  # of an issuer
# What the files say, and where each of them goes.
PROGRAM, CONFIG = "/opt/sessiond/bin/sessiond", "/etc/sessiond/config.toml"
ADDRESS, CONTROL, STATE = "/tmp/kx.5099", "/run/sessiond/control.sock", "/var/lib/sessiond"  # noqa: S108 - kdb+'s directory
STOP_WITHIN = 30  # seconds
PLACES = {
    "sessiond.service": "etc/systemd/system/sessiond.service",
    **{name: f"etc/systemd/system/{name}" for name in SOCKETS},
    "sessiond.sysusers": "etc/sysusers.d/sessiond.conf",
    "sessiond.tmpfiles": "etc/tmpfiles.d/sessiond.conf",
}
MODE = 0o644
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - ProtectHome=, PrivateTmp=

_PLAIN = re.compile(r"[A-Za-z0-9/._+:@-]+")
_MARK = re.compile(r"# Written by `sessiond install-units`, ([0-9a-f]{16}): .*\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What the units are to say."""

    program: str = PROGRAM
    config: str = CONFIG
    address: str = ADDRESS  # DIRECTORY/kx.PORT
    with_path: bool = True
    control: str = CONTROL
    control_group: str | int = ""  # empty: the daemon's own
    database: str = f"{STATE}/sessiond.db"
    stop_within: int = STOP_WITHIN  # seconds
    issuers: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config, *, program: str, file: str) -> "Values":
        """Return a configuration's values; `file` is where it is."""
        listen = config.listen
        return cls(
            program=program,
            config=file,
            address=f"{listen.directory.rstrip('/')}/kx.{listen.port}",
            with_path=listen.path,
            control=listen.control,
            control_group=listen.control_group,
            database=config.store.path,
            stop_within=max(STOP_WITHIN, math.ceil(config.refresh.timeout) + 15),
            issuers=tuple(each.name for each in config.issuers),
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """A file to be: what is there, and what comes in its place. None: no file."""

    path: Path
    before: str | None
    after: str | None

    @property
    def is_changed(self) -> bool:
        return self.before != self.after

    @property
    def is_kept(self) -> bool:
        """Whether somebody else than `install-units` has written what is there."""
        return self.is_changed and self.before is not None and not _is_ours(self.before)

    def diff(self) -> str:
        """Return the change as a unified diff."""
        before, after = (text or "" for text in (self.before, self.after))
        lines = unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            os.devnull if self.before is None else str(self.path),
            os.devnull if self.after is None else str(self.path),
        )
        return "".join(lines)


def values_of(file: Path | None) -> Values:
    """Return the values of a configuration file, or the defaults, for this installation.

    Raises:
        ConfigError: The file is wrong.
    """
    if file is None:
        return Values(program=program())
    return Values.of(configuration.load(file), program=program(), file=str(file.absolute()))


def program() -> str:
    """Return where this installation has its `sessiond`."""
    return str(Path(sys.executable).with_name("sessiond"))


def plan(values: Values, root: Path) -> list[Planned]:
    """Return what is to be below `root`. Reads only.

    Raises:
        ConfigError: A value cannot stand in a unit, or a file cannot be read.
    """
    for key, value in {
        "sessiond": values.program,
        "--config": values.config,
        "listen.directory": values.address,
        "listen.control": values.control,
        "listen.control_group": str(values.control_group) or "-",
        "store.path": values.database,
    }.items():
        if not _PLAIN.fullmatch(value):
            raise ConfigError(
                f"{key}: {value!r} has characters that no unit can have, must be plain"
            )
    return [
        Planned(path, _read(path), _marked(_filled(name, values)))
        for name, place in PLACES.items()
        if values.with_path or name != PATH_SOCKET
        for path in [below(root, place)]
    ] + [
        Planned(path, _read(path), None)
        for path in [below(root, PLACES[PATH_SOCKET])]
        if not values.with_path and path.exists()
    ]


def apply(planned: Sequence[Planned], *, force: bool) -> None:
    """Write what is planned, each file whole or not at all.

    Raises:
        ConfigError: A file was changed by somebody else, and nothing is written; or cannot be.
    """
    kept = [each for each in planned if each.is_kept]
    if kept and not force:
        names = ", ".join(str(each.path) for each in kept)
        raise ConfigError(
            f"not written by install-units, or changed since: {names}, wanted them as written: "
            "move the changes to a drop-in (systemctl edit) and use --force"
        )
    for each in planned:
        try:
            if each.after is None:
                each.path.unlink(missing_ok=True)
            elif each.is_changed:
                make_folder(each.path.parent)
                write_whole(each.path, each.after.encode(), mode=MODE)
        except OSError as error:
            raise ConfigError(
                f"install-units: {each.path}: {error.strerror}, wanted it written: run this as root"
            ) from error


def told(planned: Iterable[Planned], values: Values, root: Path, *, is_real: bool) -> Iterator[str]:
    """Yield what an operator is told, line by line: each file, what to run, what to mind."""
    for each in planned:
        if not each.is_changed:
            yield f"# {each.path}: as it should be"
        elif is_real:
            yield f"# {each.path}: {'removed' if each.after is None else 'written'}"
        else:
            yield each.diff().rstrip("\n")
    for path in _hidden(values):
        yield f"# WARNING: {path}: this unit hides such places from the daemon; install elsewhere"
    yield "# Then, as root:" if is_real else "# Nothing was written: use --apply. Then, as root:"
    yield from commands(root)


def commands(root: Path) -> list[str]:
    """Return what is to be run, as root, once the units are written."""
    at = "" if root == Path("/") else f" --root={root}"
    return [
        f"systemd-sysusers{at} sessiond.conf",
        f"systemd-tmpfiles{at} --create sessiond.conf",
        *([] if at else ["systemctl daemon-reload"]),
        f"systemctl{at} enable sessiond.service",
        *([] if at else ["systemctl start sessiond.service"]),
    ]


def _hidden(values: Values) -> list[str]:
    needed = (values.program, os.path.realpath(sys.executable), values.config)
    return [each for each in needed if any(Path(each).is_relative_to(place) for place in HIDDEN)]


def _filled(name: str, values: Values) -> str:
    text = _source().joinpath(name).read_text(encoding="utf-8")
    for said, value in {
        PROGRAM: values.program,
        CONFIG: values.config,
        ADDRESS: values.address,
        CONTROL: values.control,
        f"TimeoutStopSec={STOP_WITHIN}\n": f"TimeoutStopSec={values.stop_within}\n",
        "SocketGroup=sessiond\n": f"SocketGroup={values.control_group or 'sessiond'}\n",
        "LoadCredentialEncrypted=store:sessiond.store\n": _loaded(values.issuers),
    }.items():
        text = text.replace(said, value)
    directory = Path(values.database).parent
    if not directory.is_relative_to(STATE):
        said = f"StateDirectoryMode=0700\nReadWritePaths={directory}\n"
        text = text.replace("StateDirectoryMode=0700\n", said)
    return text if values.with_path else text.replace(f" {PATH_SOCKET}", "")


def _loaded(issuers: Iterable[str]) -> str:
    names = ["store", *(f"{issuer}.{each}" for issuer in issuers for each in CREDENTIALS)]
    return "".join(f"LoadCredentialEncrypted={name}:sessiond.{name}\n" for name in names)


def _source() -> Traversable:
    packaged = resources.files("sessiond") / "units"
    if packaged.is_dir():
        return packaged
    return Path(__file__).parents[1] / "systemd"  # a checkout


def _marked(text: str) -> str:
    return (
        f"# Written by `sessiond install-units`, {_digest(text)}: "
        f"a change made here is found by that number and kept.\n{text}"
    )


def _is_ours(text: str) -> bool:
    mark = _MARK.match(text)
    return mark is not None and mark[1] == _digest(text[mark.end() :])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"install-units: {path}: {error.strerror}, wanted to read it: run this as root"
        ) from error
    except UnicodeDecodeError:
        raise ConfigError(
            f"install-units: {path} is no text, wanted a unit: move it away"
        ) from None
