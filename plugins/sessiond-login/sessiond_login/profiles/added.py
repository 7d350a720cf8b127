"""Profiles that somebody hands out, by an address or in a file: shown first, then written."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from sessiond_login.errors import CannotKeep, IssuerUnavailable, ProfileRefused
from sessiond_login.own_files import NotOwnError, check_folder, make_folders, write_own
from sessiond_login.profile import Profile
from sessiond_login.profiles.login_files import load_own
from sessiond_login.profiles.reading import DEFAULT, MAX_PROFILES, MAX_SIZE, LoginFile, read
from sessiond_login.profiles.toml_text import as_toml, as_value

# What has a line of its own.
_SHOWN = {"issuer", "client_id", "scopes", "send", "ca_file", "insecure_http"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Profiles that the person has not agreed to yet."""

    source: str  # where they are from, as the person named it
    profiles: dict[str, Profile]
    path: Path  # the person's login.toml, as it would be written
    text: str
    before: str  # as it was read
    replaced: frozenset[str]  # names that are there already, with something else
    beside: frozenset[str]  # names of the administrator's, which yours stand before
    loses_comments: bool


def fetched(source: str, *, insecure_http: bool = False) -> str:
    """Return the text behind what the person typed: an https:// address, a file, or - for stdin.

    A server is asked by the system's trust and proxies, for 10 s, and no redirect is followed.

    Args:
        source: As it was typed.
        insecure_http: Allows http:// to this machine.

    Raises:
        ProfileRefused: There is no such file, or it is no text of at most 64 KiB.
        IssuerUnavailable: The server does not answer, or with nothing of use.
    """
    if "://" in source:
        return _decoded(_from_web(source, insecure_http=insecure_http), source)
    try:
        if source == "-":
            if sys.stdin is None:
                raise ProfileRefused("standard input is closed, wanted a login.toml on it")
            return _decoded(sys.stdin.buffer.read(MAX_SIZE + 1), "what came on standard input")
        with Path(source).open("rb") as file:
            return _decoded(file.read(MAX_SIZE + 1), source)
    except OSError as error:
        raise ProfileRefused(
            f"cannot read {source}: {error.strerror}, wanted a login.toml"
        ) from error


def offered(text: str, source: str, path: Path, *, others: Iterable[str] = ()) -> Offered:
    """Return what a text would change, with nothing changed yet.

    Args:
        text: What somebody hands out.
        source: Where it is from.
        path: The person's login.toml.
        others: Names of the administrator's profiles.

    Raises:
        ProfileRefused: It is wrong, or the person's own file is.
    """
    new = read(text, source)
    if not new.profiles:
        raise ProfileRefused(f"{source} has no [profile.NAME], wanted one or more")
    if new.keep is not None:
        raise ProfileRefused(f"{source} has keep, which is yours to say: wanted profiles alone")
    before, own = load_own(path)
    together = {**own.profiles, **new.profiles}
    if len(together) > MAX_PROFILES:
        raise ProfileRefused(f"profiles would be {len(together)}, must be at most {MAX_PROFILES}")
    replaced = {
        name for name in new.profiles.keys() & own.profiles.keys()
        if new.profiles[name] != own.profiles[name]
    }  # fmt: skip
    after, is_appended = _joined(before, own, new.profiles, str(path))
    return Offered(
        source=source,
        profiles=new.profiles,
        path=path,
        text=after,
        before=before,
        replaced=frozenset(replaced),
        beside=frozenset(others) & new.profiles.keys(),
        loses_comments="#" in before and not is_appended,
    )


def shown(offer: Offered) -> Iterator[str]:
    """Yield the lines that the person reads before he agrees."""
    yield f"from {offer.source}:"
    for name, profile in sorted(offer.profiles.items()):
        yield f"  profile {name}"
        yield f"    signs in at  {urlsplit(profile.issuer).netloc} ({profile.issuer})"
        yield f"    as client    {profile.client_id}"
        yield f"    asks for     {' '.join(profile.scopes)}"
        yield f"    sends to q   {_sent(profile)}"
        if profile.ca_file:
            yield f"    trusts also  the authorities in {profile.ca_file}"
        if profile.flow == "password":
            yield "    asks you     for your password itself, not in a browser"
        if profile.insecure_http:
            yield "    WITHOUT TLS, as only an issuer of this machine is asked"
        for field in msgspec.structs.fields(profile):
            value = getattr(profile, field.name)
            if field.name not in _SHOWN and value != field.default:
                yield f"    and says     {field.name} = {as_value(value)}"
        if name == DEFAULT:
            yield "    IS USED where no profile is named"
        if name in offer.beside:
            yield "    STANDS BEFORE the administrator's profile of this name"
        if name in offer.replaced:
            yield "    REPLACES the profile of this name that you have"
    yield f"  to be written to {offer.path}"
    if offer.loses_comments:
        yield "  whose comments are lost by that"


def write(offer: Offered) -> None:
    """Write what the person has agreed to.

    Raises:
        CannotKeep: It cannot be written.
        ProfileRefused: The file is another by now, or others can write it.
    """
    folder = offer.path.parent
    try:
        make_folders(folder)
        check_folder(folder)
        if load_own(offer.path)[0] != offer.before:
            raise ProfileRefused(f"{offer.path} was changed meanwhile: look at it, then try again")
        real = offer.path.resolve()
        check_folder(real.parent)
        write_own(real, offer.text.encode())
    except NotOwnError as error:
        raise ProfileRefused(f"{error}. Whoever writes it decides who gets your tokens") from error
    except OSError as error:
        raise CannotKeep(
            f"cannot write {offer.path}: {error.strerror}; make it yours to write"
        ) from error


def _from_web(address: str, *, insecure_http: bool) -> bytes:
    from sessiond_login.issuers.http import IssuerHttp, url_fault  # here: a file needs no web

    fault = url_fault(address, insecure_http=insecure_http)
    if fault is not None:
        raise ProfileRefused(
            f"that address {fault}, wanted https://: whoever is in between could name an issuer "
            "of his own"
        )
    try:
        reply = IssuerHttp(insecure_http=insecure_http).get(address)
    except IssuerUnavailable as error:
        raise IssuerUnavailable(
            f"{error}. Where your browser reaches that address, save the file, and add the file"
        ) from None
    if reply.status != 200:
        raise IssuerUnavailable(
            f"{reply.host} answered {reply.status}, wanted a login.toml: see the address; no "
            "redirect is followed"
        )
    return reply.body


def _decoded(content: bytes, source: str) -> str:
    if len(content) > MAX_SIZE:
        raise ProfileRefused(f"{source} is longer than {MAX_SIZE:,} bytes, wanted a login.toml")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ProfileRefused(f"{source} is not UTF-8 text, wanted a login.toml") from None


def _joined(before: str, own: LoginFile, new: dict[str, Profile], name: str) -> tuple[str, bool]:
    """Return the file with the new profiles, and whether all that was there still stands in it."""
    wanted = msgspec.structs.replace(own, profiles={**own.profiles, **new})
    added = {key: profile for key, profile in new.items() if own.profiles.get(key) != profile}
    if not added:
        return before, True
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    appended = before + gap + as_toml(LoginFile(profiles=added))
    try:
        if read(appended, name) == wanted:
            return appended, True
    except ProfileRefused:
        pass  # a name that is there, or one table for all of them
    return as_toml(wanted), False


def _sent(profile: Profile) -> str:
    if profile.send == "access":
        return "the access token"
    return "the access token and the refresh token"
