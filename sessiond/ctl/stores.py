"""The token stores: what is kept in them, who holds a lock, and what is dropped."""

from collections.abc import Iterable, Mapping, Sequence
from pwd import getpwuid
from typing import Any

import click
from rich.console import RenderableType

from sessiond.ctl import show
from sessiond.ctl.asking import as_json, asked, print_found
from sessiond.ctl.client import Client
from sessiond.ctl.revoking import confirm
from sessiond.terminal import HelpfulGroup


@click.group(cls=HelpfulGroup, invoke_without_command=True)
@as_json
@click.pass_context
def stores(context: click.Context, as_json: bool) -> None:
    """Show what is kept in the token stores, never a value, and who holds a lock."""
    if context.invoked_subcommand is None:
        _listed(as_json=as_json)


@asked
def _listed(client: Client, /, *, as_json: bool) -> None:
    found = client.stores()
    print_found({"stores": found}, as_json, *stores_of(found))


@stores.command()
@click.argument("context")
@click.option("--yes", is_flag=True, help="Do not ask, where there is no terminal to ask at.")
@as_json
@asked
def drop(client: Client, /, context: str, yes: bool, as_json: bool) -> None:
    """Break a context's locks and remove its values, for good."""
    if not yes:
        confirm(f"Breaks the locks of {show.plain(context)} and removes its values, for good")
    found = client.delete("v1", "stores", context=context)
    values, locks = show.counted(found["values"], "value"), show.counted(found["locks"], "lock")
    print_found(found, as_json, show.plain(f"dropped {values} and {locks}"))


def stores_of(contexts: Sequence[Mapping[str, Any]]) -> Iterable[RenderableType]:
    """Yield the values, and the locks that are held, if there are any."""
    if not contexts:
        yield show.plain("nothing is kept, and no lock is held; without [stores] nothing can be")
        return
    yield show.table_of(
        ("CONTEXT", "OWNER", "NAME", "BYTES", "WRITTEN"),
        (
            (
                each["context"],
                _user(each["owner"]),
                value["name"],
                value["size"],
                show.moment(value["written_at"]),
            )
            for each in contexts
            for value in each["values"]
        ),
    )
    if any(each["locks"] for each in contexts):
        yield show.table_of(
            ("LOCKED CONTEXT", "NAME", "BY", "PID", "SINCE", "IDLE", "WAITING"),
            (
                (
                    each["context"],
                    lock["name"],
                    _user(lock["uid"]),
                    lock["pid"],
                    show.moment(lock["since"]),
                    f"{lock['idle']:.1f} s",
                    lock["waiting"],
                )
                for each in contexts
                for lock in each["locks"]
            ),
        )


def _user(uid: int | None) -> str:
    """Return a user's name, or his number where this machine has none for it."""
    if uid is None:
        return "-"
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
