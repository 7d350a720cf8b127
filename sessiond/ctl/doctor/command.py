"""The command: what is looked at, in which order, and how it is told."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from sessiond import config as configuration
from sessiond.config import Config, ListenConfig
from sessiond.core.errors import ConfigError
from sessiond.ctl import show
from sessiond.ctl.asking import Target, as_json, print_found
from sessiond.ctl.doctor import files, machine, sockets
from sessiond.ctl.doctor.finding import Finding, Outcome, ok, worst, wrong
from sessiond.ctl.doctor.running import running
from sessiond.system import systemd

DEFAULT = Path("/etc/sessiond/config.toml")  # that the unit names
_COLOURS = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.WRONG: "bold red"}


@click.command()
@as_json
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check the installation, and say what to do.

    The configuration is that of --config, else /etc/sessiond/config.toml. It works while the
    daemon does not run, and as any user: what that user may not look at is said. It ends with 1
    where something is wrong.
    """
    findings = list(examine(context.obj))
    outcome = worst(findings)
    found = {"outcome": outcome.value, "findings": [asdict(each) for each in findings]}
    counts = {each: sum(one.outcome is each for one in findings) for each in Outcome}
    told = ", ".join(f"{count} {each.value}" for each, count in counts.items())
    print_found(found, as_json, _drawn(findings), show.plain(told))
    context.exit(1 if outcome is Outcome.WRONG else os.EX_OK)


def examine(target: Target) -> Iterator[Finding]:
    """Yield what is found, in the order in which one would mend it."""
    path = target.config or DEFAULT
    config, problems = _config(path)
    database = None if config is None else Path(config.store.path).resolve()
    state = machine.unit_state()
    where = files.Where(
        owner=machine.account(state, database),
        credentials=systemd.credentials_directory(os.environ),
    )
    yield from problems
    yield from files.config_file(path, where)
    yield from machine.unit(state)
    listen = ListenConfig() if config is None else config.listen
    if config is not None and database is not None:
        yield from _by_config(config, database, where)
    control = target.named or listen.control
    is_there = sockets.control_socket(control, where)
    yield is_there
    if is_there.outcome is not Outcome.WRONG:
        yield from running(control)


def _by_config(config: Config, database: Path, where: files.Where) -> Iterator[Finding]:
    # Imported here, so that the other commands do not wait for what asks issuers.
    from sessiond.ctl.doctor.issuers import issuers
    from sessiond.ctl.doctor.keys import store_key_fits
    from sessiond.ctl.doctor.readers import readers
    from sessiond.ctl.doctor.web import web

    yield from files.files(config, database, where)
    yield from store_key_fits(config, database, where)
    yield from machine.disk(database)
    yield from issuers(config, where)
    yield from web(config)
    yield from readers(config)
    yield from sockets.q_sockets(config.listen, where)


def _config(path: Path) -> tuple[Config | None, list[Finding]]:
    try:
        config = configuration.load(path)
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None, []  # which is said where the file is looked at
        advice = f"see config.example.toml; sessiond check-config --config {path}"
        return None, [wrong("config", line, advice) for line in str(error).splitlines()]
    return config, [ok("config", f"{path} is valid")]


def _drawn(findings: Sequence[Finding]) -> Table:
    """Return a line for each, folded and never cut, below which is what to do about it."""
    table = Table(box=None, pad_edge=False, show_header=False)
    longest = max(len(each.check) for each in findings)
    table.add_column(width=7)
    table.add_column(width=min(longest, show.console().width // 3), overflow="fold")
    table.add_column(overflow="fold")
    for each in findings:
        outcome = Text(each.outcome.value, style=_COLOURS[each.outcome])
        table.add_row(outcome, show.plain(each.check), show.plain(each.found))
        if each.advice:
            table.add_row("", "", Text("-> ").append(show.plain(each.advice)))
    return table
