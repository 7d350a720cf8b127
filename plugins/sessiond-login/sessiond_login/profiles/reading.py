"""From the text of a login.toml to profiles: what is wrong with it, each by its key."""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from sessiond_login.errors import ProfileRefused
from sessiond_login.profile import Profile

VARIABLE = "SESSIOND_PROFILE"
DEFAULT = "default"  # the profile of that name counts where none is named
MAX_SIZE = 65_536  # bytes of a file
MAX_PROFILES = 64
MAX_LENGTH = 2_048  # characters of a text in one
MAX_AGE = 366 * 86400  # seconds
MOST_PROBLEMS = 20  # that are told at once
MAX_SHOWN = 80  # characters of a wrong value
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # it becomes a file's and a keyring's
_NAME_WORDS = "1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_WORDS = {"str": "a string", "int": "an integer", "bool": "a boolean", "array": "an array"}
_WRONG_TYPE = re.compile(r"Expected `(\w+)(?: \| null)?`, got ")

Where = Literal["keyring", "file", "none"]


class LoginFile(msgspec.Struct, frozen=True, kw_only=True):
    """One login.toml."""

    profiles: dict[str, Profile] = {}
    keep: Where | None = None  # where tokens are kept; None: in the keyring, else in a file


_FIELDS = {field.name: field for field in msgspec.structs.fields(Profile)}
_TOP = ("profile", "keep")


def read(text: str, name: str) -> LoginFile:
    """Return what the text of a login.toml says.

    Args:
        text: All of it.
        name: What messages call the file.

    Raises:
        ProfileRefused: It is wrong; one line for each problem, each with the key's full name.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # its text has the line
        raise ProfileRefused(f"{name} is not TOML: {error}; mend that line") from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, arrays 1000 deep
        raise ProfileRefused(f"{name} is not TOML: {type(error).__name__}; mend it") from error
    problems = list(islice(_problems(document), MOST_PROBLEMS))
    if problems:
        raise ProfileRefused("\n".join([f"{name} is wrong:", *problems]))
    return msgspec.convert(
        {"profiles": document.get("profile", {}), "keep": document.get("keep")}, LoginFile
    )


def chosen(
    profiles: Mapping[str, Profile], asked: str | None, environment: Mapping[str, str]
) -> str:
    """Return the name of the profile that counts: asked for, in the environment, or plain.

    Args:
        profiles: Those that there are, at least one.
        asked: By --profile.
        environment: Where SESSIOND_PROFILE is looked for.

    Raises:
        ProfileRefused: There is none of that name, or several, none of which is `default`.
    """
    wanted = asked or environment.get(VARIABLE)
    if wanted:
        if wanted in profiles:
            return wanted
        near = _nearest(wanted, profiles)
        name = _key(wanted) if asked else f"{_key(wanted)}, which {VARIABLE} names"
        if near:
            raise ProfileRefused(f"there is no profile {name}; did you mean {near}?")
        raise ProfileRefused(f"there is no profile {name}: there are {_listed(profiles)}")
    if len(profiles) == 1:
        return next(iter(profiles))
    if DEFAULT in profiles:
        return DEFAULT
    raise ProfileRefused(
        f"there are several profiles, {_listed(profiles)}: say which with --profile or "
        f"{VARIABLE}, or call one default"
    )


def made_for(profile: Profile) -> str:
    """Return a digest of all that makes tokens useless to another profile."""
    parts = [
        profile.issuer,
        profile.client_id,
        sorted(profile.scopes),
        profile.audience,
        profile.resource,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    for key in document:
        if key not in _TOP:
            yield _unknown(_key(key), "", _nearest(key, _TOP))
    if "keep" in document and document["keep"] not in get_args(Where):
        yield f"keep is {_shown(document['keep'])}, must be keyring, file or none"
    tables = document.get("profile", {})
    if not isinstance(tables, dict):
        yield "profile must be tables: [profile.NAME]"
        return
    if len(tables) > MAX_PROFILES:
        yield f"there are {len(tables)} profiles, must be at most {MAX_PROFILES}"
        return
    folded: dict[str, str] = {}
    for name, table in tables.items():
        where = f"profile[{_key(name)}]"
        if not _NAME.fullmatch(name):
            yield f"{where} is no name for a profile, must be {_NAME_WORDS}"
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            yield f"{where} differs from profile[{_key(other)}] in case alone"
        if isinstance(table, dict):
            yield from _problems_of(table, where)
        else:
            yield f"{where} must be a table: [profile.{_key(name)}]"


def _problems_of(table: Mapping[str, Any], where: str) -> Iterator[str]:
    wrong = False
    for key, value in table.items():
        if key not in _FIELDS:
            near = _nearest(key, _FIELDS)
            yield _unknown(f"{where}.{_key(key)}", where, near)
            wrong = True
            continue
        problem = _problem(value, _FIELDS[key].type)
        if problem:
            yield f"{where}.{key} {problem}"
            wrong = True
    for key, field in _FIELDS.items():
        if field.required and key not in table:
            yield f"{where}.{key} is missing"
            wrong = True
    if not wrong:
        yield from _problems_between(msgspec.convert(table, Profile), where)


def _problem(value: object, kind: object) -> str | None:
    """Return what is wrong with one value, in words that follow its key."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if get_origin(kind) is Literal:
            *most, last = get_args(kind)
            return f"is {_shown(value)}, must be {', '.join(most)} or {last}"
        type_ = _WRONG_TYPE.match(str(error))
        if get_origin(kind) is tuple:
            return f"is {_shown(value)}, must be an array of strings"
        return f"is {_shown(value)}, must be {_WORDS[type_[1]] if type_ else 'otherwise'}"
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if isinstance(text, str) and (len(text) > MAX_LENGTH or not text.isprintable()):
            return f"must be printable, and at most {MAX_LENGTH:,} characters"
    return None


def _problems_between(profile: Profile, where: str) -> Iterator[str]:
    if not profile.client_id:
        yield f"{where}.client_id is empty, must be the name that the issuer gave this client"
    if profile.kind == "oidc" and "openid" not in profile.scopes:  # MSAL adds it by itself
        yield f"{where}.scopes must contain openid: without it the issuer does not say who it was"
    if profile.max_age is not None and not 0 <= profile.max_age <= MAX_AGE:
        yield f"{where}.max_age is {_shown(profile.max_age)}, must be 0 to {MAX_AGE:,} seconds"
    if profile.ca_file and not Path(profile.ca_file).is_absolute():
        yield f"{where}.ca_file is {_shown(profile.ca_file)}, must be an absolute path"
    problem = _issuer_problem(profile)
    if problem:
        yield f"{where}.issuer {problem}"


def _issuer_problem(profile: Profile) -> str | None:
    try:
        parts = urlsplit(profile.issuer)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or not profile.issuer.isascii() or parts.scheme not in ("https", "http"):
        return f"is {_shown(profile.issuer)}, must be an https:// address of ASCII"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "must be without user, password, query and fragment"
    if parts.scheme == "https":
        return None
    if not profile.insecure_http:
        return f"is {_shown(profile.issuer)}, must be https://"
    if host not in _LOOPBACK:
        return f"is {_shown(profile.issuer)}: insecure_http is for an issuer of this machine alone"
    return None


def _unknown(full: str, where: str, near: str | None) -> str:
    meant = f"{where}.{near}" if where else near
    return f"{full} is unknown" + (f"; did you mean {meant}?" if near else "")


def _nearest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word[:MAX_SHOWN], list(known), n=1)), None)


def _listed(profiles: Iterable[str]) -> str:
    return ", ".join(sorted(profiles))


def _key(key: str) -> str:
    return (key if key.isprintable() else ascii(key))[:MAX_SHOWN]


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
