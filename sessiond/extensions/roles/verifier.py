"""A verifier whose verdicts have the roles that role sources add."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
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
from sessiond.extensions.roles.source import Answer, AskedSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTerms:
    """Whom one issuer's roles come from beside its tokens, and what is asked of them all."""

    sources: tuple[AskedSource, ...]  # of two that give one attribute, the first one's counts
    default_roles: tuple[str, ...]

    async def stop(self) -> None:
        """Have every source let go of what it holds."""
        for source in self.sources:
            await source.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class _GrantedVerdict(Verdict):
    """A verdict that stands for as long as every source's answer in it does."""

    until: float  # monotonic


class AskedRoles:
    """What the sources make of a verdict that has no default roles yet.

    Where one does not answer there is no verdict: never one with fewer roles.
    """

    def __init__(self, terms: RoleTerms, clock: Clock) -> None:
        self._terms = terms
        self._clock = clock

    async def completed(self, verdict: Verdict, *, now: datetime) -> Verdict:
        """Return the verdict with all roles and attributes.

        Raises:
            TokenRejected: A source refuses the user.
            IssuerUnavailable: A source did not answer.
        """
        answers = await self._answers(verdict.principal, now)
        assigned: Evidence = verdict.assigned
        for source, answer in zip(self._terms.sources, answers, strict=True):
            why = short(f"role source {source.name}")
            assigned = merged(assigned, given_by(why, answer.granted.roles))
        is_given = bool(assigned)
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
        said["claims_hold"] = "" if is_given else self._nothing_beside(verdict)
        said["attributes"] = MappingProxyType(attributes)
        return _GrantedVerdict(**said, until=min(each.until for each in answers))

    def _nothing_beside(self, verdict: Verdict) -> str:
        asked = any_of(source.name for source in self._terms.sources)
        held = verdict.claims_hold or "the token gives no role"
        return f"{held}, nor does role source {asked} give one"

    def stand_in(self, verdict: Verdict) -> bool:
        """Say whether the roles in an earlier verdict are news enough."""
        return isinstance(verdict, _GrantedVerdict) and self._clock.monotonic() < verdict.until

    async def _answers(self, principal: Principal, now: datetime) -> Sequence[Answer]:
        """Ask every source at the same time; a refusal counts before a failure."""
        sources = self._terms.sources
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


class RolesVerifier:
    """A Verifier (sessiond.api) around another: the sources are asked once a token is verified."""

    def __init__(self, verifier: Verifier, roles: AskedRoles) -> None:
        self._verifier = verifier
        self._roles = roles

    @property
    def is_online(self) -> bool:
        """What the wrapped one says: it decides whether the issuer is asked again and again."""
        return self._verifier.is_online

    def needs_call(self, token: Secret) -> bool:
        """Say True: whose roles to ask for is known only once the token is verified."""
        return True

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
