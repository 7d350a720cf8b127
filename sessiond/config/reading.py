"""From the file's text to structs: unknown keys, missing keys and wrong types, each by its name."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from sessiond.config.access_tables import GrantConfig, ProcessConfig
from sessiond.config.checks import problems_of
from sessiond.config.entra import completed as completed_issuer
from sessiond.config.source_tables import SourceConfig
from sessiond.config.tables import (
    Config,
    IssuerConfig,
    RoleSourceConfig,
    SubscriberConfig,
)
from sessiond.config.web_checks import completed as completed_web
from sessiond.config.web_tables import WebClientConfig
from sessiond.core.errors import ConfigError
from sessiond.core.spelling import nearest, unknown

MAX_SHOWN = 80  # characters of a wrong value


def _struct(kind: Any) -> type[msgspec.Struct]:
    """Return a table's struct, which a table that may be missing has beside None."""
    found: type[msgspec.Struct] = get_args(kind)[0] if get_args(kind) else kind
    return found


_TABLES: dict[str, type[msgspec.Struct]] = {
    field.name: _struct(field.type)
    for field in msgspec.structs.fields(Config)
    if field.name not in ("issuers", "subscribers", "role_sources", "sources", "digest")
}
_EVERY_TABLE: dict[str, type[msgspec.Struct]] = {
    **_TABLES,
    "issuer": IssuerConfig,
    "subscriber": SubscriberConfig,
    "role_source": RoleSourceConfig,
    "source": SourceConfig,
}
_WITHIN: dict[str, type[msgspec.Struct]] = {  # tables in a table, by their full name
    "access.grant": GrantConfig,
    "access.process": ProcessConfig,
    "issuer.web": WebClientConfig,
}
_NAMED_BY = {  # by the first of these keys that a table has
    "issuer": ("name",),
    "subscriber": ("name", "plugin"),
    "role_source": ("name", "plugin"),
    "source": ("name",),
}
_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got ")
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "a table",
    "int | str": "a string or an integer",
}
_TOML_TYPES = (
    (bool, "a boolean"),  # before int: Python's True is one
    (str, "a string"),
    (int, "an integer"),
    (float, "a number"),
    (list, "an array"),
    (dict, "a table"),
)
_MISSING = {
    "name": "what logs, roles and sessions call this issuer",
    "issuer": "the exact `iss` of its tokens",
    "verify": "jwt, introspection, userinfo or plugin",
    "plugin": "the name of a sessiond.{kind}s entry point",
    "client_id": "the client that browsers sign in with",
    "users": "shell patterns on names",
    "roles": "the roles that they are given",
    "source.name": "what those who ask for its token call it",
    "source.client_id": "the client that gets the token",
}


def load(path: Path) -> Config:
    """Return what the file says.

    Raises:
        ConfigError: The file cannot be read or is wrong; one line for each problem found, each
            with the key's full name.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}, wanted the configuration: name a file that is "
            "there, and that this user may read (--config)"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8: byte {error.start}, wanted plain text: save it as UTF-8"
        ) from error
    return read(text, name=str(path))


def read(text: str, *, name: str = "the text") -> Config:
    """Return what the text of a configuration file of this name says. Raises as `load`.

    What is read is what its digest is of: a file that is written meanwhile cannot come between.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # its text has the line
        raise ConfigError(
            f"{name} is not TOML: {error}, wanted TOML 1.0: mend that line (toml.io)"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, arrays 1000 deep
        raise ConfigError(
            f"{name} is not TOML: {type(error).__name__}, wanted TOML 1.0 of some lines: see "
            "config.example.toml"
        ) from error
    problems = list(_problems_of_shape(document))
    if problems:
        raise ConfigError("\n".join(problems))
    config = _built(document, sha256(text.encode()).hexdigest())
    problems = list(problems_of(config))
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _built(document: Mapping[str, Any], digest: str) -> Config:
    """Return the structs of a document whose shape is right."""
    tables = {name: table for name, table in document.items() if name in _TABLES}
    as_written = msgspec.convert(
        {
            **tables,
            "issuers": document["issuer"],
            "subscribers": [
                _with_settings(table, SubscriberConfig) for table in document.get("subscriber", [])
            ],
            "role_sources": [
                _with_settings(table, RoleSourceConfig) for table in document.get("role_source", [])
            ],
            "sources": document.get("source", []),
            "digest": digest,
        },
        Config,
    )
    issuers = tuple(
        completed_issuer(issuer, given=table.keys())
        for issuer, table in zip(as_written.issuers, document["issuer"], strict=True)
    )
    return msgspec.structs.replace(as_written, issuers=issuers, web=completed_web(as_written.web))


def _with_settings(table: Mapping[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a plugin's table with its own keys apart, and with a name, where it has one."""
    ours = _keys_beside_settings(struct)
    named = {"name": table["plugin"]} if "name" in ours else {}
    own = {key: value for key, value in table.items() if key in ours}
    settings = {key: value for key, value in table.items() if key not in ours}
    return {**named, **own, "settings": settings}


def _keys_beside_settings(struct: type[msgspec.Struct]) -> list[str]:
    return [key for key in _keys(struct) if key != "settings"]


def _problems_of_shape(document: Mapping[str, Any]) -> Iterator[str]:
    """Find every key that is unknown, missing, of a wrong type or out of its own range."""
    for key in document:
        if key not in _EVERY_TABLE:
            yield _unknown(key, within="")
    for name, struct in _TABLES.items():
        table = document.get(name, {})
        if isinstance(table, dict):
            yield from _problems_of_table(table, struct, where=name, kind=name)
        else:
            yield f"{name} is {_word(table)}, must be a table: [{name}]"
    if document.get("issuer", []) == []:
        yield "issuer is missing: there must be at least one [[issuer]]"
    for kind, naming in _NAMED_BY.items():
        tables = document.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            yield f"{kind} is {_word(tables)}, must be an array of tables: [[{kind}]]"
            continue
        for number, table in enumerate(tables, start=1):
            called = next((table[key] for key in naming if key in table), None)
            shown = _key(called) if called and isinstance(called, str) else f"#{number}"
            where = f"{kind}[{shown}]"
            yield from _problems_of_table(table, _EVERY_TABLE[kind], where=where, kind=kind)


def _problems_of_table(
    table: Mapping[str, Any], struct: type[msgspec.Struct], *, where: str, kind: str
) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    if struct in (SubscriberConfig, RoleSourceConfig):  # its other keys are the plugin's
        fields = {key: fields[key] for key in _keys_beside_settings(struct)}
        table = {key: table[key] for key in fields if key in table}
    for key, value in table.items():
        if key in fields:
            named = f"{kind}.{key}"
            yield from _problems_of_value(value, fields[key].type, f"{where}.{key}", named)
        else:
            yield _unknown(key, within=kind, where=where)
    for key, field in fields.items():
        if field.required and key not in table:
            wanted = _MISSING.get(f"{kind}.{key}", _MISSING.get(key, ""))
            yield f"{where}.{key} is missing, must be {wanted.format(kind=kind)}"


def _problems_of_value(value: object, kind: object, where: str, named: str) -> Iterator[str]:
    """Find what is wrong with one key's value, as its type in the struct says.

    Args:
        value: As the document has it.
        kind: Its type.
        where: Its full name with the table's own name in it, for messages.
        named: Its full name as all such tables have it.
    """
    if isinstance(value, dict) and get_origin(kind) is dict:
        of_key, of_value = get_args(kind)
        for name, inner in value.items():
            yield from _problem(name, of_key, f"a key of {where}")
            yield from _problem(inner, of_value, f"{where}.{_key(name)}")
    elif named in _WITHIN and get_origin(kind) is tuple:
        yield from _problems_of_tables(value, where)
    elif named in _WITHIN:
        if isinstance(value, dict):
            yield from _problems_of_table(value, _WITHIN[named], where=where, kind=named)
        else:
            yield f"{where} is {_word(value)}, must be a table: [{named}]"
    elif isinstance(value, list) and get_origin(kind) is tuple:
        of_items = get_args(kind)[0]
        for number, inner in enumerate(value, start=1):
            yield from _problem(inner, of_items, f"{where}[{number}]")
    else:
        yield from _problem(value, kind, where)


def _problems_of_tables(value: object, where: str) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        yield f"{where} is {_word(value)}, must be an array of tables: [[{where}]]"
        return
    for number, table in enumerate(value, start=1):
        yield from _problems_of_table(table, _WITHIN[where], where=f"{where}[{number}]", kind=where)


def _problem(value: object, kind: object, where: str) -> Iterator[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        wrong_type = _WRONG_TYPE.match(str(error))
        if wrong_type:
            yield f"{where} is {_word(value)}, must be {_WORDS[wrong_type[1]]}"
        elif where.endswith("_file") or "://" in str(value):  # there may be a secret in it
            yield f"{where} is wrong, must be {_must(kind)}"
        else:
            yield f"{where} is {_shown(value)}, must be {_must(kind)}"


def _must(kind: object) -> str:
    """Return the words for the values a type allows, from its own description."""
    if get_origin(kind) is Literal:
        *most, last = [str(choice) for choice in get_args(kind)]
        return f"{', '.join(most)} or {last}"
    if get_origin(kind) is not Annotated:  # a union: its first member speaks for it
        return _must(get_args(kind)[0])
    return str(get_args(kind)[1].description)


def _unknown(key: str, *, within: str, where: str = "") -> str:
    """Name a key that does not exist and the one that was probably meant."""
    full = f"{where}.{_key(key)}" if where else _key(key)
    siblings = _keys((_EVERY_TABLE | _WITHIN)[within]) if within else list(_EVERY_TABLE)
    near = nearest(key, siblings)
    if near is not None:
        return unknown(full, f"{where}.{near}" if where else near)
    elsewhere = (name for name, struct in (_EVERY_TABLE | _WITHIN).items() if key in _keys(struct))
    there = next(elsewhere, None)
    return unknown(full, None if there is None else f"{there}.{key}")


def _keys(struct: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(struct)]


def _key(key: str) -> str:
    """Return a key fit for one line of a message."""
    return (key if key.isprintable() else ascii(key))[:MAX_SHOWN]


def _word(value: object) -> str:
    """Return TOML's word for a value's type."""
    for kind, word in _TOML_TYPES:
        if isinstance(value, kind):
            return word
    return "a date or time"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
