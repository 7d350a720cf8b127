"""What becomes of a user's roles at a process, step by step, for operators to read."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from msgspec import Struct

from sessiond.core.access import (
    Access,
    AccessRules,
    Because,
    Ceiling,
    Denied,
    access_at,
    access_by,
    stepup_of,
)
from sessiond.core.claims import ClaimRules
from sessiond.core.evidence import NOTHING, Evidence
from sessiond.core.passing_on import Find, access_of
from sessiond.core.session import ProcessAbout, Session
from sessiond.core.verdict import Verdict

NOWHERE = ProcessAbout(name="", type="", host="", pid=0)


class ClaimUsed(Struct, frozen=True, kw_only=True):
    """A claim that is read, by its name or JSON Pointer; what it holds is not shown."""

    claim: str
    used_for: str  # name, subject, roles, sign-in, or an attribute


class CeilingShown(Struct, frozen=True, kw_only=True):
    """The `[[access.process]]` table that counts at the process."""

    number: int  # its place in the configuration, from 1
    name: str
    type: str
    users: tuple[str, ...]
    issuers: tuple[str, ...]
    roles: tuple[str, ...]
    max_age: float  # seconds; 0 = not asked
    acr: tuple[str, ...]


class AccessSteps(Struct, frozen=True, kw_only=True):
    """The roles before and after each step; `assigned` and `granted` say why each is given."""

    assigned: dict[str, tuple[str, ...]]  # by token, role sources and default_roles
    protected: tuple[str, ...]  # those of them that only an [[access.grant]] gives: dropped
    granted: dict[str, tuple[str, ...]]  # here
    before_ceiling: tuple[str, ...]
    ceiling: CeilingShown | None  # null: no table matches, or no process was named
    cut: tuple[str, ...]  # by the ceiling
    roles: tuple[str, ...]  # that are left; those of a login that is refused are nobody's


class Steps(Struct, frozen=True, kw_only=True):
    """The steps, and why the login is refused by them, if it is."""

    steps: AccessSteps
    denied: Denied | None


def steps_of(
    rules: AccessRules, about: ProcessAbout | None, verdict: Verdict, *, now: datetime
) -> Steps:
    """Return what a verdict's roles come to; without a process, under no ceiling."""
    if about is None:
        rules, about = replace(rules, ceilings=()), NOWHERE
    protected, granted, before = _before_ceiling(rules, about, verdict)
    number = rules.number_of(about.name, about.type)
    ceiling = None if number is None else rules.ceilings[number]
    left = [role for role in before if ceiling is None or ceiling.has_room_for(role)]
    access = access_by(rules, about, verdict)
    denied = access if isinstance(access, Denied) else stepup_of(rules, about, verdict, now=now)
    steps = AccessSteps(
        assigned=dict(verdict.assigned),
        protected=protected,
        granted=dict(granted),
        before_ceiling=tuple(before),
        ceiling=None if number is None else _shown(rules.ceilings[number], number + 1),
        cut=tuple(sorted(set(before).difference(left))),
        roles=tuple(left),
    )
    return Steps(steps=steps, denied=denied)


def because_of(rules: AccessRules, session: Session, find: Find) -> Because:
    """Return why a session has its roles, as its events tell it."""
    access = access_of(rules, session, find)
    return access.because if isinstance(access, Access) else Because()  # it is about to end


def claims_used(claims: ClaimRules | None, ceiling: CeilingShown | None) -> list[ClaimUsed]:
    """Return the claims that a login at the process is judged by; None: a plugin reads others."""
    uses = [] if claims is None else [*_uses(claims)]
    if ceiling is not None and ceiling.max_age:
        uses.append(("auth_time", "sign-in"))
    if ceiling is not None and ceiling.acr:
        uses += [("acr", "sign-in"), ("acrs", "sign-in")]
    return [ClaimUsed(claim=claim, used_for=used_for) for claim, used_for in uses]


def _before_ceiling(
    rules: AccessRules, about: ProcessAbout, verdict: Verdict
) -> tuple[tuple[str, ...], Evidence, list[str]]:
    """Return the protected roles that are dropped, those granted here, and all that are left."""
    unlimited = replace(rules, ceilings=(), required=frozenset())
    access = access_at(unlimited, about, verdict.principal, verdict.assigned)
    if isinstance(access, Denied):  # all that he was given is protected
        return tuple(sorted(verdict.assigned)), NOTHING, []
    return access.protected, access.granted, list(access.roles)


def _shown(ceiling: Ceiling, number: int) -> CeilingShown:
    return CeilingShown(
        number=number,
        name=ceiling.name,
        type=ceiling.type,
        users=ceiling.users,
        issuers=ceiling.issuers,
        roles=ceiling.roles,
        max_age=ceiling.max_age.total_seconds(),
        acr=ceiling.acr,
    )


def _uses(claims: ClaimRules) -> Iterator[tuple[str, str]]:
    yield claims.user_claim, "name"
    yield claims.subject_claim, "subject"
    yield from ((claim, "roles") for claim in claims.roles_claim)
    yield from ((claim, f"attribute {name}") for claim, name in claims.attributes.items())
