"""Having the daemon read its configuration again: what would end is said before it does."""

import os
from typing import Any

import click

from sessiond.ctl import show
from sessiond.ctl.asking import as_json, asked, print_found
from sessiond.ctl.client import Client, ControlError
from sessiond.ctl.revoking import confirm

PATH = "/v1/reload"


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what it would come to.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for those who read the events.")
@click.option("--yes", is_flag=True, help="Do not ask, also where sessions would end.")
@as_json
@asked
def reload(client: Client, dry_run: bool, reason: str, yes: bool, as_json: bool) -> None:
    """Apply the configuration file anew, whole or not at all.

    A file that is wrong changes nothing: what is wrong with it is said, and the code is 78. Where
    sessions would end, since their issuer is gone or has changed so, it asks first.
    """
    found = client.post(PATH, {"dry_run": True})
    _refuse(found, as_json)
    ending = sum(found["would_end"].values())
    if not dry_run:
        if ending and not yes:
            confirm(f"Ends {show.counted(ending, 'live session')} ({_by_issuer(found)})")
        found = client.post(PATH, {"dry_run": False, "reason": reason})
        _refuse(found, as_json)
    print_found(found, as_json, *map(show.plain, _told(found)))


def _refuse(found: dict[str, Any], as_json: bool) -> None:
    """Say what is wrong with the file.

    Raises:
        ControlError: Something is.
    """
    if not found["errors"]:
        return
    if as_json:
        print_found(found, as_json)
    problems = "\n".join(found["errors"])
    raise ControlError(
        f"{problems}\nnothing is changed: mend the file, and try again", os.EX_CONFIG
    )


def _told(found: dict[str, Any]) -> list[str]:
    if found["applied"]:
        told = [f"applied; {show.counted(found['ended'], 'session')} ended"]
    elif found["would_end"]:
        told = [f"the file is good; it would end {_by_issuer(found)}"]
    else:
        told = ["the file is good; it would end no session"]
    if found["needs_restart"]:
        keys = ", ".join(found["needs_restart"])
        told.append(f"counts from the next start on: {keys}; systemctl restart sessiond")
    return told


def _by_issuer(found: dict[str, Any]) -> str:
    ends = sorted(found["would_end"].items())
    return ", ".join(
        f"{show.counted(count, 'session')} of issuer {name}" for name, count in ends if count
    )
