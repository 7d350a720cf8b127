"""What is there: sessions, processes, names, revocations."""

import sys
import time
from datetime import UTC, datetime

import click
from rich.live import Live

from sessiond.ctl import completion, lists, show
from sessiond.ctl.asking import as_json, asked, print_found
from sessiond.ctl.client import Client
from sessiond.ctl.explained import reasons_of
from sessiond.ctl.short_ids import full_id

EVERY = 2.0  # seconds between two looks of `list --watch`
wide = click.option("--wide", is_flag=True, help="Show all that there is, however long the lines.")


@click.command("list")
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
@wide
@as_json
@asked
def list_sessions(
    client: Client, /, watch: bool, wide: bool, as_json: bool, **filters: str | None
) -> None:
    """List the live sessions.

    LEFT is how long the tokens reach from now, which each refresh prolongs. STATE web is a login
    over HTTP, which has no handle. SESSION is as much of the id as tells it apart: `show` and
    `revoke --session` take it so. --json has ids in full.
    """
    given = {name: value for name, value in filters.items() if value is not None}

    def drawn() -> lists.Drawn:
        found = client.sessions(**given)
        return lists.sessions_of(found, _now(), is_wide=wide, filters=given)

    if watch:
        if as_json or not sys.stdout.isatty():
            raise click.UsageError("--watch draws on a terminal")
        with Live(console=show.console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(drawn(), refresh=True)
                time.sleep(EVERY)  # noqa: TID251 - for people, who live in real time
    if as_json:
        print_found({"sessions": client.sessions(**given)}, as_json)
    else:
        show.say(drawn(), is_wide=wide)


@click.command("show")
@click.argument("session", metavar="SESSION")
@as_json
@asked
def show_session(client: Client, session: str, as_json: bool) -> None:
    """Show all of one session, by its id or how that begins."""
    found = client.get(f"/v1/sessions/{full_id(client, session)}")
    print_found(found, as_json, show.session_of(found), *reasons_of(found))


@click.command()
@wide
@as_json
@asked
def processes(client: Client, wide: bool, as_json: bool) -> None:
    """List the q processes that are connected, or whose sessions wait for them to come back."""
    found = client.processes()
    print_found(
        {"processes": found}, as_json, lists.processes_of(found, is_wide=wide), is_wide=wide
    )


@click.command()
@click.option("--begin", metavar="TEXT", default="", help="Only names that begin so.")
@wide
@as_json
@asked
def names(client: Client, begin: str, wide: bool, as_json: bool) -> None:
    """List the user names that are known, and whose each is until it is forgotten."""
    found = client.names(begin=begin)
    print_found({"names": found}, as_json, lists.names_of(found, is_wide=wide), is_wide=wide)


@click.command()
@wide
@as_json
@asked
def revocations(client: Client, wide: bool, as_json: bool) -> None:
    """List the lasting revocations that are in force, oldest first.

    Who made them, and those of sessions and processes, are events: `watch --after 0`.
    """
    found = client.get("/v1/revocations")
    drawn = lists.revocations_of(found["revocations"], is_wide=wide)
    print_found(found, as_json, drawn, is_wide=wide)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - for people, who live in real time
