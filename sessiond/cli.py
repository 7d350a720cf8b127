"""The command line. Here alone errors become exit codes (sysexits.h)."""

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from sessiond import __version__
from sessiond import config as configuration
from sessiond.config.credentials import new_key, store_key
from sessiond.core.errors import (
    AddressInUseError,
    ConfigError,
    InTheWayError,
    IssuerUnavailable,
    NotNowError,
    SessiondError,
)
from sessiond.core.printable import escaped
from sessiond.init import init
from sessiond.system import systemd
from sessiond.terminal import HelpfulGroup, whole_output

EX_INTERRUPTED = 130  # what a shell says of a program that SIGINT ended


class SysexitsGroup(HelpfulGroup):
    """A group of commands that ends with sysexits.h's codes instead of click's own."""

    def main(  # type: ignore[override]  # one way instead of click's two: it always exits
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Run the command that args name, and exit."""
        with whole_output(prog_name or Path(sys.argv[0]).name):
            self._exit_with(args, prog_name, **{**extra, "standalone_mode": False})

    def _exit_with(self, args: Sequence[str] | None, prog_name: str | None, **extra: Any) -> None:
        try:
            sys.exit(super().main(args, prog_name, **extra) or os.EX_OK)
        except click.UsageError as error:
            error.show()
            sys.exit(os.EX_USAGE)
        except click.Abort:
            sys.exit(EX_INTERRUPTED)
        except SessiondError as error:
            _tell(error)
            sys.exit(exit_code(error))
        except BaseExceptionGroup as group:  # from a task group
            errors = list(_leaves(group))
            expected = [each for each in errors if isinstance(each, SessiondError)]
            if len(expected) < len(errors):
                raise  # a bug: its traceback is wanted
            for each in expected:
                _tell(each)
            sys.exit(exit_code(expected[0]))


def exit_code(error: SessiondError) -> int:
    """Return what the program ends with when this error ends it."""
    match error:
        case NotNowError():
            return os.EX_TEMPFAIL
        case ConfigError():
            return os.EX_CONFIG
        case AddressInUseError() | InTheWayError():
            return os.EX_CANTCREAT
        case IssuerUnavailable():
            return os.EX_UNAVAILABLE
        case _:
            return os.EX_SOFTWARE


def _tell(error: SessiondError) -> None:
    for line in str(error).splitlines():
        click.echo(f"sessiond: {escaped(line)}", err=True)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


config_option = click.option(
    "--config",
    "path",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration file.",
)


@click.group(cls=SysexitsGroup)
@click.version_option(__version__, prog_name="sessiond", message="%(prog)s %(version)s")
def main() -> None:
    """A session daemon for kdb+: OAuth logins, refresh and revocation for q processes."""


@main.command()
@config_option
def run(path: Path) -> None:
    """Run the daemon, in the foreground."""
    # What is imported stays: to look through it for garbage again and again is an eighth of the
    # time that a start takes. The daemon turns the collector on when all is loaded.
    gc.disable()
    # Imported here, so that the other commands do not wait for all of it.
    importlib.import_module("sessiond.daemon").run(path)


@main.command()
@config_option
@click.option("--deep", "is_deep", is_flag=True, help="Also what the machine must have.")
def check_config(path: Path, is_deep: bool) -> None:
    """Check the file, and say what is wrong, naming the key.

    With --deep also what the machine must have, as a start would find it: users and groups, keys,
    certificates, the database's place, plugins and their settings. Nothing is opened but files, and
    no issuer is asked. Run it as root, who then looks as sessiond's user does, or as that user;
    systemd credentials can be seen while the daemon runs.
    """
    if not is_deep:
        configuration.load(path)
        click.echo(f"{path}: ok")
        return
    environ = systemd.with_credentials(os.environ)
    doubts: list[str] = []
    checking = importlib.import_module("sessiond.daemon.checking")
    user = checking.check(path, environ, doubts.append)
    click.echo(f"{path}: ok, and so is what it needs, as user {user} finds it")
    for doubt in doubts:
        click.echo(f"but {doubt}; a start goes on without it, and tries it again")
    if "CREDENTIALS_DIRECTORY" not in environ:
        click.echo("systemd credentials were not to be seen: look again while the daemon runs")


@main.command()
def keygen() -> None:
    """Print a new key for the store or the proof: base64 of 32 random bytes."""
    click.echo(new_key().reveal())


@main.command()
@config_option
@click.option("--new", "is_new", is_flag=True, help="Make the next key, and take the old one out.")
def rekey(path: Path, is_new: bool) -> None:
    """Seal what the database keeps anew with the newest key of store.key_file.

    With --new the newest key is made first, with the next id, the daemon takes it up where it runs,
    and the old key is taken out when nothing needs it any more. Killed, or told to do something
    first (exit 75), it goes on when it is run again. Run it as root or as sessiond's user.

    Backups of the database that were made before need the old key: keep a copy of it with them.
    """
    store = configuration.load(path).store
    environ = systemd.with_credentials(os.environ)
    if is_new:
        importlib.import_module("sessiond.store.rotation").rotation_of(
            store, environ, click.echo
        ).run()
        return
    acting = importlib.import_module("sessiond.store.acting")
    with acting.acting_as(acting.owner_of(Path(store.path))):
        database = Path(store.path).resolve()  # as the daemon does: the key is beside the file
        key = store_key(store.key_file, database=database, environ=environ)
        ring = importlib.import_module("sessiond.store.sealing").KeyRing.from_text(key)
        count = importlib.import_module("sessiond.store.rekey").rekey(database, ring)
    click.echo(f"{database}: {count} values sealed anew")


@main.command()
@click.option(
    "--root",
    default="/",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="What stands for / (an image to be).",
)
@click.option(
    "--config",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take port, paths and groups from this configuration file.",
)
@click.option("--apply", "is_real", is_flag=True, help="Write the files, instead of showing them.")
@click.option("--force", is_flag=True, help="Overwrite what was changed locally, too.")
def install_units(root: Path, path: Path | None, is_real: bool, force: bool) -> None:
    """Show, or write, systemd's units for this installation, and what to run then.

    With them come the q hook, the example configuration, the alerts and the dashboard, into
    /usr/share/sessiond, and the manual pages.
    """
    units = importlib.import_module("sessiond.install_units")
    shared = importlib.import_module("sessiond.shared_files")
    root, values = root.absolute(), units.values_of(path)
    planned, beside = units.plan(values, root), shared.plan(root)
    if is_real:
        units.apply(planned, force=force)
        shared.write(beside)
    for line in shared.told(beside, root, is_real=is_real):
        click.echo(line)
    for line in units.told(planned, values, root, is_real=is_real):
        click.echo(line)


@main.command(hidden=True)
@click.argument("name")
def subscriber(name: str) -> None:
    """Be the process of one subscriber. The daemon alone starts it."""
    importlib.import_module("sessiond.extensions.subscribers.child").main(name)


@main.command()
@click.option("--browser", is_flag=True, help="Sign in yourself, in your browser.")
@click.pass_context
def demo(context: click.Context, browser: bool) -> None:
    """Show the daemon at work, with an issuer, a person and q processes of its own.

    The person signs in with sessiond-login, which must be installed here.
    """
    story = importlib.import_module("sessiond.demo.story")
    context.exit(story.main(by_browser=browser) or os.EX_OK)


main.add_command(init)
