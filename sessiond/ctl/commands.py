"""The commands of sessionctl: ask, print. Here alone errors become exit codes (sysexits.h)."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.live import Live

from sessiond import __version__
from sessiond.cli import SysexitsGroup, exit_code
from sessiond.core.errors import SessiondError
from sessiond.ctl import completion, doctor, plugin, revoking, show, signing_in, subscribers
from sessiond.ctl.asking import Target, as_json, asked, print_found
from sessiond.ctl.client import Client, ControlError, DaemonAwayError

EVERY = 2.0  # seconds between two looks of `list --watch`
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
        raise click.UsageError("--control and --config name the same thing: give one")
    context.obj = Target(control, config)


@main.command()
@as_json
@asked
def status(client: Client, as_json: bool) -> None:
    """Show the daemon as it stands."""
    found = client.get("/v1/status")
    print_found(found, as_json, *show.status_of(found))


@main.command("list")
@click.option("--user", metavar="U", help="Only this user's sessions.")
@click.option(
    "--process",
    metavar="NAME[:PID]",
    shell_complete=completion.processes,
    help="Only sessions on this process.",
)
@click.option(
    "--issuer",
    metavar="I",
    shell_complete=completion.issuers,
    help="Only sessions from this issuer.",
)
@click.option("--watch", is_flag=True, help="Draw anew every 2 s, on a terminal.")
@as_json
@asked
def list_sessions(client: Client, /, watch: bool, as_json: bool, **filters: str | None) -> None:
    """List the live sessions."""
    given = {name: value for name, value in filters.items() if value is not None}
    if watch:
        if as_json or not sys.stdout.isatty():
            raise click.UsageError("--watch draws on a terminal")
        with Live(console=show.console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(show.sessions_of(client.sessions(**given)), refresh=True)
                time.sleep(EVERY)  # noqa: TID251 - for people, who live in real time
    found = client.sessions(**given)
    print_found({"sessions": found}, as_json, show.sessions_of(found))


@main.command("show")
@click.argument("session", type=click.UUID)
@as_json
@asked
def show_session(client: Client, session: object, as_json: bool) -> None:
    """Show all of one session."""
    found = client.get(f"/v1/sessions/{session}")
    print_found(found, as_json, show.session_of(found))


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
            click.echo(f"sessionctl: {error}; trying again", err=True)
        time.sleep(AGAIN)  # noqa: TID251 - for people, who live in real time


@main.command()
@click.option("--user", metavar="U", required=True, help="The name as the user would type it.")
@as_json
@asked
def explain(client: Client, user: str, as_json: bool) -> None:
    """Say what a login would come to. The password is read from standard input.

    Nobody is let in, and no refresh token is spent.
    """
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, err=True)
    else:
        password = sys.stdin.read().rstrip("\r\n")
    found = client.post("/v1/explain", {"user": user, "password": password})
    print_found(found, as_json, *show.explanation_of(found))


for command in (
    revoking.revoke,
    revoking.forget,
    subscribers.subscribers,
    doctor.doctor,
    signing_in.test,
    completion.completion,
    plugin.plugin,
):
    main.add_command(command)
