"""Search filters (RFC 4515) with users' names in them, which can be nothing but values there."""

import re
from collections.abc import Mapping

IN_CHAIN = "1.2.840.113556.1.4.1941"  # Active Directory's LDAP_MATCHING_RULE_IN_CHAIN

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MEMBER = re.compile(r"\(([A-Za-z][A-Za-z0-9.;-]*)=\{dn\}\)")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@_-")


def escaped(value: str) -> str:
    r"""Return a value as it stands in a filter: `\XX` for each octet but the plainest ones.

    RFC 4515, section 3, lets any octet be written so; that of a blank is, since servers drop blanks
    at either end of what they read.
    """
    return "".join(chr(octet) if octet in _PLAIN else f"\\{octet:02x}" for octet in value.encode())


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return a filter with each `{name}` replaced by that value, escaped."""
    return _PLACEHOLDER.sub(lambda found: escaped(values[found[1]]), template)


def in_chain(template: str) -> str:
    """Return the filter that matches members of members too, where the server is of Microsoft."""
    return _MEMBER.sub(rf"(\1:{IN_CHAIN}:={{dn}})", template)


def can_chain(template: str) -> bool:
    """Say whether `in_chain` finds every `{dn}` where it looks for it."""
    return template.count("{dn}") == len(_MEMBER.findall(template)) > 0


def placeholders(template: str) -> set[str]:
    """Return the names in braces."""
    return set(_PLACEHOLDER.findall(template))


def problem_of(template: str, *, known: frozenset[str], wanted: str) -> str | None:
    """Return why a template cannot be used, or None.

    Args:
        template: As configured.
        known: The names that may stand in braces.
        wanted: Those of them of which one must, in words, such as `{user} or {subject}`.
    """
    names = placeholders(template)
    if unknown := sorted(names - known):
        return f"has {{{unknown[0]}}}, which nothing stands for"
    if not names:
        return f"names nobody, must have {wanted} in it"
    if not _is_balanced(template):
        return "is no filter, must be one in parentheses, such as (uid={user}) (RFC 4515)"
    return None


def _is_balanced(template: str) -> bool:
    depth = 0
    for number, character in enumerate(template):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth <= 0 and number < len(template) - 1:
            return False
    return depth == 0 and template.startswith("(")
