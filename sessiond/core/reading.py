"""What answering and deciding read: the rows as they stand, the time, and the rules."""

from datetime import datetime

from sessiond.core.grant import Grant, GrantId
from sessiond.core.rows import RowsView
from sessiond.core.rules import Rules
from sessiond.core.session import ActiveSession, ProcessKey, Session, SessionId, SessionState
from sessiond.core.web_login import WebLogin

PIECE = 128  # writes, events and rows passed over in one answer or decision: 2 ms at most


class Reading:
    """One look at the rows. It has nothing to write with."""

    def __init__(self, rows: RowsView, now: datetime, rules: Rules) -> None:
        self.rows = rows
        self.now = now
        self.rules = rules
        self.piece = PIECE

    def latest(self, before: datetime) -> datetime:
        """Return now, or what was before where the clock was set back since.

        Else what has come after a revocation would seem to be older than it.
        """
        return max(self.now, before)

    def live(self, session: SessionId) -> Session | None:
        """Return a session. One that was taken back has ended, though that is not written yet."""
        found = self.rows.sessions.get(session)
        return None if found is None or self.rows.is_revoked(found) else found

    def live_grant(self, grant: GrantId) -> Grant | None:
        """Return a grant, unless it was taken back, though it is not dropped yet."""
        found = self.rows.grants.get(grant)
        return None if found is None or any(self.rows.revocations_of_grant(found)) else found

    def is_crowded(self, process: ProcessKey, handle: int) -> bool:
        """Say whether a process has as many sessions as it may, and this would be one more."""
        has_room = self.rows.count_of(process) < self.rules.max_sessions
        return not has_room and self.rows.session_on(process, handle) is None

    def expires_at(self, session: Session) -> datetime:
        """Return the end of the session's lease, as the rows stand."""
        return self.rows.grants[session.grant].lease.expires_at

    def web_login_of(self, session: Session) -> WebLogin | None:
        """Return what stands beside a session over HTTP. Others have a handle, or no such thing."""
        return None if session.handle else self.rows.web_logins.get(session.id)

    def is_over(self, session: Session, web_login: WebLogin) -> bool:
        """Say whether nobody may use a session over HTTP any more, or while its process is lost."""
        over_at = min(self.expires_at(session), web_login.until(self.rules.web))
        return session.state is not SessionState.WEB or over_at <= self.now

    def active(self, session: Session, grant: Grant) -> ActiveSession:
        return ActiveSession(session=session, expires_at=grant.lease.expires_at)
