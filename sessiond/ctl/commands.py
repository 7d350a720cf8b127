"""The commands of sessionctl: ask, print. Here alone errors become exit codes (sysexits.h)."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.live import Live

from sessiond import __version__
from sessiond.cli import SysexitsGroup, exit_code
from sessiond.core.errors import SessiondError
from sessiond.ctl import show
from sessiond.ctl.client import Client, ControlError, DaemonAwayError
from sessiond.edge import config as configuration
from sessiond.edge.config import ListenConfig

EVERY = 2.0  # seconds between two looks of `list --watch`
AGAIN = 1.0  # seconds between two tries of `watch` to reach a daemon that went away


class _Group(SysexitsGroup):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SessiondError as error:
            for line in str(error).splitlines():
                click.echo(f"sessionctl: {line}", err=True)
            ctx.exit(error.code if isinstance(error, ControlError) else exit_code(error))


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
asked = click.pass_obj  # the Client


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
    if config is not None:
        control = configuration.load(config).listen.control
    path = control or os.environ.get("SESSIOND_CONTROL") or ListenConfig().control
    context.obj = context.with_resource(Client(path))


@main.command()
@as_json
@asked
def status(client: Client, as_json: bool) -> None:
    """Show the daemon as it stands."""
    found = client.get("/v1/status")
    _print(found, as_json, lambda: show.status_of(found))


@main.command("list")
@click.option("--user", metavar="U", help="Only this user's sessions.")
@click.option("--process", metavar="NAME[:PID]", help="Only sessions on this process.")
@click.option("--issuer", metavar="I", help="Only sessions from this issuer.")
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
    _print({"sessions": found}, as_json, lambda: [show.sessions_of(found)])


@main.command("show")
@click.argument("session", type=click.UUID)
@as_json
@asked
def show_session(client: Client, session: object, as_json: bool) -> None:
    """Show all of one session."""
    found = client.get(f"/v1/sessions/{session}")
    _print(found, as_json, lambda: [show.session_of(found)])


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
    _print(found, as_json, lambda: show.explanation_of(found))


@main.command()
@click.option("--session", metavar="S", type=click.UUID, help="End one session.")
@click.option("--user", metavar="U", help="End a user's sessions; refuse tokens issued until now.")
@click.option("--process", metavar="NAME[:PID]", help="End the sessions on a process.")
@click.option("--issuer", metavar="I", help="As --user, for all of an issuer.")
@click.option("--all", "everybody", is_flag=True, help="As --user, for everybody.")
@click.option("--reason", metavar="TEXT", help="Why, for those who read the log.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--forgive", is_flag=True, help="With --user: lift what was revoked of that user.")
@as_json
@asked
def revoke(client: Client, /, as_json: bool, **given: Any) -> None:
    """Take back access, at once and by user, issuer or all lastingly; or forgive."""
    named = {
        name: str(given[name])
        for name in ("session", "user", "process", "issuer")
        if given[name] is not None
    }
    if len(named) + given["everybody"] != 1:
        raise click.UsageError("name exactly one of --session, --user, --process, --issuer, --all")
    if given["forgive"]:
        if "user" not in named:
            raise click.UsageError("--forgive goes with --user")
        _forgive(client, named["user"], as_json)
        return
    if not given["reason"]:
        raise click.UsageError("--reason says why")
    if not given["yes"]:
        _confirm(client, named)
    what: dict[str, Any] = {**named} or {"all": True}
    found = client.post("/v1/revocations", {**what, "reason": given["reason"]})
    _print(found, as_json, lambda: [show.plain(f"sessions ended: {found['revoked']}")])


@main.command()
@click.option("--user", metavar="U", required=True, help="The name.")
@as_json
@asked
def forget(client: Client, user: str, as_json: bool) -> None:
    """Let a user name belong to somebody else: to whoever logs in with it next."""
    client.delete("v1", "names", user)
    _print({"forgotten": user}, as_json, lambda: [show.plain(f"{user} belongs to nobody now")])


def _forgive(client: Client, user: str, as_json: bool) -> None:
    in_force = [
        each["id"]
        for each in client.get("/v1/revocations")["revocations"]
        if each["scope"] == "user" and each["value"].lower() == user.lower()
    ]
    if not in_force:
        raise ControlError(f"no revocation of {user} is in force", os.EX_NOINPUT)
    for revocation in in_force:
        client.delete("v1", "revocations", revocation)
    _print({"forgiven": in_force}, as_json, lambda: [show.plain(f"{user} is forgiven")])


def _confirm(client: Client, named: dict[str, str]) -> None:
    """Say what would be done, and go on only if that is wanted."""
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask on, --yes is needed")
    if "session" in named:
        count = 1 if client.get(f"/v1/sessions/{named['session']}") else 0
    else:
        count = len(client.sessions(**named))
    whose = " ".join(next(iter(named.items()), ("all", "users")))
    if {"session", "process"} & named.keys():
        lasts = ""
    else:
        lasts = "; tokens issued until now are refused until that is forgiven"
    click.confirm(
        f"Ends {count} live sessions ({show.plain(whose)}){lasts}. Go on?", abort=True, err=True
    )


def _print(found: Any, as_json: bool, drawn: Callable[[], Any]) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    console = show.console()
    for each in drawn():
        console.print(each)
