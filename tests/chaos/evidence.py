"""Reads what a chaos run has left: its journal and a database for each of the daemon's deaths.

It stands apart from sessiond: of the database it knows the tables, of events their JSON.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

Entry = dict[str, Any]  # a line of the journal
DEATHS = ("daemon-killed", "daemon-stopped")
ENDS = ("session.revoked", "session.expired", "session.closed")


@dataclass(frozen=True)
class Event:
    """A row of the outbox; times are Unix time."""

    sequence: int
    kind: str
    at: float
    session: str
    user: str
    issuer: str
    reason: str
    expires_at: float | None
    process: str = ""  # its name
    source: str = ""  # of data, where it tells of a token for one


@dataclass(frozen=True)
class Live:
    """A session that a database holds."""

    state: str
    user: str
    issuer: str
    expires_at: float | None  # of its grant; None where that is missing
    parent: str | None = None  # the session that let its handle in
    hops: int = 0  # tickets between its user's sign-in and it
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Snapshot:
    """A database as one death of the daemon left it."""

    n: int  # of the journal's entry: what has a lower one was acknowledged before
    t: float
    faults: list[str]  # what SQLite or a missing row says
    sessions: dict[str, Live]
    events: list[Event]
    in_flight: set[tuple[str, str]]  # issuer and user of grants whose refresh was under way
    tickets: dict[str, str] = field(default_factory=dict)  # spent ones: `jti` and session
    sources_in_flight: frozenset[str] = frozenset()
    values: dict[tuple[str, str], int] = field(default_factory=dict)  # bytes by context and name

    @property
    def of_session(self) -> dict[str, list[Event]]:
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.session:
                found[event.session].append(event)
        return found


@dataclass(frozen=True)
class Evidence:
    entries: list[Entry]
    snapshots: list[Snapshot] = field(default_factory=list)

    def of(self, *kinds: str, before: float = float("inf")) -> Iterator[Entry]:
        """Yield the entries of these kinds whose number is below `before`."""
        return (each for each in self.entries if each["kind"] in kinds and each["n"] < before)


def read(folder: Path) -> Evidence:
    """Return all that the folder of a run holds."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    evidence = Evidence([json.loads(line) for line in lines])
    for entry in evidence.of(*DEATHS):
        path = folder / f"snapshot-{entry['snapshot']}.db"
        with closing(sqlite3.connect(path)) as db:
            evidence.snapshots.append(_snapshot(db, entry))
    return evidence


def _snapshot(db: sqlite3.Connection, entry: Entry) -> Snapshot:
    return Snapshot(
        n=entry["n"],
        t=entry["t"],
        faults=list(_faults(db)),
        sessions=dict(_sessions(db)),
        events=[
            _event(sequence, json.loads(body))
            for sequence, body in db.execute("SELECT sequence, body FROM events ORDER BY sequence")
        ],
        in_flight=set(
            db.execute(
                "SELECT grants.issuer, names.name FROM grants"
                " JOIN names ON names.issuer = grants.issuer AND names.subject = grants.subject"
                " WHERE grants.in_flight_since IS NOT NULL"
            )
        ),
        tickets={
            str(UUID(bytes=jti)): str(UUID(bytes=session))
            for jti, session in db.execute("SELECT id, session FROM spent_tickets")
        },
        sources_in_flight=frozenset(
            name
            for (name,) in db.execute(
                "SELECT name FROM source_grants WHERE in_flight_since IS NOT NULL"
            )
        ),
        values={
            (context, name): size
            for context, name, size in db.execute("SELECT context, name, size FROM stored_values")
        },
    )


def _faults(db: sqlite3.Connection) -> Iterator[str]:
    for (said,) in db.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield f"integrity_check: {said}"
    orphans = db.execute(
        "SELECT grant_id FROM sessions UNION"
        " SELECT grant_id FROM tokens WHERE grant_id IS NOT NULL"
        " EXCEPT SELECT id FROM grants"
    )
    for (grant,) in orphans:
        yield f"the grant {UUID(bytes=grant)} is missing"


def _sessions(db: sqlite3.Connection) -> Iterator[tuple[str, Live]]:
    rows = db.execute(
        "SELECT sessions.id, state, name, sessions.issuer, expires_at, parent, sign_in, roles"
        " FROM sessions"
        " LEFT JOIN grants ON grants.id = sessions.grant_id"
    )
    for key, state, user, issuer, expires_at, parent, sign_in, roles in rows:
        ends = None if expires_at is None else expires_at / 1e6
        born_of = None if parent is None else str(UUID(bytes=parent))
        has = frozenset(json.loads(roles))
        yield (
            str(UUID(bytes=key)),
            Live(state, user, issuer, ends, born_of, json.loads(sign_in)[0], has),
        )


def _event(sequence: int, body: dict[str, Any]) -> Event:
    stated, expires = body.get("sequence"), body.get("expires_at")
    assert stated == sequence, f"event {sequence} says that it is {stated}"
    return Event(
        sequence=sequence,
        kind=body["kind"],
        at=_unix(body["at"]),
        session=body.get("session") or "",
        user=body.get("user", ""),
        issuer=body.get("issuer", ""),
        reason=body.get("reason", ""),
        expires_at=_unix(expires) if expires else None,
        process=(body.get("process") or {}).get("name", ""),
        source=body.get("source", ""),
    )


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
