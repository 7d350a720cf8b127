"""Whether one name could match two shell patterns, and whether one has all names of another.

A name matches a pattern when `fnmatch.fnmatchcase(folded(name), folded(pattern))`: the shell's
`*`, `?`, `[abc]` and `[!abc]`, without regard to the case of A-Z. Patterns are printable ASCII, so
the questions have exact answers: walk both patterns at once over every character a name can have,
of which those beyond ASCII (a process may have some in its name, no user has) are all alike.
"""

from fnmatch import fnmatchcase
from functools import lru_cache

from sessiond.core.principal import folded

MAX_STEPS = 1000  # of the walk of `covers`, which some patterns make as long as 2^length

_BEYOND_ASCII = "\u00e9"  # stands for all such: no pattern names one
_CHARACTERS = [*(folded(chr(code)) for code in range(0x20, 0x7F)), _BEYOND_ASCII]
_ANY_RUN = frozenset[str]()  # stands for `*`; no other step of a pattern matches nothing


def overlap(one: str, other: str) -> bool:
    """Say whether a name exists that matches both. Names of any length count."""
    left, right = _steps(folded(one)), _steps(folded(other))
    if left is None or right is None:
        return False
    reached, waiting = {(0, 0)}, [(0, 0)]
    while waiting:
        at = waiting.pop()
        if at == (len(left), len(right)):
            return True
        for following in _moves(left, right, at):
            if following not in reached:
                reached.add(following)
                waiting.append(following)
    return False


def covers(wider: str, other: str) -> bool:
    """Say whether every name that matches `other` matches `wider`.

    False also where that would take more than `MAX_STEPS` to find out.
    """
    left, right = _steps(folded(wider)), _steps(folded(other))
    if right is None:
        return True
    if left is None:
        return False
    start = (_rested(left, {0}), 0)
    reached, waiting = {start}, [start]
    while waiting:
        places, at = waiting.pop()
        if at == len(right):
            if len(left) not in places:
                return False
            continue
        for following in _followers(left, right, places, at):
            if following not in reached:
                reached.add(following)
                waiting.append(following)
        if len(reached) > MAX_STEPS:
            return False
    return True


def _followers(
    left: list[frozenset[str]], right: list[frozenset[str]], places: frozenset[int], at: int
) -> set[tuple[frozenset[int], int]]:
    """Return where both stand after one step of `right`, `left` at all places that it can be at."""
    step = right[at]
    if step != _ANY_RUN:
        return {(_after(left, places, char), at + 1) for char in step}
    over = {(places, at + 1)}
    return over | {(_after(left, places, char), at) for char in _CHARACTERS}


def _after(left: list[frozenset[str]], places: frozenset[int], char: str) -> frozenset[int]:
    after = set[int]()
    for place in places:
        if place < len(left):
            if left[place] == _ANY_RUN:
                after.add(place)
            elif char in left[place]:
                after.add(place + 1)
    return _rested(left, after)


def _rested(left: list[frozenset[str]], places: set[int]) -> frozenset[int]:
    """Return these places, and those after runs of nothing."""
    rested = set(places)
    for place in places:
        while place < len(left) and left[place] == _ANY_RUN:
            place += 1
            rested.add(place)
    return frozenset(rested)


def _moves(
    left: list[frozenset[str]], right: list[frozenset[str]], at: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return where both patterns can stand after at most one more character of a name."""
    i, j = at
    l_step = left[i] if i < len(left) else None
    r_step = right[j] if j < len(right) else None
    moves = []
    if l_step == _ANY_RUN:
        moves.append((i + 1, j))  # the run is over
        if r_step:
            moves.append((i, j + 1))  # the run takes what the other one asks for
    if r_step == _ANY_RUN:
        moves.append((i, j + 1))
        if l_step:
            moves.append((i + 1, j))
    if l_step and r_step and l_step & r_step:
        moves.append((i + 1, j + 1))
    return moves


@lru_cache(4096)
def _steps(pattern: str) -> list[frozenset[str]] | None:
    """Return what each place of a name may be, or None when the pattern matches no name."""
    steps = []
    at = 0
    while at < len(pattern):
        end = _end_of_set(pattern, at) if pattern[at] == "[" else at + 1
        part = pattern[at:end]
        at = end
        if part == "*":
            steps.append(_ANY_RUN)
            continue
        # fnmatch itself says what a part matches, so its reading of `[` is never another than ours
        matched = frozenset(char for char in _CHARACTERS if fnmatchcase(char, part))
        if matched <= {_BEYOND_ASCII}:
            return None
        steps.append(matched)
    return steps


def _end_of_set(pattern: str, start: int) -> int:
    """Return the index after a `[...]`, or after a `[` that opens nothing, as fnmatch reads it."""
    at = start + 1
    if pattern[at : at + 1] == "!":
        at += 1
    if pattern[at : at + 1] == "]":
        at += 1
    close = pattern.find("]", at)
    return start + 1 if close < 0 else close + 1
