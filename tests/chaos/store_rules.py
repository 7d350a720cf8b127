"""What a chaos run holds about token stores. Each rule yields what it finds broken, as one line.

What a client asks is one entry of the journal and what it is answered another, so one thing comes
before another for certain where its answer has a lower number than the other's question.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.evidence import DEATHS, Entry, Evidence

NEVER = float("inf")
LEAST_WAIT = 0.25  # seconds: a shorter wait counts as this
Key = tuple[str, str]  # context and name


@dataclass(frozen=True)
class Write:
    """One that was asked for; `answered` is NEVER where nobody knows what came of it."""

    value: str  # empty: the value was taken away
    size: int  # bytes
    fence: int
    asked: float  # number of the entry
    answered: float


NOTHING = Write("", 0, -1, -2, -1)  # what is there at the beginning


def stored_values_are_kept(evidence: Evidence) -> Iterator[str]:
    """What a client was told is written is in every later database, or what came after it."""
    for key, writes in _writes(evidence).items():
        for snapshot in evidence.snapshots:
            begun = [each for each in writes if each.asked < snapshot.n]
            possible = _not_overwritten(begun, before=snapshot.n)
            size = snapshot.values.get(key, 0)
            if size not in {each.size for each in possible}:
                yield f"at {snapshot.n}: {'/'.join(key)} has {size} bytes, another's or lost"


def reads_see_whole_and_newest_values(evidence: Evidence) -> Iterator[str]:
    """A read gives one value as it was written, and none that was overwritten before it began."""
    writes = _writes(evidence)
    for entry in evidence.of("store-read"):
        if not entry["is_whole"]:
            yield f"in {entry['n']}: a value that nobody wrote"
            continue
        begun = [each for each in writes[_key(entry)] if each.asked < entry["n"]]
        possible = _not_overwritten(begun, before=entry["asked_n"])
        if entry["value"] not in {each.value for each in possible}:
            yield f"in {entry['n']}: value {entry['value'] or 'none'!r} was read, and is not there"


def dead_fences_never_write(evidence: Evidence) -> Iterator[str]:
    """No write is taken whose lock was given back, taken over, or of an earlier daemon."""
    deaths = [entry["n"] for entry in evidence.of(*DEATHS)]
    locked, released = _by_key(evidence, "store-locked"), _by_key(evidence, "store-released")
    for entry in evidence.of("store-written"):
        asked, fence, key = entry["asked_n"], entry["fence"], _key(entry)
        mine = [each for each in locked[key] if each["fence"] == fence]
        if not mine:
            yield f"in {entry['n']}: a write by a fence that nobody was given"
        elif any(each["fence"] > fence and each["n"] < asked for each in locked[key]):
            yield f"in {entry['n']}: a write by a fence that had been taken over"
        elif any(each["fence"] == fence and each["n"] < asked for each in released[key]):
            yield f"in {entry['n']}: a write by a fence that had been given back"
        elif any(mine[0]["n"] < death < asked for death in deaths):
            yield f"in {entry['n']}: a write by a fence of an earlier daemon"


def fences_only_grow(evidence: Evidence) -> Iterator[str]:
    """Who is given a lock later has the higher fence, over restarts too."""
    for key, locks in _by_key(evidence, "store-locked").items():
        highest = -1.0
        for entry, before in _with_those_before(locks):
            highest = max([highest, *(each["fence"] for each in before)])
            if entry["fence"] <= highest:
                yield f"in {entry['n']}: fence {entry['fence']} of {'/'.join(key)} after {highest}"


def one_at_a_time_holds_a_store(evidence: Evidence) -> Iterator[str]:
    """A lock is given to another only after its release, or when nothing came of it for a while."""
    deaths = [entry["n"] for entry in evidence.of(*DEATHS)]
    written = _by_key(evidence, "store-written")
    releasing = _by_key(evidence, "store-releasing")
    for key, locks in _by_key(evidence, "store-locked").items():
        for held, taken in pairwise(sorted(locks, key=lambda each: each["fence"])):
            if any(held["n"] < death < taken["n"] for death in deaths):
                continue
            if any(
                each["fence"] == held["fence"] and each["n"] < taken["n"] for each in releasing[key]
            ):
                continue
            steps = [held, *(each for each in written[key] if each["fence"] == held["fence"])]
            since = max(each["asked_at"] for each in steps if each["n"] < taken["n"])
            if taken["t"] - since < max(taken["wait"], LEAST_WAIT):
                yield f"in {taken['n']}: {'/'.join(key)} was taken from a holder who went on"


def _writes(evidence: Evidence) -> defaultdict[Key, list[Write]]:
    """Return the writes to each value, those that were refused left out."""
    answers = {entry["asked_n"]: entry for entry in evidence.of("store-written", "store-unwritten")}
    found: defaultdict[Key, list[Write]] = defaultdict(lambda: [NOTHING])
    for asked in evidence.of("store-writing"):
        answer = answers.get(asked["n"])
        if answer is None or answer["kind"] == "store-written":
            answered = NEVER if answer is None else answer["n"]
            found[_key(asked)].append(
                Write(asked["value"], asked["size"], asked["fence"], asked["n"], answered)
            )
    return found


def _not_overwritten(writes: Sequence[Write], *, before: float) -> list[Write]:
    """Return those after which no other was written that was answered before this number.

    What has the lower fence was written first, or not at all.
    """
    return [
        each
        for each in writes
        if not any(
            other.answered < before and (each.answered < other.asked or each.fence < other.fence)
            for other in writes
        )
    ]


def _with_those_before(locks: Sequence[Entry]) -> Iterator[tuple[Entry, list[Entry]]]:
    for entry in locks:
        yield entry, [each for each in locks if each["n"] < entry["asked_n"]]


def _by_key(evidence: Evidence, kind: str) -> defaultdict[Key, list[Entry]]:
    found: defaultdict[Key, list[Entry]] = defaultdict(list)
    for entry in evidence.of(kind):
        found[_key(entry)].append(entry)
    return found


def _key(entry: Entry) -> Key:
    return entry["context"], entry["name"]


STORE_RULES = (
    stored_values_are_kept,
    reads_see_whole_and_newest_values,
    dead_fences_never_write,
    fences_only_grow,
    one_at_a_time_holds_a_store,
)
