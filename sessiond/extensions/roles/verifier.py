"""A verifier whose verdicts have the roles that role sources add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType

import anyio

from sessiond.api import Verifier
from sessiond.clock import Clock
from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.core.evidence import DEFAULT, Evidence, bounded, given_by, merged, short
from sessiond.core.principal import Principal
from sessiond.core.printable import any_of
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.extensions.roles.known import Answer
from sessiond.extensions.roles.source import AskedSource
from sessiond.gate import ReadyVerifier


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTerms:
    """Whom one issuer's roles come from beside its tokens, and what is asked of them all."""

    sources: tuple[AskedSource, ...]  # of two that give one attribute, the first one's counts
    default_roles: tuple[str, ...]
    groups: AskedSource | None = None  # asked about whose groups a token leaves out
    group_roles: Mapping[str, str] = field(default_factory=dict)  # the id of a group -> the role

    @property
    def asked(self) -> tuple[AskedSource, ...]:
        """All who are ever asked."""
        return self.sources if self.groups is None else (*self.sources, self.groups)

    async def stop(self) -> None:
        """Have every source let go of what it holds."""
        for source in self.asked:
            await source.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class _GrantedVerdict(Verdict):
    """A verdict that stands for as long as every source's answer in it does."""

    until: float  # monotonic


class AskedRoles:
    """What the sources make of a verdict, which has no default roles yet where all are asked.

    Where one does not answer there is no verdict: never one with fewer roles.
    """

    def __init__(self, terms: RoleTerms, clock: Clock) -> None:
        self._terms = terms
        self._clock = clock

    @property
    def asks_always(self) -> bool:
        """Whether somebody is asked about each user."""
        return bool(self._terms.sources)

    def needs(self, verdict: Verdict) -> bool:
        """Say whether somebody is to be asked before this verdict is whole."""
        return self.asks_always or self._leaves_groups_out(verdict)

    async def completed(self, verdict: Verdict, *, now: datetime) -> Verdict:
        """Return the verdict with all roles and attributes; it may be whole already.

        Raises:
            TokenRejected: A source refuses the user.
            IssuerUnavailable: A source did not answer.
        """
        if not self.needs(verdict):
            return verdict
        sources = self._terms.asked if self._leaves_groups_out(verdict) else self._terms.sources
        answers = await _answers(sources, verdict.principal, now)
        assigned: Evidence = verdict.assigned
        for source, answer in zip(sources, answers, strict=True):
            assigned = merged(assigned, self._given(source, answer))
        is_given = any(whys != (DEFAULT,) for whys in assigned.values())
        assigned = merged(assigned, given_by(DEFAULT, self._terms.default_roles))
        attributes: dict[str, str] = {}
        for some in (
            *(each.granted.attributes for each in reversed(answers)),
            verdict.attributes,
        ):
            attributes |= some
        said = {field.name: getattr(verdict, field.name) for field in fields(Verdict)}
        said["roles"] = tuple(sorted(assigned))
        said["reasons"] = bounded({role: assigned[role] for role in said["roles"]})
        said["claims_hold"] = "" if is_given else _nothing_beside(verdict, sources)
        said["overage"] = verdict.overage and self._terms.groups is None
        said["attributes"] = MappingProxyType(attributes)
        return _GrantedVerdict(**said, until=min(each.until for each in answers))

    def stand_in(self, verdict: Verdict) -> bool:
        """Say whether the roles in an earlier verdict are news enough."""
        if isinstance(verdict, _GrantedVerdict):
            return self._clock.monotonic() < verdict.until
        return not self.needs(verdict)

    def _leaves_groups_out(self, verdict: Verdict) -> bool:
        return verdict.overage and self._terms.groups is not None

    def _given(self, source: AskedSource, answer: Answer) -> Evidence:
        """Return the roles that an answer gives, with why."""
        if source is not self._terms.groups:
            return given_by(short(f"role source {source.name}"), answer.granted.roles)
        found: dict[str, tuple[str, ...]] = {}
        for group in answer.granted.roles:
            role = self._terms.group_roles.get(group)
            if role is not None:
                found[role] = (*found.get(role, ()), f"graph group {group}")
        return found


async def _answers(
    sources: Sequence[AskedSource], principal: Principal, now: datetime
) -> Sequence[Answer]:
    """Ask every source at the same time; a refusal counts before a failure."""
    outcomes: list[Answer | TokenRejected | IssuerUnavailable] = [
        IssuerUnavailable(
            f"role source {source.name!r} was not asked to the end, wanted its answer: sign in "
            "again"
        )
        for source in sources
    ]

    async def ask(number: int, source: AskedSource) -> None:
        try:
            outcomes[number] = await source.answer(principal, now=now)
        except (TokenRejected, IssuerUnavailable) as error:
            outcomes[number] = error

    async with anyio.create_task_group() as tasks:
        for number, source in enumerate(sources):
            tasks.start_soon(ask, number, source)
    for kind in (TokenRejected, IssuerUnavailable):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Answer)]


def _nothing_beside(verdict: Verdict, sources: Sequence[AskedSource]) -> str:
    asked = any_of(source.name for source in sources)
    held = verdict.claims_hold or "the token gives no role"
    return f"{held}, nor does role source {asked} give one"


class RolesVerifier:
    """A Verifier (sessiond.api) around another: the sources are asked once a token is verified."""

    def __init__(self, verifier: Verifier, roles: AskedRoles) -> None:
        self._verifier = verifier
        self._ready = verifier if isinstance(verifier, ReadyVerifier) else None
        self._roles = roles

    @property
    def is_online(self) -> bool:
        """What the wrapped one says: it decides whether the issuer is asked again and again."""
        return self._verifier.is_online

    def needs_call(self, token: Secret) -> bool:
        """Say whether somebody is waited for; whose roles to ask for shows once it is verified."""
        return self._roles.asks_always or self._verifier.needs_call(token)

    def verify_now(
        self, token: Secret, *, now: datetime, generation: int, expires_in: float | None = None
    ) -> Verdict | None:
        """Return what the token proves where nobody is asked; see `sessiond.gate.ReadyVerifier`."""
        if self._roles.asks_always or self._ready is None:
            return None
        verdict = self._ready.verify_now(
            token, now=now, generation=generation, expires_in=expires_in
        )
        return None if verdict is None or self._roles.needs(verdict) else verdict

    async def verify(
        self, token: Secret, *, now: datetime, expires_in: float | None = None
    ) -> Verdict:
        """Return what the token proves with all roles; see `sessiond.api.Verifier`."""
        verdict = await self._verifier.verify(token, now=now, expires_in=expires_in)
        return await self._roles.completed(verdict, now=now)

    def still_valid(self, verdict: Verdict) -> bool:
        """Say whether the token and the roles in an earlier verdict still stand."""
        return self._roles.stand_in(verdict) and self._verifier.still_valid(verdict)

    async def probe(self) -> None:
        """Make the issuer's trial call; the sources have their own."""
        await self._verifier.probe()
