"""What `[access]` holds: who may do what, in the operator's own words."""

from msgspec import Struct

from sessiond.config.value_types import Account, FullText, NamePattern, SpanOrNever

ANY = ("*",)


class GrantConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[access.grant]]` table: roles that these users have, whatever their tokens say."""

    users: tuple[NamePattern, ...]
    issuers: tuple[NamePattern, ...] = ANY
    roles: tuple[FullText, ...]


class ProcessConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[access.process]]` table: a ceiling of the processes that it is the first to match."""

    name: NamePattern = "*"
    type: NamePattern = "*"
    peers: tuple[Account, ...] = ()  # users or @groups; empty: anybody may say such a name
    users: tuple[NamePattern, ...] = ANY
    issuers: tuple[NamePattern, ...] = ANY
    roles: tuple[NamePattern, ...] = ANY
    max_age: SpanOrNever = 0.0  # seconds since the person signed in; 0: not asked
    acr: tuple[FullText, ...] = ()
    estate: bool = False


class AccessConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[access]` table. The order of `process` counts."""

    protected_roles: tuple[NamePattern, ...] = ()
    grant: tuple[GrantConfig, ...] = ()
    process: tuple[ProcessConfig, ...] = ()
