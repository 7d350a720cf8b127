"""Users leaving, processes leaving and coming back."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from msgspec import structs

from sessiond.core.access import Access, Denied, cost_of
from sessiond.core.changes import Close, ProcessLost, ProcessMet, Reconcile
from sessiond.core.decide.access import (
    end_denied,
    judged,
    settle_children,
    tell_opened,
    tell_roles,
    with_access,
)
from sessiond.core.decide.draft import Draft
from sessiond.core.events import SessionExpired
from sessiond.core.rows import RowsView
from sessiond.core.rules import Rules
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
    if session is None or session.process != change.process:
        return
    if draft.web_login_of(session) is None:  # else there is no handle that was left
        draft.close(session, "disconnect")


def process_lost(draft: Draft, change: ProcessLost) -> None:
    """Let the sessions of a lost process wait for it; end them where it cannot come back."""
    for session in draft.rows.sessions_of(change.process):
        if draft.is_full:
            draft.rest = change
            return
        if not can_come_back(change.process):
            draft.close(session, "lost")
        elif session.state in (SessionState.OPEN, SessionState.WEB):
            (waiting,) = resumed(draft.rows, [session], now=draft.now, rules=draft.rules)
            draft.put(waiting)


def process_met(draft: Draft, change: ProcessMet) -> None:
    """Let the sessions of a process that says hello wait for it to say which it has.

    It has nothing to say of those over HTTP: they last as long as if it had not been away.
    """
    for session_id in draft.rows.ids_of(change.process):
        if draft.is_full:
            draft.rest = change
            return
        session = draft.current(session_id)
        if session is None:  # it has ended with its parent
            continue
        web_login = draft.web_login_of(session)
        if web_login is None and session.state is SessionState.OPEN:
            (waiting,) = resumed(draft.rows, [session], now=draft.now, rules=draft.rules)
            draft.put(waiting)
        elif web_login is not None and session.state is SessionState.WAITING:
            until = web_login.until(draft.rules.web)
            back = structs.replace(session, state=SessionState.WEB, until=until)
            _go_on(draft, session, back)


def can_come_back(process: ProcessKey) -> bool:
    """Say whether a process is known again on another connection.

    One without a pid is not: it is known by its connection alone, since what it says of itself
    could be said by anybody.
    """
    return process.pid != 0


def resumed(
    rows: RowsView, sessions: Iterable[Session], *, now: datetime, rules: Rules
) -> Iterator[Session]:
    """Yield sessions as they are while nothing is heard of their processes, from now on."""
    waiting = SessionState.WAITING, now + rules.grace  # of very many: one object
    unbound = SessionState.UNBOUND, now + rules.unbound
    for each in sessions:
        state, until = unbound if each.state is SessionState.UNBOUND else waiting
        web_login = None if each.handle else rows.web_logins.get(each.id)
        if web_login is not None:  # which nothing prolongs but its use
            until = min(until, web_login.until(rules.web))
        yield structs.replace(each, state=state, until=until)


def reconcile(draft: Draft, change: Reconcile) -> list[int]:
    """Make the rows and a process's own list one; answer the handles it must close."""
    if change.unsaid is None:
        change = _looked_up(draft, change)
    on_handle = {handle for handle, _ in change.held} if change.unsaid else set()
    unsaid, held, doomed = list(change.unsaid or ()), list(change.held), list(change.doomed)
    while unsaid and not draft.is_full:
        session = draft.current(unsaid.pop())
        if session is None:
            draft.passed += 1
        elif draft.web_login_of(session) is not None:
            draft.passed += 1
            if session.about != change.about:
                _go_on(draft, session, structs.replace(session, about=change.about))
        elif session.state is not SessionState.UNBOUND:
            draft.close(session, "disconnect")
        elif session.handle in on_handle:
            draft.close(session, "replaced")
        elif session.about != change.about:
            _go_on(draft, session, structs.replace(session, about=change.about))
    while held and not draft.is_full:
        handle, session_id = held.pop()
        found = draft.live(session_id)
        is_its_own = found is not None and found.process == change.process
        if found is None or not is_its_own or draft.web_login_of(found) is not None:
            doomed.append(handle)
            draft.passed += 1
        elif draft.expires_at(found) <= draft.now:
            doomed.append(handle)
            draft.end(found, SessionExpired, "expired")
        elif (found.state, found.handle, found.about) == (SessionState.OPEN, handle, change.about):
            draft.passed += 1
        elif not _hold(draft, found, change, handle):
            doomed.append(handle)
    if unsaid or held:
        draft.rest = replace(change, unsaid=tuple(unsaid), held=tuple(held), doomed=tuple(doomed))
    return doomed


def _looked_up(draft: Draft, change: Reconcile) -> Reconcile:
    """Return the change with each handle and each session once, and the sessions it leaves out."""
    on_handle = dict(change.held)  # a handle holds one session, and a session one handle
    # By number: a UUID's own hash is Python code, and there may be ten thousand.
    held = {session.int: (handle, session) for handle, session in on_handle.items()}
    others = [each for each in draft.rows.ids_of(change.process) if each.int not in held]
    holding = {handle for handle, _ in held.values()}
    return replace(
        change,
        held=tuple(held.values())[::-1],
        unsaid=tuple(others)[::-1],
        doomed=tuple(sorted(on_handle.keys() - holding)),
    )


def _go_on(draft: Draft, before: Session, after: Session) -> None:
    """Let a login without a handle go on, where it may by the name that its process has now."""
    access = _judged_anew(draft, after)
    if isinstance(access, Denied):
        end_denied(draft, before, access)
        return
    after = with_access(after, access)
    draft.put(after)
    expires_at = draft.expires_at(before)
    tell_roles(draft, before, after, access, expires_at=expires_at)
    settle_children(draft, after, expires_at=expires_at)


def _hold(draft: Draft, session: Session, change: Reconcile, handle: int) -> bool:
    """Note that the process does hold a session, on this handle; False: by its name it may not."""
    opened = structs.replace(
        session, about=change.about, handle=handle, state=SessionState.OPEN, until=None
    )
    access = _judged_anew(draft, opened)
    if isinstance(access, Denied):
        end_denied(draft, session, access)
        return False
    opened, expires_at = with_access(opened, access), draft.expires_at(session)
    if session.state is SessionState.UNBOUND:
        opened = structs.replace(opened, since=draft.latest(session.since))
        tell_opened(draft, opened, access, expires_at=expires_at)
    draft.put(opened)
    tell_roles(draft, session, opened, access, expires_at=expires_at)
    settle_children(draft, opened, expires_at=expires_at)
    return True


def _judged_anew(draft: Draft, session: Session) -> Access | Denied:
    """Return what its user may do there; of sessions with very many roles few go in one piece."""
    draft.passed += cost_of(session.assigned) - 1
    return judged(draft, session)
