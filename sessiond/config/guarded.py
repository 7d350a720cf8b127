"""Whether all processes that a list of patterns names can be trusted to be who they say they are.

A process names itself. Only where an `[[access.process]]` table has `peers` can no stranger's
process say its name, so only there may a name be what something is given by.
"""

from collections.abc import Iterator, Sequence

from sessiond.config.access_tables import AccessConfig
from sessiond.config.patterns import covers, overlap


def problems_of_unguarded(
    where: str, patterns: Sequence[str], access: AccessConfig
) -> Iterator[str]:
    """Find each pattern that matches a name which any process could say.

    A process is of the first table that matches its name and its type. So all that a pattern can
    match must come to tables with `peers`, until one that has every such name, of whichever type.

    Args:
        where: The key that has these patterns, in full, as messages begin: "tickets.audiences".
        patterns: Shell patterns on the names of processes.
        access: The `[access]` tables of the same file.
    """
    for number, pattern in enumerate(patterns, start=1):
        key = f"{where}[{number}]"
        match _unguarded(pattern, access):
            case None:
                pass
            case 0:
                yield (
                    f"{key} is {pattern!r}, some of whose names no [[access.process]] has whatever "
                    "the type, so that any process could say them, must have a table for all with "
                    "the users that they run as (peers)"
                )
            case table:
                yield (
                    f"{key} is {pattern!r}, which access.process[{table}] matches without peers, "
                    "so that any process could say such a name, must have there the users that "
                    "these processes run as"
                )


def _unguarded(pattern: str, access: AccessConfig) -> int | None:
    """Return which table leaves a pattern's names to anybody; 0: that there is none; None: none."""
    for number, table in enumerate(access.process, start=1):
        if not overlap(pattern, table.name):
            continue
        if not table.peers:
            return number
        if covers(table.name, pattern) and covers(table.type, "*"):
            return None
    return 0
