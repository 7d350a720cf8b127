"""Judges a chaos run. Each rule yields what it finds broken, as one line.

What was acknowledged is in the journal; what is true is in the databases that the daemon's deaths
have left. Nothing here asks sessiond what it thinks.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from tests.chaos.evidence import ENDS, Entry, Event, Evidence, Snapshot
from tests.chaos.justice import ROUNDING, unjustified
from tests.chaos.source_rules import SOURCE_RULES
from tests.chaos.store_rules import STORE_RULES
from tests.chaos.terms import LEASE, UNBOUND
from tests.chaos.ticket_rules import TICKET_RULES

PUSHED = {
    "refreshed": "session.refreshed",
    "renewed": "session.renewed",
    "roles": "session.roles",
    "revoked": "session.revoked",
    "expired": "session.expired",
}
SAME = 0.001  # seconds: kdb+ counts nanoseconds, JSON microseconds
LATE = 5.0  # seconds that a loaded machine may take to end what is over

Rule = Callable[[Evidence], Iterator[str]]


def violations(evidence: Evidence) -> list[str]:
    """Return everything that is wrong, in words."""
    found = {f"{rule.__name__}: {fault}": None for rule in RULES for fault in rule(evidence)}
    return list(found)


def databases_are_whole(evidence: Evidence) -> Iterator[str]:
    """Each database is sound, and no row hangs in the air."""
    for snapshot in evidence.snapshots:
        yield from (f"at {snapshot.n}: {fault}" for fault in snapshot.faults)


def history_is_one(evidence: Evidence) -> Iterator[str]:
    """Sequences have no gap and no reuse, over all restarts: each history begins the next."""
    for snapshot in evidence.snapshots:
        numbers = [event.sequence for event in snapshot.events]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"at {snapshot.n}: the sequences are not 1 to {len(numbers)}"
    for before, after in pairwise(evidence.snapshots):
        if after.events[: len(before.events)] != before.events:
            yield f"between {before.n} and {after.n} the history was changed"


def lives_are_lives(evidence: Evidence) -> Iterator[str]:
    """A session opens once, ends once, and nothing happens to it afterwards."""
    for snapshot in evidence.snapshots:
        for session, events in snapshot.of_session.items():
            kinds = [event.kind for event in events]
            if kinds.count("session.opened") > 1:
                yield f"at {snapshot.n}: {session} was opened more than once"
            if any(kind in ENDS for kind in kinds[:-1]):
                yield f"at {snapshot.n}: {session} goes on after its end: {kinds}"
            if kinds[-1] in ENDS and session in snapshot.sessions:
                yield f"at {snapshot.n}: {session} lives after its end: {kinds[-1]}"
        for session, live in snapshot.sessions.items():
            opened = "session.opened" in [
                event.kind for event in snapshot.of_session.get(session, [])
            ]
            if live.state != "unbound" and not opened:
                yield f"at {snapshot.n}: {session} is {live.state} and was never opened"


def acknowledged_is_on_disk(evidence: Evidence) -> Iterator[str]:
    """What a process was told before a death is in the database that the death left."""
    for snapshot in evidence.snapshots:
        by_session = snapshot.of_session
        for entry in evidence.of("opened", "let-in", before=snapshot.n):
            yield from _kept(entry["session"], entry, snapshot, by_session)
        for entry in evidence.of("reconciled", before=snapshot.n):
            for session in entry["held"]:
                yield from _kept(session, entry, snapshot, by_session)
        for entry in evidence.of("left", before=snapshot.n):
            if entry["session"] in snapshot.sessions:
                yield f"{entry['session']} left in {entry['n']} and lives"
        for entry in evidence.of("renewed", before=snapshot.n):
            if not any(
                event.kind == "session.renewed" and _same(event.expires_at, entry["expires"])
                for event in by_session.get(entry["session"], [])
            ):
                yield f"the renewal of {entry['n']} is lost"
        for entry in evidence.of("push", before=snapshot.n):
            yield from _told(entry, snapshot)


def logins_wait_to_be_opened(evidence: Evidence) -> Iterator[str]:
    """An accepted login that nothing has ended is still there while it may be opened."""
    ended_by = ("connecting", "reconciling", "process-killed")
    for snapshot in evidence.snapshots:
        by_session = snapshot.of_session
        for entry in evidence.of("login", before=snapshot.n):
            session = entry["session"]
            if session in snapshot.sessions or session in by_session:
                continue
            is_over = snapshot.t >= min(entry["asked_at"] + UNBOUND, entry["expires"])
            is_over |= entry.get("parent", session) not in {session, *snapshot.sessions}
            if not is_over and not any(
                each["process"] == entry["process"]
                and each["n"] > entry["n"]
                and each.get("handle", entry["handle"]) == entry["handle"]
                for each in evidence.of(*ended_by, before=snapshot.n)
            ):
                yield f"the login of {entry['n']} is lost"


def leases_are_kept(evidence: Evidence) -> Iterator[str]:
    """No refresh is lost, and no session is seen beyond its lease."""
    for snapshot in evidence.snapshots:
        for session, events in snapshot.of_session.items():
            live, promised = snapshot.sessions.get(session), events[-1].expires_at
            if live and live.expires_at and promised and live.expires_at < promised - SAME:
                yield f"at {snapshot.n}: {session} was promised more than its grant has"
    for entry in evidence.of("sees"):
        began = evidence.of("daemon-started", before=entry["n"])
        up_since = max((each["t"] for each in began), default=0.0)
        for session, expires in entry["sessions"].items():
            if max(expires, up_since) < entry["t"] - LATE:
                yield f"in {entry['n']}: {session} is seen after its lease"


def who_came_alone_is_not_prolonged(evidence: Evidence) -> Iterator[str]:
    """A session that only ever brought access tokens alone ends with the last of them."""
    fetched = {entry["token"]: entry["t"] for entry in evidence.of("token")}
    brought: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.of("login", "let-in", "child", "renewing"):
        brought[entry["session"]].append(entry)
    for session, entries in brought.items():
        if not all(entry["alone"] for entry in entries):
            continue
        end = max(fetched[entry["token"]] for entry in entries) + LEASE + ROUNDING
        for snapshot in evidence.snapshots:
            live, events = snapshot.sessions.get(session), snapshot.of_session.get(session, [])
            if live is not None and live.expires_at is not None and live.expires_at > end:
                yield f"at {snapshot.n}: {session} outlives its access token"
            if any(event.kind == "session.refreshed" for event in events):
                yield f"at {snapshot.n}: {session} was refreshed without a refresh token"


def reconciling_is_right(evidence: Evidence) -> Iterator[str]:
    """Who reconciles is told to close what had ended before he asked."""
    ends: dict[str, float] = {}
    for event in evidence.snapshots[-1].events:
        if event.kind in ENDS:
            ends[event.session] = event.at
    asked_at: dict[str, float] = {}
    for entry in evidence.of("reconciling", "reconciled"):
        if entry["kind"] == "reconciling":
            asked_at[entry["process"]] = entry["t"]
            continue
        for session in entry["held"]:
            if session in ends and ends[session] < asked_at[entry["process"]]:
                yield f"in {entry['n']}: {session} had ended and may stay"


def pushes_are_in_order(evidence: Evidence) -> Iterator[str]:
    """Each process is told of events in their order, and of none twice."""
    last: dict[str, int] = {}
    for entry in evidence.of("push"):
        if not entry["sequence"]:
            continue
        if entry["sequence"] <= last.get(entry["process"], 0):
            yield f"in {entry['n']}: {entry['sequence']} after {last[entry['process']]}"
        last[entry["process"]] = entry["sequence"]


def what_ended_stays_ended(evidence: Evidence) -> Iterator[str]:
    """A process that was told of an end never sees or holds that session again.

    The answer to a request from before the end may wait for that to another call, and come after
    it: the hook knows, and lets nobody in. A handle that could not be opened under a session over
    HTTP is no end of that.
    """
    ended: dict[str, float] = {}
    over_http: set[str] = set()
    for entry in evidence.entries:
        match entry["kind"]:
            case "push" if entry["event"] in ("revoked", "expired"):
                if entry.get("reason") != "unbound" or entry["session"] not in over_http:
                    ended.setdefault(entry["session"], entry["t"])
            case "left":
                ended.setdefault(entry["session"], entry["t"])
            case "let-in" | "child":
                over_http.add(entry["session"])
                asked_at = float(entry.get("asked_at") or entry["t"])
                if entry["session"] in ended and asked_at > ended[entry["session"]]:
                    yield f"in {entry['n']}: {entry['session']} is back"
            case "sees" | "reconciled":
                seen = entry["sessions"] if entry["kind"] == "sees" else entry["held"]
                for session in ended.keys() & set(seen):
                    yield f"in {entry['n']}: {session} is back"
            case _:
                pass


def children_end_with_their_parents(evidence: Evidence) -> Iterator[str]:
    """Nobody outlives the session that let him in, nor has one that was told another."""
    parents = {
        entry["session"]: entry["parent"]
        for entry in evidence.of("child", "login")
        if "parent" in entry
    }
    for snapshot in evidence.snapshots:
        for session, live in snapshot.sessions.items():
            if live.parent is not None and live.parent not in snapshot.sessions:
                yield f"at {snapshot.n}: {session} lives without {live.parent}"
            if session in parents and parents[session] != live.parent:
                yield f"at {snapshot.n}: {session} is of {live.parent}"


def who_lives_is_let_in(evidence: Evidence) -> Iterator[str]:
    """No browser is sent to sign in again whose session lives."""
    for entry in evidence.of("turned-away"):
        later = next((each for each in evidence.snapshots if each.n > entry["n"]), None)
        live = later.sessions.get(entry["session"]) if later else None
        if live is not None and live.expires_at is not None and live.expires_at > entry["t"]:
            yield f"in {entry['n']}: {entry['session']} was turned away and lives"


def a_bearer_is_one_session(evidence: Evidence) -> Iterator[str]:
    """What is shown, a token or the end of a sign-in, has one session at one process."""
    shown = {
        entry["session"]: (entry["process"], entry["token"]) for entry in evidence.of("let-in")
    }
    for snapshot in evidence.snapshots:
        live = Counter(shown[session] for session in snapshot.sessions if session in shown)
        for (process, token), number in live.items():
            if number > 1:
                yield f"at {snapshot.n}: {number} sessions of token {token} at {process}"


def beliefs_are_true(evidence: Evidence) -> Iterator[str]:
    """At the end a process has exactly the users that the daemon says it has."""
    opened = {entry["session"] for entry in evidence.of("opening")}
    ended = {entry["session"] for entry in evidence.of("push") if entry["event"] in PUSHED}
    seen = {entry["process"]: entry["sessions"] for entry in evidence.of("sees")}
    for entry in evidence.of("believes"):
        held, live = set(entry["held"]), opened.intersection(seen.get(entry["process"], {}))
        for session in held - live:
            yield f"{entry['process']} has {session}, which does not live"
        for session in live - held - ended:
            yield f"{entry['process']} does not have {session}, which lives"


def operators_are_obeyed(evidence: Evidence) -> Iterator[str]:
    """What an operator was told is revoked lives in no later database, nor comes in again."""
    fetched = {entry["token"]: entry["n"] for entry in evidence.of("token")}
    for revoked in evidence.of("operator-revoked"):
        for login in evidence.of("login", "let-in"):
            if login["session"] != revoked.get("session") and login["user"] != revoked.get("user"):
                continue
            if login["asked_at"] < revoked["t"]:  # though its answer was perhaps read later
                for snapshot in evidence.snapshots:
                    if revoked["n"] < snapshot.n and login["session"] in snapshot.sessions:
                        yield f"{login['session']}, revoked in {revoked['n']}, lives"
            elif login.get("by_cookie"):
                continue  # its tokens were had later than its person had signed in
            elif "user" in revoked and fetched[login["token"]] < revoked["n"]:
                yield f"{login['session']} came in by tokens revoked in {revoked['n']}"


def _kept(
    session: str, entry: Entry, snapshot: Snapshot, by_session: dict[str, list[Event]]
) -> Iterator[str]:
    """An opened session has its event, and lives or has an end."""
    kinds = [event.kind for event in by_session.get(session, [])]
    if "session.opened" not in kinds:
        yield f"{session}, opened by {entry['n']}, has no such event"
    if session not in snapshot.sessions and not set(kinds).intersection(ENDS):
        yield f"{session}, opened by {entry['n']}, is lost"


def _told(entry: Entry, snapshot: Snapshot) -> Iterator[str]:
    """A push with a sequence tells of the event of that sequence."""
    number = entry["sequence"]
    if not number:
        return
    if number > len(snapshot.events):
        yield f"event {number}, pushed in {entry['n']}, is lost"
        return
    event = snapshot.events[number - 1]
    kind = "session.closed" if entry["reason"] == "signout" else PUSHED[entry["event"]]
    told = (kind, entry["session"])
    if told != (event.kind, event.session) or not _same(event.expires_at, entry["expires"]):
        yield f"event {number} is another than was pushed in {entry['n']}"


def _same(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) < SAME)


RULES: tuple[Rule, ...] = (
    databases_are_whole,
    history_is_one,
    lives_are_lives,
    acknowledged_is_on_disk,
    logins_wait_to_be_opened,
    leases_are_kept,
    who_came_alone_is_not_prolonged,
    reconciling_is_right,
    pushes_are_in_order,
    what_ended_stays_ended,
    children_end_with_their_parents,
    a_bearer_is_one_session,
    who_lives_is_let_in,
    beliefs_are_true,
    operators_are_obeyed,
    unjustified,
    *TICKET_RULES,
    *SOURCE_RULES,
    *STORE_RULES,
)
