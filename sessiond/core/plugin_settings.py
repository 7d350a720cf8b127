"""A plugin's settings as a typed struct, every wrong key named."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from sessiond.core.errors import ConfigError
from sessiond.core.spelling import nearest, unknown

S = TypeVar("S", bound=msgspec.Struct)


class SettingsError(ConfigError):
    """A plugin does not accept its settings: refuse to start, naming the keys."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems  # each begins with the key


def settings_of(kind: type[S], keys: Mapping[str, Any]) -> S:
    """Return the settings that an entry point was called with, as the plugin's own struct.

    Types are strict: no number becomes text. Dates and times may have come as text (RFC 3339).
    A plugin that raises `ValueError` in `__post_init__` has its text shown.

    Raises:
        SettingsError: A key is unknown, missing or wrong. Its value is never shown: it may be
            a secret in the wrong place.
    """
    problems = list(_problems_of(kind, keys))
    if problems:
        raise SettingsError(*problems)
    try:
        return msgspec.convert(dict(keys), kind)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error


def _problems_of(kind: type[msgspec.Struct], keys: Mapping[str, Any]) -> Iterator[str]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in keys:
        if key not in fields:
            yield unknown(key, nearest(key, fields))
    for key, field in fields.items():
        if key in keys:
            try:
                msgspec.convert(keys[key], field.type)
            except msgspec.ValidationError as error:
                yield f"{key} is wrong: {error}"
        elif field.required:
            yield f"{key} is missing"
