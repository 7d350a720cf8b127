"""Keys as people read them in a TOML file: each with a line of why."""

import json
from collections.abc import Iterable, Iterator
from textwrap import wrap

from sessiond.core.errors import ConfigError
from sessiond.core.printable import escaped
from sessiond.init.vendors import Key, Value

WIDTH = 80  # characters of a line


def lines_of(keys: Iterable[Key]) -> Iterator[str]:
    """Yield each key below the line of why.

    Raises:
        ConfigError: A value is no text.
    """
    for key in keys:
        yield from comment(key.why)
        yield f"{key.name} = {toml(key.value)}"


def comment(text: str) -> Iterator[str]:
    """Yield a text as lines that TOML passes over."""
    yield from wrap(
        text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


def toml(value: Value) -> str:
    """Return a value as TOML, whose strings are JSON's, but without pairs of surrogates."""
    match value:
        case tuple():
            return f"[{', '.join(map(toml, value))}]"
        case bool():
            return json.dumps(value)
        case str():
            if any("\ud800" <= each <= "\udfff" for each in value):  # of an option
                raise ConfigError(f"{escaped(value)} is an answer, wanted UTF-8 text: type it anew")
            return "".join(map(_shown, json.dumps(value, ensure_ascii=False)))


def _shown(character: str) -> str:
    """Return it as it is, or as TOML spells what would do things to a terminal."""
    return character if character.isprintable() else f"\\U{ord(character):08x}"
