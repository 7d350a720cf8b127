"""Users leaving, processes leaving and coming back."""

from dataclasses import replace
from datetime import datetime

from sessiond.core.changes import Close, Find, Look, Lose, Reconcile, Standing
from sessiond.core.decide.draft import Draft, Rules
from sessiond.core.events import SessionExpired, SessionOpened
from sessiond.core.session import ProcessKey, Session, SessionState


def close(draft: Draft, change: Close) -> None:
    """End the session that the user left: the one that is named, else the one on the handle.

    By the time a process says that a handle was left, somebody else may be on it. So a name counts
    alone, and whatever the state or handle of what it names, as long as the process has it.
    """
    if change.session is None:
        session = draft.rows.session_on(change.process, change.handle)
    else:
        session = draft.rows.sessions.get(change.session)
    if session is not None and session.process == change.process:
        draft.close(session, "disconnect")


def lose(draft: Draft, change: Lose) -> None:
    """Let the sessions of a lost process wait for it; end them where it cannot come back."""
    for session in draft.rows.sessions_of(change.process):
        if not can_come_back(change.process):
            draft.close(session, "lost")
        elif session.state is SessionState.OPEN:
            draft.put(resumed(session, now=draft.now, rules=draft.rules))


def can_come_back(process: ProcessKey) -> bool:
    """Say whether a process is known again on another connection.

    One without a pid is not: it is known by its connection alone, since what it says of itself
    could be said by anybody.
    """
    return process.pid != 0


def resumed(session: Session, *, now: datetime, rules: Rules) -> Session:
    """Return the session as it is while nothing is heard of its process, from now on."""
    if session.state is SessionState.UNBOUND:
        return replace(session, until=now + rules.unbound)
    return replace(session, state=SessionState.WAITING, until=now + rules.grace)


def reconcile(draft: Draft, change: Reconcile) -> list[int]:
    """Make the rows and a process's own list one; answer the handles it must close."""
    on_handle = dict(change.held)  # a handle holds one session, and a session one handle
    held = {session: handle for handle, session in on_handle.items()}
    doomed = sorted(set(on_handle) - set(held.values()))
    for session in draft.rows.sessions_of(change.process):
        if session.id in held:
            continue
        if session.state is not SessionState.UNBOUND:
            draft.close(session, "disconnect")
        elif session.handle in on_handle:
            draft.close(session, "replaced")
    for session_id, handle in held.items():
        found = draft.rows.sessions.get(session_id)
        if found is None or found.process != change.process:
            doomed.append(handle)
        elif draft.expires_at(found) <= draft.now:
            doomed.append(handle)
            draft.take_back(found, SessionExpired, "expired")
        elif (found.state, found.handle) != (SessionState.OPEN, handle):
            _hold(draft, found, change, handle)
    return doomed


def _hold(draft: Draft, session: Session, change: Reconcile, handle: int) -> None:
    """Note that the process does hold a session, on this handle."""
    opened = replace(
        session, about=change.about, handle=handle, state=SessionState.OPEN, until=None
    )
    if session.state is SessionState.UNBOUND:
        opened = replace(opened, since=draft.now)
        expires_at = draft.expires_at(session)
        draft.tell(draft.event(SessionOpened, opened, expires_at=expires_at))
    draft.put(opened)


def look(draft: Draft, change: Look) -> list[Standing]:
    """Return the live sessions of a process."""
    rows = draft.rows
    return [
        draft.standing(session, rows.grants[session.grant])
        for session in rows.sessions_of(change.process)
    ]


def find(draft: Draft, change: Find) -> Standing | None:
    """Return one live session of a process."""
    session = draft.rows.sessions.get(change.session)
    if session is None or session.process != change.process:
        return None
    if draft.expires_at(session) <= draft.now:
        return None
    return draft.standing(session, draft.rows.grants[session.grant])
