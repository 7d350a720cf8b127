"""How an explained login is shown: each check, then the roles step by step, then the answer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from sessiond.ctl.show import moment, plain

_COLOURS = {"passed": "green", "failed": "bold red", "skipped": "dim"}
_NO_PROCESS = "not applied: explain --process NAME[:TYPE] has it"

Row = tuple[str, str, str]  # the step, a role, why


def explanation_of(explanation: Mapping[str, Any]) -> Iterable[Table | Text]:
    """Yield each check, and what they come to."""
    yield _checks(explanation["checks"])
    if explanation.get("access") is not None:
        yield Text()
        yield _steps(explanation)
        yield Text()
    if explanation["accepted"]:
        roles = ", ".join(explanation["roles"]) or "no role"
        until = moment(explanation["expires_at"])
        yield plain(f"would be let in as {explanation['user']} with {roles} until {until}")
    else:
        yield plain(f"would be refused: {explanation['reason']}")


def reasons_of(session: Mapping[str, Any]) -> Iterable[Table]:
    """Yield each role of a session with why it is given, and those that its ceiling cut."""
    because = session.get("because")  # which a daemon of an older version does not say
    if because is not None:
        cut = (("cut", role, "by the ceiling of the process") for role in because["cut"])
        yield _rows([*_given("because", because["roles"]), *cut])


def _rows(rows: Iterable[Row]) -> Table:
    """Return steps, roles and reasons below each other; a step is named once."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    last = ""
    for step, role, why in rows:
        table.add_row(plain("" if step == last else step), plain(role), plain(why))
        last = step
    return table


def _checks(checks: Sequence[Mapping[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in checks:
        told = ": ".join(filter(None, (each["reason"], each["detail"])))
        outcome = Text(each["outcome"], style=_COLOURS[each["outcome"]])
        table.add_row(plain(each["check"]), outcome, plain(told))
    return table


def _steps(explanation: Mapping[str, Any]) -> Table:
    access, attributes = explanation["access"], explanation["attributes"]
    return _rows(
        [
            *_each("claims", ((each["claim"], each["used_for"]) for each in explanation["claims"])),
            *(_given("given", access["assigned"]) or [("given", "-", "no role")]),
            *(
                ("protected", role, "dropped: an [[access.grant]] alone gives it")
                for role in access["protected"]
            ),
            *_given("granted here", access["granted"]),
            ("ceiling", *_ceiling(explanation)),
            *(("cut", role, "by the ceiling") for role in access["cut"]),
            *_each("attributes", attributes.items()),
        ]
    )


def _each(step: str, pairs: Iterable[tuple[str, str]]) -> Iterator[Row]:
    return ((step, name, value) for name, value in pairs)


def _given(step: str, evidence: Mapping[str, Sequence[str]]) -> list[Row]:
    return [(step, role, "; ".join(evidence[role])) for role in sorted(evidence)]


def _ceiling(explanation: Mapping[str, Any]) -> tuple[str, str]:
    ceiling = explanation["access"]["ceiling"]
    if explanation["process"] is None:
        return "-", _NO_PROCESS
    if ceiling is None:
        return "-", "none: no [[access.process]] is for this process"
    told = [f"{key} {', '.join(ceiling[key])}" for key in ("users", "issuers", "roles", "acr")]
    told = [each for each in told if each.partition(" ")[2] not in ("", "*")]
    told += [f"max_age {ceiling['max_age']:g} s"] if ceiling["max_age"] else []
    told = told if ceiling["type"] == "*" else [f"type {ceiling['type']}", *told]
    limits = "; ".join(told) or "nothing is limited"
    return ceiling["name"], f"access.process[{ceiling['number']}]: {limits}"
