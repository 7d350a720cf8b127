"""Shell completion: the script for each shell, and the names that the daemon knows.

Names of processes, issuers, subscribers and sources are looked up when TAB is pressed, in the time
that nobody notices; user names are not, since a shell's history and screen are no place for them.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from sessiond.core.errors import SessiondError
from sessiond.ctl.asking import Target
from sessiond.ctl.client import Client

WITHIN = 1.0  # seconds
SHELLS = ("bash", "zsh", "fish")
_HARMLESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]*")  # a process may call itself anything


def processes(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Return the names of processes: of the first page, to be quick."""
    page = _asked(context, "/v1/processes?limit=1000").get("processes", [])
    return _fitting((each["name"] for each in page), begun)


def issuers(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Return the issuers' names."""
    found = _asked(context, "/v1/status").get("issuers", [])
    return _fitting((each["name"] for each in found), begun)


def subscribers(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Return the subscribers' names."""
    found = _asked(context, "/v1/status").get("subscribers", [])
    return _fitting((each["name"] for each in found), begun)


def sources(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Return the data sources' names."""
    found = _asked(context, "/v1/sources").get("sources", [])
    return _fitting((each["name"] for each in found), begun)


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell, to be put where that shell looks for it.

    bash: /etc/bash_completion.d/sessionctl; zsh: _sessionctl in a directory of $fpath; fish:
    ~/.config/fish/completions/sessionctl.fish.
    """
    made_for = get_completion_class(shell)
    if made_for is None:
        raise click.UsageError(f"click has no completion for {shell}")
    root = context.find_root()
    name = root.info_name or "sessionctl"
    script = made_for(root.command, {}, name, f"_{name}_COMPLETE".replace("-", "_").upper())
    click.echo(script.source())


def _asked(context: click.Context, path: str) -> dict[str, Any]:
    """Return an answer of the daemon that the line names so far, or nothing."""
    given = context.find_root().params
    config = given.get("config")
    try:
        socket = Target(given.get("control"), None if config is None else Path(config)).socket()
        with Client(socket, timeout=WITHIN) as client:
            found: dict[str, Any] = client.get(path)
            return found
    except SessiondError:
        return {}


def _fitting(names: Iterable[str], begun: str) -> list[str]:
    fit = {each for each in names if each.startswith(begun) and _HARMLESS.fullmatch(each)}
    return sorted(fit)
