"""Whether one name could match two shell patterns.

A name matches a pattern when `fnmatch.fnmatchcase(folded(name), folded(pattern))`: the shell's
`*`, `?`, `[abc]` and `[!abc]`, without regard to the case of A-Z. Names are printable ASCII, so
the question has an exact answer: walk both patterns at once over every character a name can have.
"""

from fnmatch import fnmatchcase

from sessiond.core.principal import folded

_CHARACTERS = [folded(chr(code)) for code in range(0x20, 0x7F)]
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
        if not matched:
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
