"""The subscribers: how each stands, and what becomes of the events that it would not take."""

import click

from sessiond.ctl import show
from sessiond.ctl.asking import as_json, asked, print_found
from sessiond.ctl.client import Client, path_of
from sessiond.ctl.completion import subscribers as names
from sessiond.ctl.revoking import confirm


@click.command()
@click.option(
    "--retry", metavar="NAME", shell_complete=names, help="Give it its set-aside events again."
)
@click.option(
    "--drop", metavar="NAME", shell_complete=names, help="Give its set-aside events up for good."
)
@click.option("--forget", metavar="NAME", help="Forget the place of one not configured any more.")
@click.option("--yes", is_flag=True, help="Do not ask, where there is no terminal to ask at.")
@as_json
@asked
def subscribers(
    client: Client,
    /,
    retry: str | None,
    drop: str | None,
    forget: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Show how each subscriber stands, or decide about the events that it set aside."""
    if [retry, drop, forget].count(None) < 2:
        raise click.UsageError("--retry, --drop and --forget are three answers: give one")
    if retry is not None:
        found = client.post(path_of("v1", "subscribers", retry, "retry"))
        print_found(found, as_json, show.plain(f"events sent once more: {found['events']}"))
        return
    if drop is not None:
        if not yes:
            confirm(f"Gives up the events that {show.plain(drop)} set aside, for good")
        found = client.delete("v1", "subscribers", drop, "set-aside")
        print_found(found, as_json, show.plain(f"events given up: {found['events']}"))
        return
    if forget is not None:
        if not yes:
            confirm(f"Forgets the place of {show.plain(forget)}, and the events that it set aside")
        client.delete("v1", "subscribers", forget)
        print_found({"forgotten": forget}, as_json, show.plain(f"{forget} is forgotten"))
        return
    found = client.get("/v1/subscribers")
    print_found(
        found,
        as_json,
        *show.subscribers_of(found["subscribers"]),
        *show.former_of(found["former"]),
    )
