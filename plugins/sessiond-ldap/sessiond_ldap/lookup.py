"""From a user's name to roles and attributes: which searches are made, and what they come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sessiond_ldap.filters import filled, in_chain, placeholders
from sessiond_ldap.names import Rdn, normalised
from sessiond_ldap.settings import LdapSettings
from sessiond_ldap.wire import Found, Question

MOST_GROUPS = 1000  # of one user, those that hold others of his included
MOST_LEVELS = 10  # of groups in groups
AT_ONCE = 50  # names of groups in one search


class UnusableError(Exception):
    """The directory answered, and what it said is no verdict on this user."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One that a search has found."""

    name: str  # its distinguished name, as the server wrote it
    attributes: Mapping[str, Sequence[bytes]]  # by names in lower case


class Directory(Protocol):
    """Searches below a name. One thread asks it."""

    def search(
        self, base: str, filter_text: str, *, attributes: Sequence[str], most: int
    ) -> list[Entry]:
        """Return what matches.

        Raises:
            UnusableError: More than `most` do, or a part of them is elsewhere (a referral).
        """
        ...


class Lookup:
    """What one table of settings wants of a directory."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._role_of = settings.role_of()

    def found(self, directory: Directory, question: Question) -> Found:
        """Return the roles of the groups that the user is in, and his attributes.

        Raises:
            UnusableError: There is no saying who he is, or in which groups.
        """
        values = {"user": question.user, "subject": question.subject}
        nothing = Found(roles=[], attributes={})
        if not all(_is_plain(values[name]) for name in placeholders(self._settings.user_filter)):
            return nothing
        users = directory.search(
            self._settings.user_base,
            filled(self._settings.user_filter, values),
            attributes=[*self._settings.attributes],
            most=1,
        )
        if not users:
            return nothing
        (user,) = users
        return Found(
            roles=self._roles(directory, values, user.name), attributes=self._attributes(user)
        )

    def _attributes(self, user: Entry) -> dict[str, str]:
        """Return those that are wanted and there; several values as one text, in order."""
        found = {}
        for key, name in self._settings.attributes.items():
            try:
                texts = sorted(each.decode() for each in user.attributes.get(key.lower(), ()))
            except UnicodeDecodeError:
                raise UnusableError(f"the user's {key} is no text (UTF-8)") from None
            if texts:
                found[name] = " ".join(texts)
        return found

    def _roles(self, directory: Directory, values: Mapping[str, str], user: str) -> list[str]:
        template = self._settings.group_filter
        if not self._role_of:
            return []
        if self._settings.nested == "active_directory":
            template = in_chain(template)
        groups = self._groups(directory, template, values, [user])
        seen = dict(groups)
        level = 1
        while self._settings.nested == "search" and groups and not self._has_all(seen):
            if level == MOST_LEVELS:
                raise UnusableError(f"the user's groups are in groups deeper than {MOST_LEVELS}")
            level += 1
            above = self._groups(directory, template, values, groups.values())
            groups = {key: name for key, name in above.items() if key not in seen}
            seen |= groups
            if len(seen) > MOST_GROUPS:
                raise UnusableError(f"the user is in more than {MOST_GROUPS} groups")
        return sorted({self._role_of[key] for key in seen if key in self._role_of})

    def _has_all(self, seen: Iterable[tuple[Rdn, ...]]) -> bool:
        return self._role_of.keys() <= set(seen)

    def _groups(
        self,
        directory: Directory,
        template: str,
        values: Mapping[str, str],
        members: Iterable[str],
    ) -> dict[tuple[Rdn, ...], str]:
        """Return the groups that one of the members is in, by their names as these are compared."""
        found: dict[tuple[Rdn, ...], str] = {}
        names = list(members)
        for start in range(0, len(names), AT_ONCE):
            parts = [filled(template, {**values, "dn": name}) for name in names[start:][:AT_ONCE]]
            entries = directory.search(
                self._settings.group_base,
                parts[0] if len(parts) == 1 else f"(|{''.join(parts)})",
                attributes=(),
                most=MOST_GROUPS,
            )
            for entry in entries:
                try:
                    found[normalised(entry.name)] = entry.name
                except ValueError as error:
                    raise UnusableError(f"a group has a name that is none: {error}") from None
        return found


def _is_plain(name: str) -> bool:
    """Say whether no other name is the same to a server: it drops some blanks, we drop none.

    Otherwise whoever may choose his name at an issuer takes another's, with a blank more.
    """
    return name == " ".join(part for part in name.split(" ") if part)
