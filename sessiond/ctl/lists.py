"""Lists for people: on a terminal a line each, however narrow; what is empty says so."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from sessiond.ctl.short_ids import shortened
from sessiond.ctl.show import console, moment, plain, table_of

Drawn = Table | Text

GAP = 2  # columns between two of a table
NARROWEST = 4  # columns that a cut value keeps, with the mark that it is cut
_UNITS = ((timedelta(days=2), 86_400, "d"), (timedelta(hours=2), 3600, "h"))


def sessions_of(
    sessions: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    is_wide: bool = False,
    filters: Mapping[str, str] | None = None,
) -> Drawn:
    """Return sessions by user: what fits 80 columns, or all that there is."""
    if not sessions:
        told = ", ".join(f"{name} {value}" for name, value in (filters or {}).items())
        return plain(f"no sessions ({told})" if told else "no sessions")
    ordered = sorted(sessions, key=lambda each: (each["user"], each["session"]))
    if is_wide:
        return _wide_sessions(ordered)
    parents = {parent for each in ordered if (parent := each.get("parent"))}
    short = shortened([*({each["session"] for each in ordered} | parents)])
    has_parents = bool(parents)  # then each has a column more
    return fitted(
        ("USER", "PROCESS", "STATE", "LEFT", *["PARENT"] * has_parents, "SESSION"),
        [
            (
                each["user"],
                _process(each["process"]),
                each["state"],
                left(each["expires_at"], now),
                *[short.get(each.get("parent") or "", "-")] * has_parents,
                short[each["session"]],
            )
            for each in ordered
        ],
        may_be_cut=("USER", "PROCESS"),
    )


def _wide_sessions(sessions: Iterable[Mapping[str, Any]]) -> Table:
    return table_of(
        (
            "USER",
            "ISSUER",
            "PROCESS",
            "HANDLE",
            "STATE",
            "ROLES",
            "OPENED",
            "EXPIRES",
            "PARENT",
            "SESSION",
        ),
        (
            (
                each["user"],
                each["issuer"],
                _process(each["process"]),
                each["handle"],
                each["state"],
                ",".join(each["roles"]),
                moment(each["opened_at"]),
                moment(each["expires_at"]),
                each.get("parent") or "-",
                each["session"],
            )
            for each in sessions
        ),
    )


def processes_of(processes: Sequence[Mapping[str, Any]], *, is_wide: bool = False) -> Drawn:
    """Return processes by name."""
    if not processes:
        return plain("no q processes are connected")
    ordered = sorted(processes, key=lambda each: (each["name"], each["pid"]))
    if is_wide:
        columns = ("PROCESS", "TYPE", "HOST", "UID", "HOOK", "CONNECTED", "SESSIONS")
        return table_of(
            columns,
            (
                (
                    _process(each),
                    each["type"],
                    each["host"],
                    each["uid"],
                    each["hook"] or "-",
                    "yes" if each["connected"] else "no",
                    each["sessions"],
                )
                for each in ordered
            ),
        )
    return fitted(
        ("PROCESS", "TYPE", "HOOK", "CONNECTED", "SESSIONS"),
        [
            (
                _process(each),
                each["type"],
                each["hook"] or "-",
                "yes" if each["connected"] else "no",
                each["sessions"],
            )
            for each in ordered
        ],
        may_be_cut=("PROCESS", "TYPE", "HOOK"),
    )


def names_of(names: Sequence[Mapping[str, Any]], *, is_wide: bool = False) -> Drawn:
    """Return names in their order."""
    if not names:
        return plain("no names are known")
    columns = ("NAME", "ISSUER", "SESSIONS", "SUBJECT")
    rows = [(each["name"], each["issuer"], each["sessions"], each["subject"]) for each in names]
    if is_wide:
        return table_of(columns, rows)
    return fitted(columns, rows, may_be_cut=("NAME", "ISSUER", "SUBJECT"))


def revocations_of(revocations: Sequence[Mapping[str, Any]], *, is_wide: bool = False) -> Drawn:
    """Return revocations, oldest first."""
    if not revocations:
        return plain("no revocations are in force")
    columns = ("OF", "NAME", "SINCE", "REASON")
    rows = [
        (each["scope"], each["value"] or "-", moment(each["at"]), each["reason"])
        for each in revocations
    ]
    if is_wide:
        ids = [each["id"] for each in revocations]
        return table_of((*columns, "ID"), [(*row, id_) for row, id_ in zip(rows, ids, strict=True)])
    return fitted(columns, rows, may_be_cut=("NAME", "REASON"))


def sources_of(sources: Sequence[Mapping[str, Any]]) -> list[Drawn]:
    """Return data sources by name, and below them what is wrong with some."""
    if not sources:
        return [plain("no sources are configured")]
    ordered = sorted(sources, key=lambda each: each["name"])
    columns = ("NAME", "GRANT", "STATE", "FETCHED", "PROCESSES", "READERS")
    rows = [
        (
            each["name"],
            each["grant"],
            each["state"],
            moment(each["last_fetched_at"]),
            ",".join(each["processes"]) or "-",
            ",".join(each["readers"]) or "-",
        )
        for each in ordered
    ]
    troubles = [
        plain(f"{each['name']}: {each['last_error']}")
        for each in ordered
        if each["last_error"] and each["state"] not in ("ready", "idle")
    ]
    return [fitted(columns, rows, may_be_cut=("NAME", "GRANT", "PROCESSES", "READERS")), *troubles]


def left(expires_at: str, now: datetime) -> str:
    """Return how long it is to one of the daemon's times, in the unit that tells most."""
    until = max(datetime.fromisoformat(expires_at) - now, timedelta(0))
    for least, seconds, unit in _UNITS:
        if until >= least:
            return f"{until.total_seconds() // seconds:.0f}{unit}"
    if until >= timedelta(minutes=2):
        return f"{until.total_seconds() // 60:.0f}m"
    return f"{until.total_seconds():.0f}s"


def fitted(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, may_be_cut: Sequence[str]
) -> Table:
    """Return rows as lines that fit the console; the longest values are cut, with a mark."""
    texts = [[plain(value) for value in row] for row in rows]
    widths = {
        column: max([len(column), *(row[number].cell_len for row in texts)])
        for number, column in enumerate(columns)
    }
    excess = sum(widths.values()) + GAP * (len(columns) - 1) - console().width
    while excess > 0:
        longest = max(may_be_cut, key=lambda column: widths[column])
        if widths[longest] <= NARROWEST:
            break  # then the console cuts what there is
        widths[longest] -= 1
        excess -= 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis", max_width=widths[column])
    for row in texts:
        table.add_row(*row)
    return table


def _process(process: Mapping[str, Any]) -> str:
    return f"{process['name']}:{process['pid']}"
