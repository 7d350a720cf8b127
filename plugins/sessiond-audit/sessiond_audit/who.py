"""Who could have a role at a process, when, and why: an auditor's question, asked of the events.

At the process where somebody logged in he has the roles that the event says. At one that follows
the estate he has what he was given before the ceiling of the former, under the ceiling of the
latter, which only the configuration file of that time tells.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from sessiond.api import ProcessAbout
from sessiond_audit.happened import ENDS, OPENED, ROLES, Happened, by_session
from sessiond_audit.kept import Configuration

BEGINNING = datetime.min.replace(tzinfo=UTC)
NOT_SAID = ""  # in place of a digest
END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who could be `role` at `process`, in the time from `begin` to `end`."""

    role: str
    process: ProcessAbout | None  # None: wherever somebody logged in
    begin: datetime = BEGINNING
    end: datetime = END


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time in which one session gave a role."""

    user: str
    issuer: str
    session: str
    logged_in_at: str  # the process
    begin: datetime
    begins_before: bool = False  # its beginning is not in the log
    end: datetime | None  # None: the log ends before
    ended: str  # session.closed disconnect, another configuration, ...; empty while it is open
    why: tuple[str, ...]
    by_follow: bool = False  # at the process asked about he did not log in himself
    configurations: tuple[str, ...] = ()  # that say so
    unknown: tuple[str, ...] = ()  # that may say so, and were not given


@dataclass(frozen=True, slots=True)
class Era:
    """A time in which a configuration counted; two of them where it is not known which."""

    begin: datetime
    end: datetime
    digests: frozenset[str]


def who(
    events: Iterable[Happened], question: Question, kept: Mapping[str, Configuration]
) -> list[Span]:
    """Return every session that could give the role there, in the order of their beginning.

    Args:
        events: All of the log.
        question: What is asked.
        kept: Configurations by their digest.
    """
    told = list(events)
    eras = eras_of(told)
    found = [
        span
        for session in by_session(told).values()
        for given in _given(session)
        for span in _spans(given, question, eras, kept)
        if span.begin < question.end and (span.end is None or span.end > question.begin)
    ]
    return sorted(_joined(found), key=lambda span: (span.begin, span.user, span.session))


def eras_of(events: Iterable[Happened]) -> list[Era]:
    """Return which configuration counted when.

    A reload tells the moment. A start with another file does not: between the last event by the
    one and the first by the other, either may have counted. What counted before the first event
    that says so, another may have been.
    """
    known = sorted((event for event in events if event.configuration), key=lambda event: event.at)
    if not known:
        return []
    first = known[0]
    changes = [(first.at, first.configuration)]
    eras = [Era(BEGINNING, first.at, frozenset({first.configuration, NOT_SAID}))]
    for before, after in pairwise(known):
        if after.configuration == before.configuration:
            continue
        begin, digest = changes[-1]
        since = after.at if after.kind == "operator.reloaded" else before.at
        eras.append(Era(begin, since, frozenset({digest})))
        if since < after.at:
            eras.append(Era(since, after.at, frozenset({digest, after.configuration})))
        changes.append((after.at, after.configuration))
    begin, digest = changes[-1]
    return [*eras, Era(begin, END, frozenset({digest}))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The roles of one session, for as long as they were the same."""

    event: Happened  # that told of them
    begins_before: bool
    end: datetime | None
    ended: str


def _given(session: Sequence[Happened]) -> Iterator[_Given]:
    """Find the times between which a session's roles did not change."""
    tellers = [
        event
        for number, event in enumerate(session)
        if event.kind in (OPENED, ROLES) or (number == 0 and event.kind not in ENDS)
    ]
    end = next((event for event in session if event.kind in ENDS), None)
    if not tellers and end is not None:  # its end alone is in the log
        yield _Given(event=end, begins_before=True, end=end.at, ended=_ended(end))
    for number, event in enumerate(tellers):
        following = tellers[number + 1] if number + 1 < len(tellers) else end
        yield _Given(
            event=event,
            begins_before=number == 0 and event.kind != OPENED,
            end=None if following is None else following.at,
            ended="" if following is None else _ended(following),
        )


def _ended(event: Happened) -> str:
    return f"{event.kind} {event.reason}".strip()


def _spans(
    given: _Given, question: Question, eras: Sequence[Era], kept: Mapping[str, Configuration]
) -> Iterator[Span]:
    event, process = given.event, given.event.process
    span = Span(
        user=event.user,
        issuer=event.issuer,
        session=event.session or "",
        logged_in_at="" if process is None else process.name,
        begin=BEGINNING if given.begins_before else event.at,
        begins_before=given.begins_before,
        end=given.end,
        ended=given.ended,
        why=event.before_ceiling.get(question.role, ("not said",)),
        configurations=(event.configuration,) if event.configuration else (),
    )
    wanted = question.process
    is_there = wanted is None or span.logged_in_at.lower() == wanted.name.lower()  # as ceilings do
    if is_there and question.role in event.roles:
        yield span
    if wanted is not None:
        yield from _followed(span, event, question.role, wanted, eras, kept)


def _followed(
    span: Span,
    event: Happened,
    role: str,
    process: ProcessAbout,
    eras: Sequence[Era],
    kept: Mapping[str, Configuration],
) -> Iterator[Span]:
    """Find when a process that follows the estate gave the role to who logged in elsewhere."""
    given = event.before_ceiling
    for era in eras or [Era(BEGINNING, END, frozenset({NOT_SAID}))]:
        begin, end = max(span.begin, era.begin), min(span.end or END, era.end)
        if begin >= end:
            continue
        why: dict[str, None] = {}
        saying, unknown = [], []
        for digest in sorted(era.digests):
            configuration = kept.get(digest)
            if configuration is None:
                unknown += [digest] if role in given else []
            elif configuration.follows(process):
                there = configuration.reasons_at(process, event.user, event.issuer, given)
                if role in there:
                    saying.append(digest)
                    why.update(dict.fromkeys(there[role]))
        if not saying and not unknown:
            continue
        is_cut = end != (span.end or END)
        yield replace(
            span,
            begin=begin,
            begins_before=span.begins_before and begin == span.begin,
            end=None if end == END else end,
            ended="another configuration" if is_cut else span.ended,
            why=tuple(why) or given[role],
            by_follow=True,
            configurations=tuple(saying),
            unknown=tuple(unknown),
        )


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Find them anew, where one only goes on with what another of the same session said."""
    last: Span | None = None
    for span in spans:
        if last is not None and _goes_on(last, span):
            last = replace(last, end=span.end, ended=span.ended)
        else:
            if last is not None:
                yield last
            last = span
    if last is not None:
        yield last


def _goes_on(last: Span, span: Span) -> bool:
    one = (last.session, last.by_follow, last.why, last.configurations, last.unknown, last.end)
    return one == (
        span.session,
        span.by_follow,
        span.why,
        span.configurations,
        span.unknown,
        span.begin,
    )
