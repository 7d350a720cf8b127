"""Roles and attributes that tokens do not bring: `[[role_source]]` plugins."""

from sessiond.extensions.roles.source import AskedSource, SourceState, asked_source
from sessiond.extensions.roles.verifier import AskedRoles, RolesVerifier, RoleTerms

__all__ = [
    "AskedRoles",
    "AskedSource",
    "RoleTerms",
    "RolesVerifier",
    "SourceState",
    "asked_source",
]
