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
from sessiond.ctl.short_ids import full_id
from sessiond.ctl.whom import missing, near_names


@click.command()
@click.option(
    "--session",
    metavar="S",
    help="End one session, by its id or how that begins; its token may log in again.",
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
@click.option(
    "--reason", metavar="TEXT", help="Why, for those who read the events; needed to revoke."
)
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option("--anyway", is_flag=True, help="With --yes: also where nobody is known by the name.")
@click.option(
    "--forgive", is_flag=True, help="Lift what was revoked of a --user, an --issuer or --all."
)
@as_json
@asked
def revoke(client: Client, /, as_json: bool, **given: Any) -> None:
    """Take back access, at once and by user, issuer or all lastingly; or forgive.

    A revocation that lasts refuses tokens issued before it, also where no session was ended. So
    where nobody is known by the name, it says who may be meant instead and asks; with --yes it ends
    with 66 and changes nothing, unless --anyway is given.
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
        named_one = next(iter(named.items()), ("all", ""))
        _forgive(client, named_one, given["reason"] or "", as_json)
        return
    if not given["reason"]:
        raise click.UsageError("--reason TEXT is needed: it says why, to those who read the events")
    _agree(client, named, is_agreed=given["yes"], is_wanted_anyway=given["anyway"])
    what: dict[str, Any] = {**named} or {"all": True}
    body = {**what, "reason": given["reason"]}
    with followed(client, is_shown=not as_json):
        found = client.post("/v1/revocations", body)
    print_found(found, as_json, show.plain(f"sessions ended: {found['revoked']}"))


@click.command()
@click.option("--user", metavar="U", required=True, help="The name.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for those who read the events.")
@as_json
@asked
def forget(client: Client, user: str, reason: str, as_json: bool) -> None:
    """Let a user name belong to somebody else: to whoever logs in with it next."""
    try:
        client.delete("v1", "names", user, **_words(reason))
    except ControlError as error:
        if error.code != os.EX_NOINPUT:
            raise
        raise ControlError(f"{error}{near_names(client, user)}", error.code) from error
    print_found({"forgotten": user}, as_json, show.plain(f"{user} belongs to nobody now"))


def check_terminal() -> None:
    """See that there is a terminal to ask on.

    Raises:
        click.UsageError: There is none.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask on, --yes is needed")


def confirm(consequence: str) -> None:
    """Go on only if that is wanted.

    Raises:
        click.UsageError: There is no terminal to ask on.
        click.Abort: It is not wanted.
    """
    check_terminal()
    click.confirm(f"{consequence}. Go on?", abort=True, err=True)


def _agree(
    client: Client, named: dict[str, str], *, is_agreed: bool, is_wanted_anyway: bool
) -> None:
    """See that what is named is there and meant, and put an id in full into `named`.

    Raises:
        click.UsageError: Nobody can be asked, or it names several.
        click.Abort: It is not wanted.
        ControlError: There is nothing of the name.
    """
    if not is_agreed:
        check_terminal()
    if "session" in named:
        named["session"] = full_id(client, named["session"])
    kind, value = next(iter(named.items()), ("all", ""))
    nobody = None if is_wanted_anyway else missing(client, kind, value)
    if nobody is not None and (is_agreed or kind == "issuer"):
        hint = "" if kind == "issuer" else "; --anyway revokes it all the same"
        raise ControlError(f"{nobody}\nnothing is changed{hint}", os.EX_NOINPUT)
    if not is_agreed:
        warning = "" if nobody is None else f"{nobody}.\n"
        confirm(show.plain_lines(f"{warning}{_consequence(client, kind, value)}"))


def _consequence(client: Client, kind: str, value: str) -> str:
    if kind == "session":
        found = client.get(f"/v1/sessions/{value}")
        process = f"{found['process']['name']}:{found['process']['pid']}"
        return f"Ends the session of {found['user']} on {process} ({value})"
    count = len(client.sessions(**({} if kind == "all" else {kind: value})))
    whose = f"{kind} {value}" if value else "all users"
    ends = f"Ends {show.counted(count, 'live session')} ({whose})"
    if kind == "process":
        return ends
    return f"{ends}; tokens issued until now are refused until that is forgiven"


def _words(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _forgive(client: Client, named: tuple[str, str], reason: str, as_json: bool) -> None:
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
        raise ControlError(
            f"no revocation of {whom} is in force\n`sessionctl revocations` has those that are",
            os.EX_NOINPUT,
        )
    for revocation in in_force:
        client.delete("v1", "revocations", revocation, **_words(reason))
    print_found({"forgiven": in_force}, as_json, show.plain(f"{whom} is forgiven"))
