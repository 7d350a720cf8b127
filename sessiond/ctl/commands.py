"""The commands of sessionctl: ask, print. Here alone errors become exit codes (sysexits.h)."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from sessiond import __version__
from sessiond.cli import SysexitsGroup, exit_code
from sessiond.core.errors import SessiondError
from sessiond.ctl import (
    client_profile,
    completion,
    doctor,
    listing,
    plugin,
    reloading,
    revoking,
    show,
    signing_in,
    sources,
    stores,
    subscribers,
)
from sessiond.ctl.asking import NAMED_TWICE, Target, as_json, asked, config_too, print_found
from sessiond.ctl.client import Client, ControlError, DaemonAwayError
from sessiond.ctl.explained import explanation_of
from sessiond.ctl.typed import read_password

AGAIN = 1.0  # seconds between two tries of `watch` to reach a daemon that went away


class _Group(SysexitsGroup):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SessiondError as error:
            for line in str(error).splitlines():
                click.echo(f"sessionctl: {show.plain(line)}", err=True)
            ctx.exit(error.code if isinstance(error, ControlError) else exit_code(error))


@click.group(cls=_Group)
@click.option("--control", metavar="PATH", help="The control socket.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The daemon's configuration, which names the control socket.",
)
@click.version_option(__version__, prog_name="sessionctl", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context, control: str | None, config: Path | None) -> None:
    """See and steer a running sessiond.

    Without --control and --config, $SESSIOND_CONTROL names the socket, else it is the default one.
    """
    if control is not None and config is not None:
        raise click.UsageError(NAMED_TWICE)
    context.obj = Target(control, config)


@main.command()
@as_json
@asked
def status(client: Client, as_json: bool) -> None:
    """Show the daemon as it stands."""
    found = client.get("/v1/status")
    print_found(found, as_json, *show.status_of(found))


@main.command()
@click.option("--after", metavar="N", type=click.IntRange(min=0), help="Begin after this event.")
@as_json
@asked
def watch(client: Client, after: int | None, as_json: bool) -> None:
    """Print events as they happen, until interrupted; 0 begins with the oldest kept.

    A daemon that is started anew is waited for, and nothing is missed meanwhile.
    """
    console, place, is_first = show.console(), after, True
    while True:
        try:
            for told in client.events(place):
                place, is_first = told.id, False
                if told.kind and as_json:
                    click.echo(told.data)
                elif told.kind:
                    console.print(show.event_of(json.loads(told.data)), soft_wrap=True)
        except DaemonAwayError as error:
            if is_first:
                raise
            what, *_ = str(error).splitlines()
            click.echo(f"sessionctl: {show.plain(what)}; trying again", err=True)
        time.sleep(AGAIN)  # noqa: TID251 - for people, who live in real time


@main.command()
@click.option("--user", metavar="U", required=True, help="The name as the user would type it.")
@click.option(
    "--process", metavar="NAME[:TYPE]", help="Where: with the ceiling of a process of this name."
)
@as_json
@config_too
@asked
def explain(client: Client, user: str, process: str | None, as_json: bool) -> None:
    """Say what a login would come to. The password is read from standard input.

    It shows each check, the claims that are used, and the roles step by step: given by token and
    role sources, protected, granted here, and what the ceiling of the process leaves of them.
    Without a process no ceiling is applied. Nobody is let in, and no refresh token is spent. It
    ends with 77 where the login would be refused.
    """
    body: dict[str, Any] = {"user": user}
    if process is not None:
        name, _, kind = process.partition(":")
        body["process"] = {"name": name, "type": kind}
    password = read_password() if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    found = client.post("/v1/explain", {**body, "password": password})
    print_found(found, as_json, *explanation_of(found))
    if not found["accepted"]:
        click.get_current_context().exit(os.EX_NOPERM)


for command in (
    listing.list_sessions,
    listing.show_session,
    listing.processes,
    listing.names,
    listing.revocations,
    revoking.revoke,
    revoking.forget,
    reloading.reload,
    subscribers.subscribers,
    sources.sources,
    stores.stores,
    doctor.doctor,
    signing_in.test,
    client_profile.client_profile,
    completion.completion,
    plugin.plugin,
):
    main.add_command(command)
