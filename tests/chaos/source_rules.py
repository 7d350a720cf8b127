"""What a chaos run holds about tokens for sources. Each rule yields what it finds broken."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.evidence import Entry, Evidence

GIVEN_UP = 1.0  # seconds after which a caller may be gone: the daemon's own patience is longer


def source_tokens_are_good(evidence: Evidence) -> Iterator[str]:
    """Nobody is given a token that was over when he asked for it."""
    for entry in evidence.of("source-token"):
        if entry["expires"] <= entry["asked_at"]:
            yield f"in {entry['n']}: {entry['process']} was given a token that is over"


def source_refresh_tokens_are_spent_once(evidence: Evidence) -> Iterator[str]:
    """A refresh token comes again only after a lost answer, or a death that left it in flight."""
    for came in _by_token(evidence).values():
        for first, again in pairwise(came):
            is_heard = first["took"] is not None and first["took"] < GIVEN_UP
            if is_heard and not any(
                first["at"] <= snapshot.t <= again["at"]
                and again["source"] in snapshot.sources_in_flight
                for snapshot in evidence.snapshots
            ):
                yield f"{again['source']}: a refresh token was spent at {again['at']:.3f} again"


def who_asked_for_a_source_is_written_down(evidence: Evidence) -> Iterator[str]:
    """Each who was given a token of a source has his event before he has the token."""
    for snapshot in evidence.snapshots:
        written = {
            (event.process, event.source)
            for event in snapshot.events
            if event.kind == "source.issued"
        }
        for entry in evidence.of("source-token", before=snapshot.n):
            if (entry["process"], entry["source"]) not in written:
                yield f"at {snapshot.n}: nothing says who got the token of {entry['n']}"


def _by_token(evidence: Evidence) -> dict[str, list[Entry]]:
    """Return what came to the issuer of each refresh token, by its digest, in order."""
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.of("refresh-came"):
        found[entry["digest"]].append(entry)
    return {digest: sorted(came, key=lambda each: each["at"]) for digest, came in found.items()}


SOURCE_RULES = (
    source_tokens_are_good,
    source_refresh_tokens_are_spent_once,
    who_asked_for_a_source_is_written_down,
)
