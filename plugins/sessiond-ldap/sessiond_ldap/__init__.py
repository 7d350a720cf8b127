"""A role source for sessiond: roles from a directory's groups (LDAP)."""

from typing import Any

from sessiond.api import settings_of
from sessiond_ldap.settings import LdapSettings
from sessiond_ldap.source import LdapRoles

__all__ = ["LdapRoles", "LdapSettings", "source"]


def source(**keys: Any) -> LdapRoles:
    """Return the source that a `[[role_source]]` table with `plugin = "ldap"` asks for.

    It asks no server yet.

    Raises:
        SettingsError: A key is wrong, or the file with the password is not to be believed.
    """
    return LdapRoles(settings_of(LdapSettings, keys))
