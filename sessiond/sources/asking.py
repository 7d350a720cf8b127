"""Who asks for a token, and whether it is his to have."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from sessiond.core.events import Operator
from sessiond.core.session import ActiveSession, ProcessAbout
from sessiond.sources.answer import NotGiven, Reason
from sessiond.sources.fetching import Key
from sessiond.sources.issued_tally import Asker, Issue
from sessiond.sources.settings import RunningSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One asking."""

    source: str  # as it was asked for: a stranger's text
    who: Hashable  # the process, or the peer's uid: so many of one wait at a time
    process: ProcessAbout | None = None
    by: Operator | None = None  # a peer of the control socket, whom its lists have let in
    session: ActiveSession | None = None  # one of the asker's own, on whose user's behalf it is

    def judged(self, sources: Mapping[str, RunningSource]) -> tuple[RunningSource, Key] | NotGiven:
        """Return the source, and whose token of it; or that it is not for who asks.

        To a process a source that is not for it is as one that is not there.
        """
        running = sources.get(self.source)
        if running is None:
            return _notallowed("there is no such source, wanted one of [[source]]")
        if self.process is not None and not running.processes.match(self.process.name):
            return _notallowed("the process is not among processes, wanted one that is")
        if running.config.grant != "on_behalf_of":
            return running, None
        if self.session is None:
            return _notallowed("no session is named, wanted a user's for grant on_behalf_of")
        session = self.session.session
        if session.principal.issuer != running.config.issuer:
            return _notallowed(
                f"the session's issuer is {session.principal.issuer}, wanted the source's: a "
                "user's token goes to nobody but the issuer that gave it"
            )
        return running, session.grant

    @property
    def asker(self) -> Asker:
        """What it is summed by."""
        if self.session is None:
            return Asker(self.who, self.source, ("", ""))
        principal = self.session.session.principal
        return Asker(self.who, self.source, (principal.issuer, principal.subject))

    @property
    def issue(self) -> Issue:
        """What is told of it, once the token is given."""
        whose = None if self.session is None else self.session.session
        return Issue(
            source=self.source,
            process=self.process,
            by=self.by,
            session=None if whose is None else whose.id,
            user="" if whose is None else whose.principal.name,
            issuer="" if whose is None else whose.principal.issuer,
        )


def _notallowed(detail: str) -> NotGiven:
    return NotGiven(reason=Reason.NOTALLOWED, detail=detail)
