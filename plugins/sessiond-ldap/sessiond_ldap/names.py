"""Distinguished names (RFC 4514), compared as names and not as texts."""

import re
import string

# RFC 4514, section 3, and the numbers and long names of the same (RFC 4519).
_SHORT = {
    "2.5.4.3": "cn",
    "commonname": "cn",
    "2.5.4.7": "l",
    "localityname": "l",
    "2.5.4.8": "st",
    "stateorprovincename": "st",
    "2.5.4.10": "o",
    "organizationname": "o",
    "2.5.4.11": "ou",
    "organizationalunitname": "ou",
    "2.5.4.6": "c",
    "countryname": "c",
    "2.5.4.9": "street",
    "streetaddress": "street",
    "0.9.2342.19200300.100.1.25": "dc",
    "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.1": "uid",
    "userid": "uid",
}
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)*")
# A value ends at a separator that is not escaped: so many characters, or escaped ones, before it.
_VALUE = re.compile(r"(?:[^\\,+;\"<>\x00]|\\[0-9A-Fa-f]{2}|\\[ \"#+,;<=>\\])*", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2}|[ \"#+,;<=>\\])")

Rdn = tuple[tuple[str, str], ...]  # (type, value) in order


def normalised(name: str) -> tuple[Rdn, ...]:
    """Return what is equal for two ways of writing one name.

    Types and the letters A-Z of values go without case, blanks at the ends of a value do not count
    and several are one, however characters are escaped. Other letters count as they are: where a
    server thinks more names alike, more of them give nothing.

    Raises:
        ValueError: It is none.
    """
    if not name.strip(" "):
        return ()
    parts: list[Rdn] = []
    pairs: list[tuple[str, str]] = []
    at = 0
    while True:
        pair, at = _pair(name, at)
        pairs.append(pair)
        if at < len(name) and name[at] == "+":
            at += 1
            continue
        parts.append(tuple(sorted(pairs)))
        pairs = []
        if at == len(name):
            return tuple(parts)
        if name[at] not in ",;":  # RFC 2253's semicolon
            raise ValueError(f"character {at + 1} must be escaped (RFC 4514)")
        at += 1


def _pair(name: str, at: int) -> tuple[tuple[str, str], int]:
    """Return a type and its value, and where they end."""
    equals = name.find("=", at)
    kind = name[at:equals].strip(" ") if equals >= 0 else ""
    if not _TYPE.fullmatch(kind):
        raise ValueError(f"character {at + 1} begins no type=value (RFC 4514)")
    matched = _VALUE.match(name, equals + 1)
    assert matched is not None  # noqa: S101 - nothing at all matches too
    kind = kind.translate(_LOWER)
    return (_SHORT.get(kind, kind), _plain(matched[0])), matched.end()


def _plain(value: str) -> str:
    """Return a value without escaping, in one case, its blanks in order.

    One that is given by its BER (`#04...`) stays what it is: equal to itself alone.
    """
    octets = _ESCAPED.sub(
        lambda found: bytes.fromhex(found[1].decode()) if len(found[1]) == 2 else found[1],
        value.strip(" ").encode(),
    )
    text = octets.decode(errors="surrogateescape").translate(_LOWER)
    blanks_once = " ".join(part for part in text.split(" ") if part)
    return f"#{blanks_once[1:]}" if value.lstrip(" ").startswith("#") else f"={blanks_once}"
