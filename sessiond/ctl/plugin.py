"""`sessionctl plugin new`: a plugin to begin with that works, is typed, tested and installable."""

import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from shlex import quote
from string import Template

import click

from sessiond.ctl import show
from sessiond.ctl.asking import as_json, print_found
from sessiond.terminal import HelpfulGroup

SUFFIX = ".in"  # of a template's file: no tool takes it for what it is to become
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_NAME = 40
_GROUPS = {
    "subscriber": "sessiond.subscribers",
    "verifier": "sessiond.verifiers",
    "role-source": "sessiond.role_sources",
}


@click.group(cls=HelpfulGroup)
def plugin() -> None:
    """Make plugins."""


@plugin.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(_GROUPS)),
    default="subscriber",
    show_default=True,
    help="What it is to be.",
)
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where its own directory is made; else here.",
)
@as_json
def new(name: str, kind: str, directory: Path, as_json: bool) -> None:
    """Make a plugin to begin with: a distribution sessiond-NAME that works and is tested.

    NAME is what the configuration calls it: lower-case letters, digits and single hyphens.
    """
    name = name.removeprefix("sessiond-")
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise click.UsageError(
            "NAME is lower-case letters, digits and single hyphens, begins with a letter, and "
            f"has at most {_MAX_NAME} characters"
        )
    words = _words(name, kind)
    target = directory / words["distribution"]
    if target.exists():
        raise click.UsageError(f"{target} is there already: name another, or remove it")
    try:
        made = [_write(target, path, text) for path, text in sorted(_files(words))]
    except OSError as error:
        raise click.UsageError(f"{target} cannot be made: {error.strerror}") from error
    told = [*map(str, made), f"next: {next_step(target)}"]
    found = {"plugin": name, "kind": kind, "directory": str(target), "files": list(map(str, made))}
    print_found(found, as_json, *map(show.plain, told))


def next_step(target: Path) -> str:
    """Return the command that installs a new plugin and runs its tests.

    It goes where sessiond is, which no package index has. Where that is the daemon's own
    installation, which nobody but root should write, an environment is made that sees it.
    """
    go, install = f"cd {quote(str(target))}", "-m pip install -e '.[dev]'"
    python = _own_python(target)
    if sys.prefix != sys.base_prefix and os.access(sysconfig.get_path("purelib"), os.W_OK):
        return f"{go} && {python} {install} && {python} -m pytest"
    seen = quote(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})")
    packages = f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    return (
        f"{go} && {python} -m venv .venv && echo {seen} > {packages}/sessiond.pth"
        f" && .venv/bin/python {install} && .venv/bin/python -m pytest"
    )


def _own_python(target: Path) -> str:
    """Return the Python that sessiond is installed for, as it is called from the new plugin."""
    prefix = Path(sys.prefix)
    if prefix.is_relative_to(Path.cwd()):
        prefix = Path(os.path.relpath(prefix, target))
    return quote(str(prefix / "bin" / "python"))


def _words(name: str, kind: str) -> dict[str, str]:
    distribution = f"sessiond-{name}"
    return {
        "name": name,
        "kind": kind,
        "group": _GROUPS[kind],
        "function": kind.replace("-", "_"),
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
    }


def _files(words: dict[str, str]) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield each file of the plugin: where it is in its directory, and what it holds."""
    templates = resources.files("sessiond.ctl").joinpath("template")
    for kind in ("common", words["kind"]):
        for path, template in _below(templates.joinpath(kind), PurePosixPath()):
            text = Template(template.read_text(encoding="utf-8")).substitute(words)
            yield _named(path, words["module"]), text


def _below(folder: Traversable, at: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _below(each, at / each.name)
        elif each.name.endswith(SUFFIX):
            yield at / each.name.removesuffix(SUFFIX), each


def _named(path: PurePosixPath, module: str) -> PurePosixPath:
    if path.name == "gitignore":
        return path.with_name(".gitignore")
    return PurePosixPath(*(module if part == "module" else part for part in path.parts))


def _write(target: Path, path: PurePosixPath, text: str) -> Path:
    file = target / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
