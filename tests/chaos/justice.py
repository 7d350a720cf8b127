"""Why sessions may end, and why they may not go on: judged by what the driver did to whom."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import ENDS, Entry, Event, Evidence
from tests.chaos.terms import LEASE

ROUNDING = 1.0  # seconds: `iat` and `exp` are whole ones
BLOWS = ("user-revoking", "user-disabling", "issuer-killing")
CUTS = ("user-revoked", "user-disabled", "issuer-killed")


def unjustified(evidence: Evidence) -> Iterator[str]:
    """Every end has a reason that the driver gave, and what the issuer ended does not go on."""
    court = Court(evidence)
    for event in evidence.snapshots[-1].events:
        if event.kind in ENDS and not court.allows(event):
            yield f"{event.session} of {event.user}: {event.kind} {event.reason} ({event.sequence})"
        if event.kind not in ENDS and court.forbids(event.user, event.at, event.expires_at):
            yield f"{event.session} of {event.user} goes on: {event.kind} ({event.sequence})"
    for snapshot in evidence.snapshots:
        for session, live in snapshot.sessions.items():
            if court.forbids(live.user, snapshot.t, live.expires_at):
                yield f"{session} of {live.user} lives on"


class Court:
    """Knows what was done to each session, process, user and issuer."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._home: dict[str, Entry] = {}  # a session's login, as far as it was answered
        self._left: set[str] = set()
        self._dead = {entry["process"] for entry in evidence.of("process-killed")}
        self._brought: defaultdict[str, list[int]] = defaultdict(list)  # tokens by session
        self._fetched = {entry["token"]: entry["t"] for entry in evidence.of("token")}
        for entry in evidence.of("login", "let-in", "child"):
            self._home.setdefault(entry["session"], entry)
            self._brought[entry["session"]].append(entry["token"])
        for entry in evidence.of("renewing"):
            self._brought[entry["session"]].append(entry["token"])
        for session, home in self._home.items():
            self._brought[session] += self._brought.get(home.get("parent", ""), [])
        for entry in evidence.of("leaving"):
            self._left.add(entry["session"])

    def allows(self, event: Event) -> bool:
        """Say whether a session may have ended as the event says."""
        home = self._home.get(event.session)
        if home is None:
            return True  # the login's answer was lost: nobody was promised anything
        match event.kind, event.reason:
            case "session.expired", _:
                return event.expires_at is not None and event.at >= event.expires_at
            case "session.closed", "disconnect":
                return event.session in self._left or self._was_not_held(home)
            case "session.closed", "signout":
                return event.session in self._left
            case "session.closed", "replaced":
                return self._handle_was_taken(home)
            case "session.closed", "lost":
                return home["process"] in self._dead
            case "session.revoked", "parent":
                return self._has_no_parent(event, home)
            case "session.revoked", "refused":
                return self._had_trouble(event)
            case "session.revoked", "operator":
                return self._was_revoked(event)
            case _:
                return False

    def forbids(self, user: str, at: float, expires_at: float | None) -> bool:
        """Say whether a lease is longer than what the issuer did to the user leaves it."""
        if expires_at is None or not user.endswith(".test"):
            return False
        for cut in self._cuts(user):
            reopening = "user-enabled" if cut["kind"] == "user-disabled" else "token"
            is_reopened = any(
                each["user"] == user and cut["t"] <= each["t"] <= at
                for each in self._evidence.of(reopening)
            )
            if cut["t"] < at and not is_reopened and expires_at > cut["t"] + LEASE + ROUNDING:
                return True
        return False

    def _cuts(self, user: str) -> Iterator[Entry]:
        for cut in self._evidence.of(*CUTS):
            if cut.get("user", user) == user and user.startswith(cut["issuer"]):
                yield cut

    def _was_not_held(self, home: Entry) -> bool:
        return any(
            entry["process"] == home["process"]
            and entry["n"] > home["n"]
            and home["session"] not in entry["held"]
            for entry in self._evidence.of("reconciling")
        )

    def _handle_was_taken(self, home: Entry) -> bool:
        return any(
            entry["process"] == home["process"]
            and entry["handle"] == home["handle"]
            and entry["n"] > home["n"]
            for entry in self._evidence.of("connecting")
        )

    def _has_no_parent(self, event: Event, home: Entry) -> bool:
        of_parent = self._evidence.snapshots[-1].of_session.get(home.get("parent", ""), [])
        return any(each.kind in ENDS and each.at <= event.at for each in of_parent)

    def _was_revoked(self, event: Event) -> bool:
        return any(
            entry["t"] <= event.at
            and (entry.get("session") == event.session or entry.get("user") == event.user)
            for entry in self._evidence.of("operator-revoking")
        )

    def _had_trouble(self, event: Event) -> bool:
        """The issuer had a reason, since the oldest token of the session, to refuse a refresh."""
        born = min(self._fetched[token] for token in self._brought[event.session])
        blows = (
            blow
            for blow in self._evidence.of(*BLOWS)
            if blow["issuer"] == event.issuer and blow.get("user", event.user) == event.user
        )
        if any(born <= blow["t"] <= event.at for blow in blows):
            return True
        if any(self._refusing(event, born)):
            return True
        return event.issuer == "strict" and any(
            (event.issuer, event.user) in snapshot.in_flight and born <= snapshot.t <= event.at
            for snapshot in self._evidence.snapshots
        )

    def _refusing(self, event: Event, born: float) -> Iterator[bool]:
        """Yield whether each fault that refuses was waiting for a request in the session's life."""
        since: float | None = None
        for entry in self._evidence.of("fault", "faults-cleared", "issuer-killed"):
            if entry["issuer"] != event.issuer:
                continue
            if entry["kind"] == "fault":
                since = entry["t"] if entry["refuses"] and since is None else since
            elif since is not None:
                yield since <= event.at and born <= entry["t"]
                since = None
        if since is not None:
            yield since <= event.at
