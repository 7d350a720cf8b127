"""`sessiond-audit who`: who could have a role at a process, when, and why."""

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sessiond.api import ProcessAbout
from sessiond_audit import kept
from sessiond_audit.happened import events_of
from sessiond_audit.verify import Findings
from sessiond_audit.who import BEGINNING, END, Question, Span, who

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class QuestionError(Exception):
    """The question cannot be answered as it was put: the text says what to add."""


def add_options(command: ArgumentParser) -> None:
    """Give the command its options."""
    command.add_argument("--role", required=True, metavar="ROLE", help="the role")
    where = "where; else: wherever people logged in"
    command.add_argument("--process", metavar="NAME[:TYPE]", help=where)
    times = "a date or a time as in ISO 8601, UTC where it says no other"
    command.add_argument("--from", dest="begin", type=_time, default=BEGINNING, help=times)
    command.add_argument("--to", dest="end", type=_time, default=END, help="the same; not included")
    command.add_argument(
        "--configuration",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a version of config.toml that was kept; may be given for each",
    )
    command.add_argument("--json", action="store_true", dest="as_json", help="print JSON")


def answer(options: Namespace, files: Sequence[Path], findings: Findings) -> str:
    """Return the answer, from the files of a log that was found whole.

    Raises:
        QuestionError: The type of the process is needed.
        KeptError: A configuration cannot be read.
        OSError: A file cannot be read.
    """
    configurations = kept.read(options.configuration)
    question = Question(
        role=options.role,
        process=_process(options.process, configurations.values()),
        begin=options.begin,
        end=options.end,
    )
    events = list(events_of(files))
    spans = who(events, question, configurations)
    notes = [*_gaps(findings), *_missing(spans)]
    if question.process is None:
        notes.append("who had it at a process that follows (estate) is said with --process alone")
    if events:
        times = [event.at for event in events]
        notes.append(f"the log begins at {_shown(min(times))}")
        notes.append(f"the log ends at {_shown(max(times))}")
    if options.as_json:
        found = {"role": question.role, "process": options.process, "found": spans, "notes": notes}
        return msgspec.json.encode(found).decode() + "\n"
    return "".join(line + "\n" for line in _lines(question, spans, notes))


def _process(
    named: str | None, configurations: Iterable[kept.Configuration]
) -> ProcessAbout | None:
    if named is None:
        return None
    name, colon, kind = named.partition(":")
    if not colon and any(each.rules.tells_types_apart(name) for each in configurations):
        raise QuestionError(
            f"--process is {named}, wanted its type too, since the configuration tells processes "
            f"of this name apart by it: --process {named}:TYPE"
        )
    return ProcessAbout(name=name, type=kind, host="", pid=0)


def _lines(question: Question, spans: Sequence[Span], notes: Sequence[str]) -> Iterator[str]:
    where = "wherever people logged in"
    if question.process is not None:
        where = f"at {question.process.name}"
    begin = "the beginning" if question.begin == BEGINNING else _shown(question.begin)
    end = "the end" if question.end == END else _shown(question.end)
    yield _plain(f"{question.role} {where}, from {begin} to {end}")
    for span in spans:
        yield ""
        yield from (_plain(line) for line in _told(span))
    if not spans:
        yield ""
        yield "nobody"
    yield ""
    yield from (_plain(f"note: {note}") for note in notes)


def _told(span: Span) -> Iterator[str]:
    may = " (not certain)" if span.unknown and not span.configurations else ""
    yield f"{span.user} of {span.issuer}{may}"
    begin = "before the log begins" if span.begin == BEGINNING else _shown(span.begin)
    end = "still so when the log ends" if span.end is None else f"{_shown(span.end)} ({span.ended})"
    yield f"  from     {begin}"
    yield f"  to       {end}"
    yield f"  why      {'; '.join(span.why)}"
    where = f"logged in at {span.logged_in_at}, session {span.session}"
    yield f"  how      {where}"
    if span.by_follow:
        yield "           and known here by follow"
    for digest in span.configurations:
        yield f"  by       configuration {digest[:16]}"
    for digest in span.unknown:
        yield f"  unknown  configuration {digest[:16] or 'not said'}, which was not given"


def _gaps(findings: Findings) -> Iterator[str]:
    if not findings.is_from_the_start:
        yield "older files are not here: who logged in before is known by later events alone"
    for hole in findings.holes:
        yield (
            f"events after {hole.after} and before {hole.before} are missing: somebody may have "
            "come or gone there"
        )
    if findings.repeated:
        yield "numbers were used again: a daemon with a new store, whose old sessions have no end"


def _missing(spans: Iterable[Span]) -> Iterator[str]:
    for digest in sorted({each for span in spans for each in span.unknown if each}):
        yield f"give --configuration with the file whose sha256sum is {digest}"


def _plain(text: str) -> str:
    """Return a line that steers no terminal: processes name themselves."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date or time, such as 2026-11-24") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
