"""What a principal's roles come to at a process: given, protected, granted here, and a ceiling.

((what token and role sources give) - protected + granted here) within the process's ceiling.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from types import MappingProxyType

import msgspec

from sessiond.core.errors import Refusal
from sessiond.core.evidence import DEFAULT, Evidence, merged
from sessiond.core.patterns import Patterns
from sessiond.core.principal import Principal
from sessiond.core.printable import any_of, seen
from sessiond.core.session import ProcessAbout, Session
from sessiond.core.verdict import Verdict

ANY = ("*",)
LEEWAY = timedelta(seconds=30)  # that an issuer's clock may be ahead
MAX_SHARED = 64  # roles that are looked up; of who has more, each login is worked out anew

_KEPT = 4096  # results, each for all sessions that come to the same

Items = tuple[tuple[str, tuple[str, ...]], ...]  # Evidence, as it can be looked up


@dataclass(frozen=True, kw_only=True)
class LocalGrant:
    """Roles that the operator gives, whatever tokens say: one `[[access.grant]]`."""

    users: tuple[str, ...]  # shell patterns on the verified name, A-Z without case, as all here
    issuers: tuple[str, ...] = ANY  # on the configured name
    roles: tuple[str, ...]

    def names(self, principal: Principal) -> bool:
        """Say whether it is for this user."""
        return self._users.match(principal.name) and self._issuers.match(principal.issuer)

    @cached_property
    def _users(self) -> Patterns:
        return Patterns(self.users)

    @cached_property
    def _issuers(self) -> Patterns:
        return Patterns(self.issuers)


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """Who may log in at some processes, and with which roles at most: one `[[access.process]]`."""

    name: str = "*"  # a shell pattern on what the process says of itself, A-Z without case
    type: str = "*"
    users: tuple[str, ...] = ANY  # on the verified name
    issuers: tuple[str, ...] = ANY
    roles: tuple[str, ...] = ANY
    max_age: timedelta = timedelta(0)  # since the person signed in; 0: not asked
    acr: tuple[str, ...] = ()  # accepted authentication contexts; empty: not asked
    estate: bool = False  # these processes are told of everybody's roles

    def covers(self, name: str, kind: str) -> bool:
        """Say whether it is for a process of this name and type."""
        return self._name.match(name) and self._type.match(kind)

    def admits(self, principal: Principal) -> bool:
        """Say whether the user may log in there."""
        return self._users.match(principal.name) and self._issuers.match(principal.issuer)

    def has_room_for(self, role: str) -> bool:
        """Say whether the role may exist there."""
        return self._roles.match(role)

    @cached_property
    def _name(self) -> Patterns:
        return Patterns((self.name,))

    @cached_property
    def _type(self) -> Patterns:
        return Patterns((self.type,))

    @cached_property
    def _users(self) -> Patterns:
        return Patterns(self.users)

    @cached_property
    def _issuers(self) -> Patterns:
        return Patterns(self.issuers)

    @cached_property
    def _roles(self) -> Patterns:
        return Patterns(self.roles)


class Because(msgspec.Struct, frozen=True, kw_only=True):
    """Why a session has its roles, as its events tell."""

    roles: dict[str, tuple[str, ...]] = {}  # each before the ceiling, and why it is given
    cut: tuple[str, ...] = ()  # those of them that the ceiling took away


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a user may do at a process, and how that came about, step by step."""

    roles: tuple[str, ...]  # sorted
    because: Because
    assigned: Evidence  # by token and role sources
    protected: tuple[str, ...]  # those of them that nobody but the operator gives: dropped
    granted: Evidence  # here
    ceiling: Ceiling | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Why verified tokens are refused all the same: a word for the process, and what to do."""

    reason: Refusal
    detail: str  # for the log and for `explain`


@dataclass(frozen=True, kw_only=True)
class AccessRules:
    """The `[access]` table. What was worked out once by it is kept with it."""

    protected: tuple[str, ...] = ()  # patterns
    grants: tuple[LocalGrant, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()
    required: frozenset[str] = frozenset()  # issuers whose users need a role (require_role)
    leeway: timedelta = LEEWAY
    configuration: str = ""  # SHA-256 of the configuration file, hexadecimal; empty: not known

    def ceiling_of(self, about: ProcessAbout) -> Ceiling | None:
        """Return the first ceiling for a process; None: it has none."""
        number = self.number_of(about.name, about.type)
        return None if number is None else self.ceilings[number]

    def tells_types_apart(self, name: str) -> bool:
        """Say whether a ceiling can be found only by the type of a process of this name, too."""
        return any(each.type != "*" and each.covers(name, each.type) for each in self.ceilings)

    def is_protected(self, role: str) -> bool:
        """Say whether only the operator gives this role."""
        return self._protected.match(role)

    @cached_property
    def _protected(self) -> Patterns:
        return Patterns(self.protected)

    @cached_property
    def number_of(self) -> Callable[[str, str], int | None]:
        """Finds the number of the first ceiling for a process of this name and type."""
        return lru_cache(_KEPT)(self._find_ceiling)

    def _find_ceiling(self, name: str, kind: str) -> int | None:
        found = (number for number, each in enumerate(self.ceilings) if each.covers(name, kind))
        return next(found, None)

    @cached_property
    def _may_have_grants(self) -> Patterns:
        return Patterns(user for each in self.grants for user in each.users)

    def grants_of(self, principal: Principal) -> tuple[int, ...]:
        """Return the numbers of the grants that are for a user, from 0."""
        if not self.grants or not self._may_have_grants.match(principal.name):
            return ()
        return tuple(
            number
            for number, each in enumerate(self.grants)
            if each.roles and each.names(principal)
        )

    @cached_property
    def shared(self) -> Callable[[Items, tuple[int, ...], int | None, bool], Access | Denied]:
        """Does what `worked_out` does, once for all who come to the same."""
        return lru_cache(_KEPT)(self.worked_out)

    def worked_out(
        self, items: Items, grants: tuple[int, ...], number: int | None, is_required: bool
    ) -> Access | Denied:
        """Return what these roles come to with these grants, under the ceiling of this number."""
        assigned = dict(items)
        protected = tuple(sorted(filter(self.is_protected, assigned))) if self.protected else ()
        left = assigned.copy()
        for role in protected:
            del left[role]
        granted: Evidence = {}
        for each in grants:
            whys = (f"access.grant[{each + 1}]",)
            granted = merged(granted, dict.fromkeys(self.grants[each].roles, whys))
        if is_required and not granted and not any(map(_is_given, left.values())):
            return _lacking(protected)
        before = merged(left, granted)
        ceiling = None if number is None else self.ceilings[number]
        cut = (
            ()
            if ceiling is None
            else tuple(sorted(role for role in before if not ceiling.has_room_for(role)))
        )
        roles = tuple(sorted(before.keys() - cut))
        if not roles and (assigned or granted):
            return _left_with_none(protected, cut, ceiling)
        return Access(
            roles=roles,
            because=Because(roles=dict(before), cut=cut),
            assigned=MappingProxyType(assigned),
            protected=protected,
            granted=granted,
            ceiling=ceiling,
        )


def access_at(
    rules: AccessRules, about: ProcessAbout, principal: Principal, assigned: Evidence
) -> Access | Denied:
    """Return what a principal's roles come to at a process.

    Whoever comes to the same gets the same object.

    Args:
        rules: The operator's.
        about: What the process says of itself.
        principal: The verified user.
        assigned: By token and role sources, the default roles included.
    """
    number = rules.number_of(about.name, about.type) if rules.ceilings else None
    if number is not None and not rules.ceilings[number].admits(principal):
        return _not_admitted(rules.ceilings[number], about, principal)
    work_out = rules.shared if len(assigned) <= MAX_SHARED else rules.worked_out
    is_required = principal.issuer in rules.required
    return work_out(tuple(assigned.items()), rules.grants_of(principal), number, is_required)


def cost_of(assigned: Evidence) -> int:
    """Return how many times as long `access_at` may take as where it has worked it out before."""
    return 1 if len(assigned) <= MAX_SHARED else len(assigned)


def access_by(rules: AccessRules, about: ProcessAbout, verdict: Verdict) -> Access | Denied:
    """Return what a verdict's roles come to at a process."""
    short = shortage_of(rules, verdict)
    return access_at(rules, about, verdict.principal, verdict.assigned) if short is None else short


def shortage_of(rules: AccessRules, verdict: Verdict) -> Denied | None:
    """Return why a verdict lets its user in nowhere: what it says of his roles is not enough."""
    if verdict.overage:
        return Denied(
            reason=Refusal.NOROLES,
            detail="groups overage: the token says that its user's groups are elsewhere "
            '(_claim_names, hasgroups), wanted them: set groups = "graph", or have the issuer send '
            "only the groups that are assigned to the application",
        )
    principal, given = verdict.principal, verdict.assigned
    if principal.issuer not in rules.required or rules.grants_of(principal):
        return None
    protected = tuple(sorted(filter(rules.is_protected, given)))
    if any(_is_given(given[role]) for role in given.keys() - protected):
        return None
    return _lacking(protected, verdict.claims_hold)


def stepup_of(
    rules: AccessRules, about: ProcessAbout, signed_in: Verdict | Session, *, now: datetime
) -> Denied | None:
    """Return what a login or a renewal lacks of how its user signed in (RFC 9470), if anything.

    `signed_in` says when that was, and how; by a ticket it is the session that it was made for.
    """
    ceiling = rules.ceiling_of(about)
    if ceiling is None:
        return None
    if ceiling.max_age:
        wanted = f"wanted one {ceiling.max_age.total_seconds():g} s ago at most (max_age)"
        if signed_in.auth_time is None:
            return _stepup(f"nothing says when the user signed in (claim auth_time), {wanted}")
        age = now - signed_in.auth_time
        if age > ceiling.max_age or age < -rules.leeway:  # no claim is young for ever
            return _stepup(f"auth_time is {signed_in.auth_time:%Y-%m-%dT%H:%M:%S%z}, {wanted}")
    if ceiling.acr and not set(ceiling.acr).intersection(signed_in.acr):
        held = seen(list(signed_in.acr))
        return _stepup(f"acr is {held}, wanted {any_of(ceiling.acr)}")
    return None


def _is_given(whys: Iterable[str]) -> bool:
    """Say whether somebody gave this role to the user, not to everybody."""
    return tuple(whys) != (DEFAULT,)


def _not_admitted(ceiling: Ceiling, about: ProcessAbout, principal: Principal) -> Denied:
    return Denied(
        reason=Refusal.NOTALLOWED,
        detail=f"{seen(principal.name)} of issuer {seen(principal.issuer)} logs in at "
        f"{seen(about.name)}, wanted users {any_of(ceiling.users)} of issuers "
        f"{any_of(ceiling.issuers)}: use another process, or mend its [[access.process]]",
    )


def _lacking(protected: tuple[str, ...], held: str = "") -> Denied:
    if protected:
        held = f"{held or 'the token'} and the role sources give {_protected(protected)} alone"
    return Denied(
        reason=Refusal.NOROLES,
        detail=f"{held or 'no role is given'}, wanted a value that [issuer.roles] or role_names "
        "knows, as require_role says: assign one to the user at the issuer, add it there, or add "
        "an [[access.grant]]",
    )


def _left_with_none(
    protected: tuple[str, ...], cut: tuple[str, ...], ceiling: Ceiling | None
) -> Denied:
    lost = [f"{_protected(protected)} dropped"] if protected else []
    if cut and ceiling is not None:
        lost.append(f"{seen(list(cut))} cut by the ceiling of {seen(ceiling.name)}")
    return Denied(
        reason=Refusal.NOROLES,
        detail=f"{', '.join(lost)}: none is left, wanted one: assign another, mend roles of the "
        "[[access.process]], or add an [[access.grant]]",
    )


def _protected(roles: tuple[str, ...]) -> str:
    return f"{seen(list(roles))} (protected_roles)"


def _stepup(saw: str) -> Denied:
    return Denied(
        reason=Refusal.STEPUP, detail=f"{saw}: sign in again at the issuer, as this process asks"
    )
