"""What operators ask: the rows as they stand. Nothing here writes or tells anything."""

import heapq
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from sessiond.core.changes import (
    Count,
    Counts,
    FindProcesses,
    FindSession,
    Judge,
    KnownNames,
    Listed,
    ListRevocations,
    ListSessions,
    Page,
)
from sessiond.core.decide.draft import Draft
from sessiond.core.decide.tokens import refusal_of
from sessiond.core.errors import Refusal
from sessiond.core.principal import folded
from sessiond.core.revocation import Revocation
from sessiond.core.session import ProcessAbout, ProcessKey, Session, SessionState


def list_sessions(draft: Draft, change: ListSessions) -> Page:
    """Return a page. Sessions that come and go meanwhile move nobody to another page."""
    user = folded(change.user)
    matching = (
        session
        for session in draft.rows.sessions.values()
        if (change.after is None or session.id > change.after)
        and (not user or folded(session.principal.name) == user)
        and (not change.issuer or session.principal.issuer == change.issuer)
        and (not change.process or _is_called(session.about, change.process))
    )
    found = heapq.nsmallest(change.limit + 1, matching, key=lambda each: each.id)
    return Page(
        sessions=tuple(_listed(draft, each) for each in found[: change.limit]),
        has_more=len(found) > change.limit,
    )


def find_session(draft: Draft, change: FindSession) -> Listed | None:
    """Return one session."""
    session = draft.rows.sessions.get(change.session)
    return None if session is None else _listed(draft, session)


def find_processes(draft: Draft, change: FindProcesses) -> tuple[ProcessKey, ...]:
    """Return who they are by the kernel's word, each once."""
    found = (
        session.process
        for session in draft.rows.sessions.values()
        if _is_called(session.about, change.process)
    )
    return tuple(dict.fromkeys(found))


def known_names(draft: Draft, change: KnownNames) -> frozenset[str]:
    """Return the names that have an owner."""
    return change.names & draft.rows.names.keys()


def list_revocations(draft: Draft, _: ListRevocations) -> tuple[Revocation, ...]:
    """Return the revocations in force."""
    return tuple(sorted(draft.rows.revocations.values(), key=lambda each: each.at))


def count(draft: Draft, change: Count) -> Counts:
    """Count the rows."""
    states = Counter(session.state for session in draft.rows.sessions.values())
    due = (grant.refresh_at for grant in draft.rows.grants.values())
    return Counts(
        sessions={state: states[state] for state in SessionState},
        grants=len(draft.rows.grants),
        revocations=len(draft.rows.revocations),
        next_refresh_at=min((at for at in due if at is not None), default=None),
        expiring=_expiring(draft, change.expiring_within),
    )


def judge(draft: Draft, change: Judge) -> Refusal | None:
    """Return why the tokens would be refused, if they would."""
    return refusal_of(draft, change.brought, is_proof_due=change.is_proof_due)


def _expiring(draft: Draft, within: Sequence[float]) -> dict[float, int]:
    """Return how many sessions have a lease that ends within so many seconds, by each."""
    last = draft.now + timedelta(seconds=max(within, default=0.0))
    left = {
        grant.id: (grant.lease.expires_at - draft.now).total_seconds()
        for grant in draft.rows.grants.values()
        if grant.lease.expires_at < last
    }
    ending = [left[each.grant] for each in draft.rows.sessions.values() if each.grant in left]
    return {seconds: sum(each < seconds for each in ending) for seconds in within}


def _is_called(about: ProcessAbout, process: str) -> bool:
    return process in (about.name, f"{about.name}:{about.pid}")


def _listed(draft: Draft, session: Session) -> Listed:
    grant = draft.rows.grants[session.grant]
    return Listed(session=session, expires_at=grant.lease.expires_at, refresh_at=grant.refresh_at)
