"""How the commands reach the daemon, and how they print what it answers."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from rich.console import RenderableType

from sessiond import config as configuration
from sessiond.config import ListenConfig
from sessiond.ctl import show
from sessiond.ctl.client import Client

P = ParamSpec("P")
R = TypeVar("R")

NAMED_TWICE = "--control and --config name the same thing: give one"

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True, slots=True)
class Target:
    """Which daemon is meant, by the options before the command."""

    control: str | None
    config: Path | None

    def socket(self) -> str:
        """Return its control socket's path; raise ConfigError where the file is wrong."""
        if self.config is not None:
            return configuration.load(self.config).listen.control
        return self.named or ListenConfig().control

    @property
    def named(self) -> str | None:
        """The socket that was named without a configuration."""
        return self.control or (self.config is None and os.environ.get("SESSIOND_CONTROL")) or None


def _take_config(context: click.Context, _: click.Parameter, config: Path | None) -> None:
    if config is None:
        return
    target: Target = context.obj
    if target.control is not None:
        raise click.UsageError(NAMED_TWICE)
    context.obj = Target(None, config)


# Of commands that are about the configuration: people write it there as well as before them.
config_too = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_take_config,
    help="As before the command.",
)


def asked(command: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """Give a command the client of the daemon that is meant; it is closed when that ends."""

    @wraps(command)
    def with_client(*args: P.args, **kwargs: P.kwargs) -> R:
        context = click.get_current_context()
        client = context.with_resource(Client(context.obj.socket()))
        return command(client, *args, **kwargs)

    return with_client


def print_found(found: Any, as_json: bool, *drawn: RenderableType, is_wide: bool = False) -> None:
    """Print an answer for people, or as one line of JSON."""
    if as_json:
        click.echo(json.dumps(found))
        return
    show.say(*drawn, is_wide=is_wide)
