"""`sessionctl client-profile`: what people's machines need to sign in, from the daemon's file."""

import os
from collections.abc import Iterable, Sequence
from os.path import samestat
from pathlib import Path
from stat import S_ISREG
from typing import Any

import click
import msgspec

from sessiond import config as configuration
from sessiond.config import IssuerConfig
from sessiond.config.value_types import Name, Text
from sessiond.core.errors import ConfigError
from sessiond.ctl import show
from sessiond.ctl.asking import Target, config_too
from sessiond.ctl.client import ControlError
from sessiond.ctl.configured import DEFAULT, issuers_named
from sessiond.ctl.profile import Wanted, notes, profile
from sessiond.init.written import comment
from sessiond.whole_file import write_whole

MAX_PROFILES = 64  # that sessiond-login takes in one file
MODE = 0o644  # everybody reads it: there is no secret in it
ABOUT = (
    "Written by `sessionctl client-profile`, for sessiond-login. It belongs to "
    "~/.config/sessiond/login.toml of whoever signs in, or to /etc/sessiond/login.toml for all of "
    "a machine; `sessiond-login profiles` shows what is in use. There is no secret in it."
)


@click.command("client-profile")
@click.option("--issuer", "issuer", metavar="NAME", help="This one alone; else a table for each.")
@click.option("--name", metavar="PROFILE", help="What the profile is called; else as its issuer.")
@click.option(
    "--send",
    type=click.Choice(["pair", "access"]),
    help="What q gets; else a pair, where sessiond can refresh.",
)
@click.option(
    "--flow",
    type=click.Choice(["browser", "device", "password"]),
    default="browser",
    show_default=True,
    help="How people sign in.",
)
@click.option("--scope", metavar="SCOPES", help="Ask for these alone; else as is usual.")
@click.option("--resource", metavar="URI", help="Whom the tokens are to be for (RFC 8707).")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it there, whole, for everybody to read; else to standard output.",
)
@config_too
@click.pass_context
def client_profile(
    context: click.Context,
    issuer: str | None,
    output: Path | None,
    name: str | None,
    send: str | None,
    flow: str,
    scope: str | None,
    resource: str | None,
) -> None:
    """Write the profile that sessiond-login signs people in by.

    It comes from the configuration: --config, else /etc/sessiond/config.toml. No secret is in it,
    and no daemon needs to run. An issuer that can have none is left out where there are others,
    which is said.
    """
    target: Target = context.obj
    file = target.config or DEFAULT
    wanted = Wanted(
        name=_checked("--name", name, Name),
        send=send,
        flow=flow,
        scope=_checked("--scope", scope, Text),
        resource=_checked("--resource", resource, Text),
    )
    issuers = issuers_named(configuration.load(file), issuer)
    if len(issuers) > 1 and (name or scope or resource):
        names = ", ".join(each.name for each in issuers)
        raise click.UsageError(f"--name, --scope and --resource need --issuer, one of: {names}")
    tables = _tables(issuers, wanted)
    text = "\n\n".join(map("\n".join, [comment(ABOUT), *tables.values()])) + "\n"
    if output is None:
        click.echo(text.encode(), nl=False)  # TOML is UTF-8, whatever the terminal is
    else:
        _write(output, text, config=file)
    for each in issuers:
        for note in notes(each) if each.name in tables else ():
            _say(note)


def _checked(option: str, value: str | None, kind: Any) -> str | None:
    """Return what was typed, where the configuration could hold it as well."""
    try:
        found: str | None = msgspec.convert(value, kind | None)
    except msgspec.ValidationError as error:
        (meta,) = kind.__metadata__
        raise click.UsageError(
            f"{option} {show.plain(str(value))}: wanted {meta.description}"
        ) from error
    return found


def _tables(issuers: Sequence[IssuerConfig], wanted: Wanted) -> dict[str, list[str]]:
    """Return the lines of those issuers, by name, that can have a profile; say why others cannot.

    Raises:
        ConfigError: None can.
    """
    tables: dict[str, list[str]] = {}
    reasons: list[ConfigError] = []
    for each in issuers:
        try:
            tables[each.name] = profile(each, wanted)
        except ConfigError as error:
            reasons.append(error)
    if not tables:
        raise ConfigError("\n".join(map(str, reasons)))
    _refuse_alike(tables)
    for reason in reasons:
        _say(f"left out: {reason}")
    return tables


def _refuse_alike(names: Iterable[str]) -> None:
    """Raise ConfigError where one file cannot have all of them: each names files as well."""
    by_folded: dict[str, str] = {}
    for name in names:
        other = by_folded.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(
                f"issuer[{other}] and issuer[{name}] differ in case alone, wanted names that "
                "sessiond-login can tell apart: write a file for each, by --issuer and --name"
            )
    if len(by_folded) > MAX_PROFILES:
        raise ConfigError(
            f"there are {len(by_folded)} issuers, wanted at most {MAX_PROFILES} for one file of "
            "sessiond-login: name one with --issuer"
        )


def _write(output: Path, text: str, *, config: Path) -> None:
    try:
        _look_at(output, config)
        write_whole(output, text.encode(), mode=MODE)
    except OSError as error:
        raise ControlError(
            f"{show.plain(str(output))} cannot be written: {error.strerror}, wanted the profile "
            "there: name a folder that is there and yours with -o, or leave -o out",
            os.EX_CANTCREAT,
        ) from error


def _look_at(output: Path, config: Path) -> None:
    """Raise UsageError where something is in the place that must not give way."""
    try:
        there = output.lstat()
    except FileNotFoundError:
        return
    named = f"-o {show.plain(str(output))}"
    if not S_ISREG(there.st_mode):  # /dev/null, as root
        raise click.UsageError(f"{named} is there, and is no plain file: name another")
    if samestat(there, config.stat()):
        raise click.UsageError(f"{named} is sessiond's own configuration: name another")


def _say(text: str) -> None:
    click.echo(f"sessionctl: {show.plain(text)}", err=True)
