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

Examples = tuple[tuple[str, str], ...]  # what for, and the command

DAEMON_EXAMPLES: Examples = (
    (
        "Set it up for a Keycloak, after a look at what would be written:",
        "sessiond init --issuer https://sso.example.com/realms/trading --dry-run\n"
        "sessiond init --issuer https://sso.example.com/realms/trading",
    ),
    (
        "See whether a file is right, before the daemon is given it:",
        "sessiond check-config --config /etc/sessiond/config.toml",
    ),
    (
        "Run the daemon by hand, in the foreground:",
        "sessiond run --config /etc/sessiond/config.toml",
    ),
    (
        "Make a proof key anew, which q's group reads, and have the daemon take it up:",
        "sessiond keygen | install -m 0640 -o sessiond -g kdb /dev/stdin /etc/sessiond/proof\n"
        "sessionctl reload",
    ),
    (
        "Change the key that seals what the database keeps:",
        "sessiond rekey --new --config /etc/sessiond/config.toml",
    ),
    (
        "See which units would be written, and write them:",
        "sessiond install-units --config /etc/sessiond/config.toml\n"
        "sessiond install-units --config /etc/sessiond/config.toml --apply",
    ),
    ("See it at work on this machine, without an issuer:", "sessiond demo"),
)
TOOL_EXAMPLES: Examples = (
    (
        "See who is logged in on a process, and all of one session by how its id begins:",
        "sessionctl list --process gateway1\nsessionctl show b74f209c",
    ),
    (
        "Take everything from somebody who has left, and see what is in force:",
        "sessionctl revoke --user alice@example.com --reason 'left us'\nsessionctl revocations",
    ),
    (
        "The same in a script; 66 means that nobody is known by this name:",
        'sessionctl revoke --user "$who" --reason "ticket $ticket" --yes',
    ),
    (
        "End one session and no more; whoever holds its token may log in again:",
        "sessionctl revoke --session b74f209c --reason 'wrong desk'",
    ),
    (
        "Let somebody in again with the tokens that he had:",
        "sessionctl revoke --forgive --user alice@example.com --reason 'a mistake'",
    ),
    (
        "Ask why somebody is not let in; the token is asked for, or comes from a file:",
        "sessionctl explain --user alice@example.com\n"
        "sessionctl explain --user alice@example.com < token",
    ),
    (
        "See who revoked what, and why, as far back as events are kept:",
        "sessionctl watch --after 0 | grep operator",
    ),
    (
        "See what another configuration would end, and apply it:",
        "sessionctl reload --dry-run\nsessionctl reload --reason 'partner is gone'",
    ),
    (
        "Count the sessions of each user:",
        "sessionctl list --json | jq -r '.sessions[].user' | sort | uniq -c",
    ),
    (
        "Make the profile by which sessiond-login signs people in:",
        "sessionctl client-profile -o login.toml",
    ),
    ("Have the shell complete what is typed:", 'eval "$(sessionctl completion bash)"'),
)
CONFIG_EXAMPLE = """\
[listen]
allow_users = ["kdb"]

[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]

[issuer.roles]
"kdb.read" = "reader"
"""
_STATUS = (
    "As sysexits.h has it: 0 success, 64 wrong usage, 66 what is asked for is not there, 69 no "
    "daemon, or something else that is needed is not there, 70 an error inside, 73 a socket or the "
    "database is in use, 74 standard output cannot be written, 75 try again, 77 not permitted, 78 "
    "a wrong configuration; 130 interrupted, or answered with no; 141 whoever read the output has "
    "left."
)
_DAEMON_END = f"""
.SH EXIT STATUS
{_STATUS}
Exit status 75 is for a user or group that is not found now, and for
.B rekey
that needs something done first.
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
_TOOL_END = f"""
.SH ENVIRONMENT
.TP
.B SESSIOND_CONTROL
The control socket, where neither \\-\\-control nor \\-\\-config names it.
.TP
.B NO_COLOR
Set to anything: no colours. There are none where standard output is no terminal, either.
.SH EXIT STATUS
{_STATUS}
.B doctor
ends with 1 where something is wrong,
.B explain
and
.B test
with 77 where the login would be refused,
.B revoke
with 66 where nobody is known by the name.
.SH FILES
.TP
.I /run/sessiond/control.sock
The control socket, where none is named.
.TP
.I /etc/sessiond/config.toml
What
.B doctor
looks at, where no file is named.
.SH SEE ALSO
.BR sessiond (8),
.BR sessiond\\-config (5)
"""
_CONFIG_END = """
.SH FILES
.TP
.I /etc/sessiond/config.toml
The configuration that the systemd unit names.
.TP
.I /usr/share/doc/sessiond/examples/config.example.toml
Every key with its default, as above, where the Debian package is installed.
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
        "sessiond.8": _page("sessiond", 8, sessiond, DAEMON_EXAMPLES, _DAEMON_END),
        "sessionctl.1": _page("sessionctl", 1, sessionctl, TOOL_EXAMPLES, _TOOL_END),
        "sessiond-config.5": _config_page(example),
    }


def _page(name: str, section: int, group: click.Group, examples: Examples, end: str) -> str:
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
    return "\n".join([*lines, ".SH EXAMPLES", *_shown(examples)]) + end


def _shown(examples: Examples) -> Iterator[str]:
    for what, commands in examples:
        yield from (".PP", _escaped(what), *_verbatim(commands))


def _verbatim(text: str) -> Iterator[str]:
    yield from (".PP", ".RS 4", ".nf", *map(_escaped, text.splitlines()), ".fi", ".RE")


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
            if command.invoke_without_command:
                yield command, inner
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
    lines += [".SH EXAMPLES", "The least that a daemon for one issuer needs:"]
    return "\n".join([*lines, *_verbatim(CONFIG_EXAMPLE)]) + _CONFIG_END


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
