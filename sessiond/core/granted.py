"""What a role source grants a user, beside what the token says."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Roles and attributes of one user; nothing for a user that the source does not know."""

    roles: Collection[str] = ()  # each printable ASCII, 1 to 1024 characters
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
