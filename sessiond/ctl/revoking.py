"""Taking back, forgiving and forgetting: what cannot be undone is asked about first."""

import os
import sys
from typing import Any

import click

from sessiond.ctl import show
from sessiond.ctl.asking import as_json, asked, print_found
from sessiond.ctl.client import Client, ControlError
from sessiond.ctl.completion import issuers, processes
from sessiond.ctl.progress import followed


@click.command()
@click.option(
    "--session", metavar="S", type=click.UUID, help="End one session; its token may log in again."
)
@click.option("--user", metavar="U", help="End a user's sessions; refuse tokens issued until now.")
@click.option(
    "--process",
    metavar="NAME[:PID]",
    shell_complete=processes,
    help="End the sessions on a process.",
)
@click.option("--issuer", metavar="I", shell_complete=issuers, help="As --user, for an issuer.")
@click.option("--all", "everybody", is_flag=True, help="As --user, for everybody.")
@click.option("--reason", metavar="TEXT", help="Why, for those who read the log; needed to revoke.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option(
    "--forgive", is_flag=True, help="Lift what was revoked of a --user, an --issuer or --all."
)
@as_json
@asked
def revoke(client: Client, /, as_json: bool, **given: Any) -> None:
    """Take back access, at once and by user, issuer or all lastingly; or forgive.

    A revocation that lasts refuses tokens issued before it, also where no session was ended.
    """
    named = {
        name: str(given[name])
        for name in ("session", "user", "process", "issuer")
        if given[name] is not None
    }
    if len(named) + given["everybody"] != 1:
        raise click.UsageError("name exactly one of --session, --user, --process, --issuer, --all")
    if given["forgive"]:
        if {"session", "process"} & named.keys():
            raise click.UsageError("--forgive goes with --user, --issuer or --all: those last")
        _forgive(client, next(iter(named.items()), ("all", "")), as_json)
        return
    if not given["reason"]:
        raise click.UsageError("--reason TEXT is needed: it says why, to those who read the log")
    if not given["yes"]:
        confirm(_consequence(client, named))
    what: dict[str, Any] = {**named} or {"all": True}
    body = {**what, "reason": given["reason"]}
    with followed(client, is_shown=not as_json):
        found = client.post("/v1/revocations", body)
    print_found(found, as_json, show.plain(f"sessions ended: {found['revoked']}"))


@click.command()
@click.option("--user", metavar="U", required=True, help="The name.")
@as_json
@asked
def forget(client: Client, user: str, as_json: bool) -> None:
    """Let a user name belong to somebody else: to whoever logs in with it next."""
    client.delete("v1", "names", user)
    print_found({"forgotten": user}, as_json, show.plain(f"{user} belongs to nobody now"))


def confirm(consequence: str) -> None:
    """Go on only if that is wanted.

    Raises:
        click.UsageError: There is no terminal to ask on.
        click.Abort: It is not wanted.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask on, --yes is needed")
    click.confirm(f"{consequence}. Go on?", abort=True, err=True)


def _consequence(client: Client, named: dict[str, str]) -> str:
    if not sys.stdin.isatty():  # nobody reads it
        return ""
    if "session" in named:
        count = 1 if client.get(f"/v1/sessions/{named['session']}") else 0
    else:
        count = len(client.sessions(**named))
    whose = show.plain(" ".join(next(iter(named.items()), ("all", "users"))))
    if {"session", "process"} & named.keys():
        return f"Ends {count} live sessions ({whose})"
    lasts = "tokens issued until now are refused until that is forgiven"
    return f"Ends {count} live sessions ({whose}); {lasts}"


def _forgive(client: Client, named: tuple[str, str], as_json: bool) -> None:
    scope, value = named
    whom = value or "everybody"
    if scope == "user":
        value = value.lower()  # as names are compared
    in_force = [
        each["id"]
        for each in client.get("/v1/revocations")["revocations"]
        if (each["scope"], each["value"]) == (scope, value)
    ]
    if not in_force:
        raise ControlError(f"no revocation of {whom} is in force", os.EX_NOINPUT)
    for revocation in in_force:
        client.delete("v1", "revocations", revocation)
    print_found({"forgiven": in_force}, as_json, show.plain(f"{whom} is forgiven"))
