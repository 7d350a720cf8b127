"""The file's lines: `user,role` and any number of `attribute=value` after that."""

import csv
import io
import re
import string
from collections.abc import Mapping

from sessiond.api import Granted

_NAME = re.compile(r"[\x20-\x7e]{1,256}")
_WORD = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,1022}[\x21-\x7e])?")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(name: str) -> str:
    """Return the form in which user names are compared: A-Z as a-z, everything else as it is."""
    return name.translate(_LOWER)


def read_lines(text: str) -> Mapping[str, Granted]:
    """Return what each user has, by the folded name.

    Fields are separated by commas and quoted as in RFC 4180; blanks around them do not count. A
    user may have any number of lines: their roles and attributes add up. The role may be empty.
    Empty lines and those that begin with `#` do not count.

    Raises:
        ValueError: A line is wrong, or a user is given two values of one attribute.
    """
    roles: dict[str, set[str]] = {}
    attributes: dict[str, dict[str, str]] = {}
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        for fields in reader:
            cells = [field.strip() for field in fields]
            if not any(cells) or cells[0].startswith("#"):
                continue
            user, role, pairs = _read(cells, reader.line_num)
            if role:
                roles.setdefault(user, set()).add(role)
            of_user = attributes.setdefault(user, {})
            for name, value in pairs:
                if of_user.setdefault(name, value) != value:
                    raise ValueError(f"line {reader.line_num} gives {name} another value")
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not CSV: {error}") from error
    return {
        user: Granted(roles=frozenset(roles.get(user, ())), attributes=of_user)
        for user, of_user in attributes.items()
    }


def _read(cells: list[str], number: int) -> tuple[str, str, list[tuple[str, str]]]:
    if len(cells) < 2:
        raise ValueError(f"line {number} has no comma: user,role")
    user, role, *rest = cells
    if not _NAME.fullmatch(user):
        raise ValueError(f"line {number}: the user is not 1 to 256 printable ASCII characters")
    if role and not _WORD.fullmatch(role):
        raise ValueError(f"line {number}: the role is not printable ASCII")
    pairs = []
    for cell in rest:
        name, equals, value = cell.partition("=")
        if not equals or not _WORD.fullmatch(name) or not value.isprintable():
            raise ValueError(f"line {number}: what follows the role must be attribute=value")
        pairs.append((name, value))
    return folded(user), role, pairs
