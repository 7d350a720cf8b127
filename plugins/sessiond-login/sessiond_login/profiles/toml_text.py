"""Profiles as TOML, in the words that `sessionctl client-profile` uses."""

import json
from collections.abc import Iterator

import msgspec

from sessiond_login.profile import Profile
from sessiond_login.profiles.reading import LoginFile


def as_toml(file: LoginFile) -> str:
    """Return the text of a login.toml that says this, with what differs from the defaults."""
    lines: list[str] = [] if file.keep is None else [f"keep = {as_value(file.keep)}", ""]
    for name, profile in file.profiles.items():
        key = as_value(name) if "." in name else name
        lines += [f"[profile.{key}]", *_lines(profile), ""]
    return "\n".join(lines)


def _lines(profile: Profile) -> Iterator[str]:
    for field in msgspec.structs.fields(profile):
        value = getattr(profile, field.name)
        if field.required or value != field.default:
            yield f"{field.name} = {as_value(value)}"


def as_value(value: object) -> str:
    """Return one value as TOML has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(as_value(each) for each in value)}]"
    # Printable text, booleans and whole numbers are written as in JSON.
    return json.dumps(value, ensure_ascii=False)
