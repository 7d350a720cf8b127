"""The manual pages, made from the commands themselves and from the example configuration.

`python -m sessiond.ctl.man DIRECTORY --example config.example.toml` writes them anew.
"""

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from sessiond import __version__
from sessiond.cli import main as sessiond
from sessiond.ctl.commands import main as sessionctl

_DAEMON_END = """
.SH EXIT STATUS
As sysexits.h has it: 0 success, 64 wrong usage, 69 something needed is not there, 70 an error
inside, 73 a socket or the database is in use, 75 try again (a user or group is not found now, or
rekey needs something done first), 78 a wrong configuration; 130 interrupted.
.SH FILES
.TP
.I /etc/sessiond/config.toml
The configuration that the systemd unit names.
.TP
.I /run/sessiond/control.sock
The control socket.
.TP
.I /var/lib/sessiond/sessiond.db
The database.
.SH SEE ALSO
.BR sessionctl (1),
.BR sessiond\\-config (5)
"""
_TOOL_END = """
.SH ENVIRONMENT
.TP
.B SESSIOND_CONTROL
The control socket, where neither \\-\\-control nor \\-\\-config names it.
.TP
.B NO_COLOR
Set to anything: no colours. There are none where standard output is no terminal, either.
.SH EXIT STATUS
As sysexits.h has it: 0 success, 64 wrong usage, 66 what is asked for is not there, 69 no daemon,
70 an error inside, 77 not permitted, 78 a wrong configuration; 130 interrupted, or answered with
no.
.B doctor
ends with 1 where something is wrong.
.SH SEE ALSO
.BR sessiond (8),
.BR sessiond\\-config (5)
"""
_CONFIG_END = """
.SH SEE ALSO
.BR sessiond (8),
.BR sessionctl (1)
"""
_KEY = re.compile(r"(?:# )?([\"\w.]+) += (.*?) *(?:# (?P<why>.*))?")
_TABLE = re.compile(r"(?:# )?(?P<table>\[\[?[\w.]+\]\]?) *(?:# (?P<why>.*))?")


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--example", required=True, type=click.Path(path_type=Path, exists=True))
def main(directory: Path, example: Path) -> None:
    """Write every page into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages(example.read_text(encoding="utf-8")).items():
        (directory / name).write_text(text, encoding="utf-8")
        click.echo(directory / name)


def pages(example: str) -> dict[str, str]:
    """Return each page's roff by its file's name."""
    return {
        "sessiond.8": _page("sessiond", 8, sessiond, _DAEMON_END),
        "sessionctl.1": _page("sessionctl", 1, sessionctl, _TOOL_END),
        "sessiond-config.5": _config_page(example),
    }


def _page(name: str, section: int, group: click.Group, end: str) -> str:
    context = click.Context(group, info_name=name, **group.context_settings)
    summary, *rest = _paragraphs(group)
    lines = [
        *_head(name, section, summary),
        ".SH SYNOPSIS",
        f".B {_escaped(name)}",
        _escaped(" ".join(group.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_text([summary, *rest]),
        ".SH OPTIONS",
        *_options(group, context),
        ".SH COMMANDS",
    ]
    for command, inner in _commands(group, context):
        usage = " ".join([inner.command_path, *command.collect_usage_pieces(inner)])
        lines += [f".SS {_escaped(usage)}", *_text(_paragraphs(command))]
        lines += _options(command, inner)
    return "\n".join(lines) + end


def _commands(
    group: click.Group, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield each command, those of groups in groups too, in the order of their names."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield command, inner


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and not (context.parent and "--help" in record[0]):
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(record[1]))


def _config_page(example: str) -> str:
    lines = _head("sessiond-config", 5, "the configuration of sessiond")
    lines.append(".SH DESCRIPTION")
    before, _, tables = example.partition("\n\n[")
    about = " ".join(line.lstrip("# ") for line in before.splitlines())
    lines += [_escaped(about), ".SH TABLES"]
    for line in f"[{tables}".splitlines():
        table, key = _TABLE.fullmatch(line), _KEY.fullmatch(line)
        if table is not None:
            lines += [f".SS {_escaped(table['table'])}"]
            lines += [_escaped(table["why"])] if table["why"] else []
        elif key is not None:
            lines += [".TP", f"\\fB{_escaped(key[1])}\\fR = {_escaped(key[2])}"]
            lines.append(_escaped(key["why"] or "An example."))
        elif line.lstrip("# "):
            lines.append(_escaped(line.lstrip("# ")))
    return "\n".join(lines) + _CONFIG_END


def _head(name: str, section: int, summary: str) -> list[str]:
    return [
        '.\\" Made by `python -m sessiond.ctl.man`: change the commands instead.',
        f'.TH {_escaped(name.upper())} {section} "" "sessiond {__version__}" "sessiond"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(summary.rstrip('.'))}",
    ]


def _paragraphs(command: click.Command) -> list[str]:
    text = cleandoc(command.help or "")
    return [" ".join(each.split()) for each in text.split("\n\n")]


def _text(paragraphs: list[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from (".PP", _escaped(paragraph))


def _escaped(text: str) -> str:
    """Return text of which roff takes nothing for a request of its own."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    main()
