"""The keys of the `[[role_source]]` table that are the plugin's own."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from sessiond_ldap.filters import can_chain, problem_of
from sessiond_ldap.names import Rdn, normalised

SYSTEMS_CA = "/etc/ssl/certs/ca-certificates.crt"

_OF_USER = frozenset({"user", "subject"})
_OF_GROUP = _OF_USER | {"dn"}

FilePath = Annotated[str, Meta(pattern=r"^(/[^\x00]*)?\Z", description="an absolute path")]
Text = Annotated[str, Meta(min_length=1, max_length=4096)]
Attribute = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9;.-]{0,255}\Z")]


class LdapSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As configured. Without `bind_dn` the daemon is who it is (SASL EXTERNAL)."""

    url: Text
    ca_file: FilePath = ""
    bind_dn: str = ""
    password_file: FilePath = ""
    cert_file: FilePath = ""
    key_file: FilePath = ""
    user_base: Text
    user_filter: Text
    group_base: str = ""
    group_filter: Text = "(member={dn})"
    nested: Literal["none", "search", "active_directory"] = "none"
    roles: dict[Text, Text] = {}  # name of a group = role
    attributes: dict[Attribute, Text] = {}  # of the user's entry = of the session
    pool: Annotated[int, Meta(ge=1, le=16)] = 4

    def __post_init__(self) -> None:
        problems = [
            *_problems_of_connection(self),
            *_problems_of_searches(self),
            *_problems_of_roles(self),
        ]
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def is_tls(self) -> bool:
        """Whether the connection is inside TLS: at once, or by StartTLS."""
        return self.url.startswith("ldaps:") or self.is_start_tls

    @property
    def is_start_tls(self) -> bool:
        """Whether TLS is asked for on a plain connection, before anything else is said."""
        parts = urlsplit(self.url)
        return parts.scheme == "ldap" and (bool(self.ca_file) or not is_loopback(parts))

    @property
    def authorities(self) -> str:
        """The file of those who may have signed the server's certificate."""
        return self.ca_file or SYSTEMS_CA

    def files(self) -> dict[str, str]:
        """Return the paths of the files that it goes by, by their keys."""
        keys = ("ca_file", "password_file", "cert_file", "key_file")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}

    def role_of(self) -> dict[tuple[Rdn, ...], str]:
        """Return the roles by their groups' names, as these are compared."""
        return {normalised(group): role for group, role in self.roles.items()}


def is_loopback(parts: SplitResult) -> bool:
    """Say whether a URL's host can be nobody but this machine."""
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _problems_of_connection(settings: LdapSettings) -> Iterator[str]:
    is_local = settings.url.startswith("ldapi://")
    if not is_local and (problem := _problem_of_url(settings.url)):
        yield f"url {problem}"
        return
    if bool(settings.bind_dn) != bool(settings.password_file):
        yield "bind_dn and password_file must both be there, or neither (SASL EXTERNAL)"
    if bool(settings.cert_file) != bool(settings.key_file):
        yield "cert_file and key_file must both be there, or neither"
    if not settings.bind_dn and not is_local and not (settings.cert_file and settings.is_tls):
        yield (
            "bind_dn is missing: without it the daemon says who it is by cert_file and key_file "
            "inside TLS, or by its user at an ldapi URL (SASL EXTERNAL); nobody is anonymous"
        )
    if settings.bind_dn and (problem := _problem_of_name(settings.bind_dn)):
        yield f"bind_dn {problem}"


def _problem_of_url(url: str) -> str | None:
    wanted = "must be ldaps://HOST, ldap://HOST (StartTLS) or ldapi://PATH, with a port or not"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return wanted
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in ("ldaps", "ldap") or not parts.hostname or parts.username or not bare:
        return wanted
    return None


def _problems_of_searches(settings: LdapSettings) -> Iterator[str]:
    if problem := problem_of(settings.user_filter, known=_OF_USER, wanted="{user} or {subject}"):
        yield f"user_filter {problem}"
    if problem := problem_of(settings.group_filter, known=_OF_GROUP, wanted="{dn}"):
        yield f"group_filter {problem}"
    if settings.nested != "none" and not can_chain(settings.group_filter):
        yield (
            "group_filter must have {dn} as (ATTRIBUTE={dn}) and nowhere else where nested is "
            f"{settings.nested}"
        )
    for key, base in (("user_base", settings.user_base), ("group_base", settings.group_base)):
        if base and (problem := _problem_of_name(base)):
            yield f"{key} {problem}"


def _problems_of_roles(settings: LdapSettings) -> Iterator[str]:
    if not settings.roles and not settings.attributes:
        yield "roles is empty, and attributes too: one of them must say what is wanted"
    if settings.roles and not settings.group_base:
        yield "group_base is missing: the groups in roles are looked for below it"
    seen: dict[tuple[Rdn, ...], str] = {}
    for group, role in settings.roles.items():
        if problem := _problem_of_name(group):
            yield f"roles has a group whose name {problem}"
        elif seen.setdefault(normalised(group), role) != role:
            yield f"roles gives one group two roles, {seen[normalised(group)]!r} and {role!r}"
    for name in settings.attributes.values():
        if list(settings.attributes.values()).count(name) > 1:
            yield f"attributes has {name!r} twice, must have it of one attribute alone"
            return


def _problem_of_name(name: str) -> str | None:
    try:
        return None if normalised(name) else "is empty, must be a distinguished name (RFC 4514)"
    except ValueError as error:
        return f"is no distinguished name: {error}"
