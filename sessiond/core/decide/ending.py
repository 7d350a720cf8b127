"""Taking back and running out."""

from sessiond.core.changes import Disown, End, Expire, Forget, Forgive, Revoke
from sessiond.core.decide.draft import Draft
from sessiond.core.errors import Refusal
from sessiond.core.events import SessionExpired, SessionRevoked
from sessiond.core.grant import Grant, GrantId
from sessiond.core.principal import Principal, folded
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.session import Session

BY_OPERATOR = "operator"


def revoke(draft: Draft, change: Revoke) -> int:
    """Take back lastingly, and drop the grants so that nothing refreshes them."""
    value = folded(change.value) if change.scope is Scope.USER else change.value
    revocation = Revocation(
        id=change.id, scope=change.scope, value=value, at=draft.now, reason=change.reason
    )
    draft.put(revocation)
    covered = _grants_covered(draft, revocation)
    ended = [
        session
        for session in draft.rows.sessions.values()
        if session.grant in covered or revocation.covers(session.principal)
    ]
    for session in ended:
        draft.take_back(session, SessionRevoked, BY_OPERATOR)
    for grant in covered.values():
        draft.revoke_grant(grant)
    return len(ended)


def _grants_covered(draft: Draft, revocation: Revocation) -> dict[GrantId, Grant]:
    """Return the grants to drop: a user's are those of the subject that bears or bore the name."""
    rows = draft.rows
    if revocation.scope is not Scope.USER:
        return {
            grant.id: grant
            for grant in rows.grants.values()
            if revocation.covers(Principal(issuer=grant.issuer, subject=grant.subject, name=""))
        }
    subjects = {
        (session.principal.issuer, session.principal.subject)
        for session in rows.sessions.values()
        if revocation.covers(session.principal)
    }
    owner = rows.owner_of(revocation.value)
    if owner is not None:
        subjects.add((owner.issuer, owner.subject))
    return {
        grant.id: grant
        for grant in rows.grants.values()
        if (grant.issuer, grant.subject) in subjects
    }


def forgive(draft: Draft, change: Forgive) -> bool:
    """Lift a revocation; what it ended stays ended."""
    revocation = draft.rows.revocations.get(change.id)
    if revocation is None:
        return False
    draft.drop(revocation)
    return True


def forget(draft: Draft, change: Forget) -> bool:
    """Let a name go: the next login under it may be another subject's."""
    owner = draft.rows.owner_of(change.name)
    if owner is None:
        return False
    draft.drop(owner)
    return True


def end(draft: Draft, change: End) -> int:
    """Take back what is live of a session or a process."""
    ended: list[Session] = []
    if change.session is not None and change.session in draft.rows.sessions:
        ended.append(draft.rows.sessions[change.session])
    if change.process is not None:
        ended.extend(draft.rows.sessions_of(change.process))
    for session in ended:
        draft.take_back(session, SessionRevoked, BY_OPERATOR)
    return len(ended)


def disown(draft: Draft, change: Disown) -> None:
    """End what hangs on grants that nobody here could verify or refresh any more."""
    for grant_id in dict.fromkeys(change.grants):
        grant = draft.rows.grants.get(grant_id)
        if grant is None:
            continue
        for session in draft.rows.sessions_of(grant.id):
            draft.take_back(session, SessionRevoked, Refusal.WRONGISSUER.value)
        draft.forget_grant(grant)


def expire(draft: Draft, change: Expire) -> None:
    """End what is over by now, once however often it is named. What was prolonged stays."""
    rows, now = draft.rows, draft.now
    over = [rows.grants[key] for key in dict.fromkeys(change.grants) if key in rows.grants]
    over = [grant for grant in over if grant.lease.expires_at <= now]
    for grant in over:
        for session in rows.sessions_of(grant.id):
            draft.take_back(session, SessionExpired, "expired")
        draft.forget_grant(grant)
    gone = {grant.id for grant in over}
    for session_id in dict.fromkeys(change.sessions):
        waiting = rows.sessions.get(session_id)
        if waiting is None or waiting.grant in gone:
            continue
        if waiting.until is not None and waiting.until <= now:
            draft.close(waiting, "lost", push=True)  # silent for one that was never opened
    for token in dict.fromkeys(change.tokens):
        trace = rows.tokens.get(token)
        if trace is not None and trace.grant is None and trace.keep_until <= now:
            draft.drop(trace)
