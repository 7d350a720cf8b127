"""What a chaos run holds about tickets. Each rule yields what it finds broken, as one line."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import Entry, Evidence, Snapshot
from tests.chaos.justice import ROUNDING
from tests.chaos.terms import TICKET

SKEW = 0.01  # seconds between two readings of one clock


def a_ticket_opens_one_session(evidence: Evidence) -> Iterator[str]:
    """However often a ticket is brought, and whatever dies meanwhile: it makes one session."""
    made: defaultdict[str, set[str]] = defaultdict(set)
    for entry in _spent(evidence):
        made[entry["jti"]].add(entry["session"])
    for snapshot in evidence.snapshots:
        for jti, session in snapshot.tickets.items():
            if jti in made:  # what nobody was told is nobody's
                made[jti].add(session)
    for jti, sessions in made.items():
        if len(sessions) > 1:
            yield f"the ticket {jti} opened {sorted(sessions)}"


def a_ticket_is_for_one_place_and_a_short_time(evidence: Evidence) -> Iterator[str]:
    """It lets in at the process that it names, before its end, and is not asked for longer."""
    tickets = {entry["jti"]: entry for entry in evidence.of("ticket")}
    for ticket in tickets.values():
        if ticket["expires"] > ticket["t"] + TICKET + ROUNDING:
            yield f"the ticket of {ticket['n']} lives longer than {TICKET} s"
    for entry in _spent(evidence):
        ticket = tickets[entry["jti"]]
        if entry["process"] != ticket["audience"]:
            yield f"in {entry['n']}: {entry['process']} let in by a ticket for another"
        if entry["asked_at"] > ticket["expires"] + SKEW:
            yield f"in {entry['n']}: let in by a ticket that was over"


def what_was_spent_stays_spent(evidence: Evidence) -> Iterator[str]:
    """A ticket that somebody is in by is spent in every database while it could come again."""
    tickets = {entry["jti"]: entry for entry in evidence.of("ticket")}
    for snapshot in evidence.snapshots:
        for entry in _spent(evidence, snapshot):
            is_over = snapshot.t >= tickets[entry["jti"]]["expires"]
            if not is_over and entry["jti"] not in snapshot.tickets:
                yield f"at {snapshot.n}: the ticket of {entry['n']} could be spent again"


def children_go_with_their_parents(evidence: Evidence) -> Iterator[str]:
    """Nobody who came by a ticket lives, or comes, once his first session is known to be over."""
    over: dict[str, int] = {}
    for entry in evidence.of("left", "operator-revoked", "push"):
        if entry["kind"] != "push" or entry["event"] in ("revoked", "expired"):
            over.setdefault(entry.get("session") or "", entry["n"])
    for asked in evidence.of("ticket"):
        if over.get(asked["parent"], float("inf")) < asked["asked_n"]:
            yield f"in {asked['n']}: a ticket of {asked['parent']}, which is over"
    for spent in _spent(evidence):
        end = over.get(spent["parent"], float("inf"))
        if end < spent["asked_n"]:
            yield f"in {spent['n']}: {spent['session']} comes by {spent['parent']}, which is over"
        for snapshot in evidence.snapshots:
            if end < snapshot.n and spent["session"] in snapshot.sessions:
                yield f"at {snapshot.n}: {spent['session']} lives without {spent['parent']}"


def children_are_no_more_than_their_parents(evidence: Evidence) -> Iterator[str]:
    """Who came by a ticket has his parent's lease, and none but his parent's roles."""
    for snapshot in evidence.snapshots:
        for session, live in snapshot.sessions.items():
            parent = snapshot.sessions.get(live.parent or "")
            if parent is None or not live.hops:
                continue
            if live.expires_at != parent.expires_at:
                yield f"at {snapshot.n}: {session} has another lease than {live.parent}"
            if not live.roles <= parent.roles:
                yield f"at {snapshot.n}: {session} has more roles than {live.parent}"
            if live.hops != parent.hops + 1:
                yield f"at {snapshot.n}: {session} is {live.hops} from its sign-in"


def tickets_beget_no_tickets(evidence: Evidence) -> Iterator[str]:
    """With a depth of one, who came by a ticket gets none."""
    born = {entry["session"] for entry in _spent(evidence)}
    for entry in evidence.of("ticket"):
        if entry["parent"] in born:
            yield f"in {entry['n']}: a ticket of {entry['parent']}, which came by one"


def _spent(evidence: Evidence, snapshot: Snapshot | None = None) -> Iterator[Entry]:
    """Yield the logins by a ticket that were answered with yes, before a death where one is."""
    before = float("inf") if snapshot is None else snapshot.n
    return (each for each in evidence.of("login", before=before) if "jti" in each)


TICKET_RULES = (
    a_ticket_opens_one_session,
    a_ticket_is_for_one_place_and_a_short_time,
    what_was_spent_stays_spent,
    children_go_with_their_parents,
    children_are_no_more_than_their_parents,
    tickets_beget_no_tickets,
)
