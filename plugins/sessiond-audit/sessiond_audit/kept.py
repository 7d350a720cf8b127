"""Configurations that were kept: what each lets be at a process, found by its digest."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessiond.api import (
    Access,
    AccessRules,
    Ceiling,
    LocalGrant,
    Principal,
    ProcessAbout,
    access_at,
)

GRANTED_HERE = "access.grant["  # how a reason begins that another configuration may not give


class KeptError(Exception):
    """A kept configuration cannot be read: say which, and give another copy."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who may do what, by one version of the configuration file."""

    digest: str  # SHA-256 of its bytes: `sha256sum FILE`
    rules: AccessRules

    def follows(self, process: ProcessAbout) -> bool:
        """Say whether such a process is told of everybody's roles."""
        ceiling = self.rules.ceiling_of(process)
        return ceiling is not None and ceiling.estate

    def reasons_at(
        self, process: ProcessAbout, user: str, issuer: str, given: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        """Return a user's roles at a process, each with why, by what he was given elsewhere.

        Args:
            process: Where.
            user: The verified name.
            issuer: The configured name.
            given: His roles before the ceiling of the process where he logged in, with why.
        """
        assigned = {role: _not_granted(whys) for role, whys in given.items() if _not_granted(whys)}
        principal = Principal(issuer=issuer, subject="", name=user)
        access = access_at(self.rules, process, principal, assigned)
        if not isinstance(access, Access):
            return {}
        return {role: access.because.roles[role] for role in access.roles}


def read(paths: Iterable[Path]) -> Mapping[str, Configuration]:
    """Return configurations by their digest.

    Raises:
        KeptError: One is no configuration of sessiond's.
        OSError: One cannot be read.
    """
    return {made.digest: made for made in map(_read, paths)}


def _read(path: Path) -> Configuration:
    content = path.read_bytes()
    try:
        table = tomllib.loads(content.decode()).get("access", {})
        rules = AccessRules(
            protected=tuple(table.get("protected_roles", ())),
            grants=tuple(LocalGrant(**_grant(each)) for each in table.get("grant", ())),
            ceilings=tuple(Ceiling(**_ceiling(each)) for each in table.get("process", ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise KeptError(f"{path} is no configuration of sessiond's: {error}") from error
    return Configuration(hashlib.sha256(content).hexdigest(), rules)


def _grant(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(table[key]) for key in ("users", "issuers", "roles") if key in table}


def _ceiling(table: Mapping[str, Any]) -> dict[str, Any]:
    lists = {key: tuple(table[key]) for key in ("users", "issuers", "roles") if key in table}
    return lists | {key: table[key] for key in ("name", "type", "estate") if key in table}


def _not_granted(whys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(why for why in whys if not why.startswith(GRANTED_HERE))
