"""docs/signals.md has every line that the daemon logs, with its level and its facts."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "signals.md"
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")
LOGGERS = ("log", "logger")
ROW = re.compile(r"^\| `([^`|]+)` \| ([a-z, ]+) \|([^|]*)\|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Line:
    """One call that logs, as the source has it."""

    event: str
    level: str
    facts: frozenset[str]  # those whose names stand in the call
    place: str


def events_of(argument: ast.expr, module: ast.Module) -> list[str]:
    """Return the texts that an argument may be: a literal, one of two, or a class's `_name`."""
    match argument:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=other):
            return events_of(body, module) + events_of(other, module)
        case ast.Attribute(attr=name):
            return list(_assigned(name, module))
        case _:
            return []


def _assigned(name: str, module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=True):
                    if isinstance(target, ast.Name) and target.id == name:
                        yield from events_of(value, module)
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield from events_of(value, module)


def refresh_issuers_of(source: str, place: str) -> Iterator[Line]:
    """Yield the lines that a module logs.

    Raises:
        AssertionError: The text of one cannot be told from the source.
    """
    module = ast.parse(source)
    for node in ast.walk(module):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=logger), attr=level),
                args=[*arguments],
                keywords=keywords,
            ) if logger in LOGGERS and level in (*LEVELS, "log"):
                argument = arguments[1 if level == "log" else 0]
                events = events_of(argument, module)
                assert events, f"{place}:{node.lineno}: which event is this?"
                facts = frozenset(each.arg for each in keywords if each.arg is not None)
                for event in events:
                    yield Line(event, "any" if level == "log" else level, facts, place)


def logged() -> list[Line]:
    files = sorted((ROOT / "sessiond").rglob("*.py"))
    files = [file for file in files if "demo" not in file.relative_to(ROOT).parts]
    return [
        line
        for file in files
        for line in refresh_issuers_of(file.read_text(), str(file.relative_to(ROOT)))
    ]


def reference() -> dict[str, tuple[str, str]]:
    """Return the level and the facts by event, as the reference has them."""
    section = REFERENCE.read_text().split("\n## ")[1]
    assert section.startswith("Log lines")
    return {event: (level, facts) for event, level, facts in ROW.findall(section)}


def test_the_reference_has_every_line_and_no_other() -> None:
    assert {line.event for line in logged()} == reference().keys()


def test_the_reference_has_each_lines_level() -> None:
    levels: dict[str, set[str]] = {}
    for line in logged():
        levels.setdefault(line.event, set()).add(line.level)
    assert {event: set(level.split(", ")) for event, (level, _) in reference().items()} == levels


def test_the_reference_names_each_lines_facts() -> None:
    told = {event: set(re.findall(r"`(\w+)`", facts)) for event, (_, facts) in reference().items()}
    missing = [(line, line.facts - told[line.event]) for line in logged()]
    assert [(line.event, facts) for line, facts in missing if facts] == []


def test_nothing_is_told_of_twice() -> None:
    rows = ROW.findall(REFERENCE.read_text().split("\n## ")[1])
    assert len({event for event, _, _ in rows}) == len(rows)


def test_a_text_that_is_made_at_run_time_is_noticed() -> None:
    with pytest.raises(AssertionError, match="which event"):
        list(refresh_issuers_of("log.info(f'{x} happened')", "x.py"))


def test_either_of_two_texts_and_a_class_name_are_found() -> None:
    source = "class A:\n  _name, _b = 'login', 'c'\n  def f(self):\n    log.info(self._name, a=1)"
    assert [line.event for line in refresh_issuers_of(source, "x.py")] == ["login"]
    either = list(refresh_issuers_of("logger.error('one' if x else 'two')", "x.py"))
    assert [(line.event, line.level) for line in either] == [("one", "error"), ("two", "error")]
