"""What people see: tables and lines. Colours are for terminals only."""

import errno
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from sessiond.core.printable import escaped, escaped_lines

WIDE = 1000  # characters of a line that nobody wraps: a file's or a pipe's


class _Printing(Console):
    """Rich's console, which leaves a closed pipe to whoever runs the command."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _Trimmed:
    """What is drawn, without blanks at its lines' ends: they wrap where a window shrinks."""

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_lines(self._drawn, options, pad=False):
            while line and not line[-1].text.rstrip(" "):
                line.pop()
            yield from line[:-1]
            yield from (Segment(text.rstrip(" "), style) for text, style, _ in line[-1:])
            yield Segment.line()


def console(*, is_wide: bool = False) -> Console:
    """Return standard output, as wide as the terminal where it is one and is to be fitted."""
    is_fitted = sys.stdout.isatty() and not is_wide
    return _Printing(highlight=False, width=None if is_fitted else WIDE)


def say(*drawn: RenderableType, is_wide: bool = False) -> None:
    """Print for people, one below the other; wide lines are the terminal's to wrap."""
    out = console(is_wide=is_wide)
    for each in drawn:
        out.print(_Trimmed(each), end="")


def plain(value: object) -> Text:
    """Return a value as text that cannot steer a terminal: processes name themselves."""
    return Text("" if value is None else escaped(str(value)))


def moment(text: str | None) -> str:
    """Return one of the daemon's times for people, in UTC."""
    if text is None:
        return "-"
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%SZ")


def plain_lines(text: str) -> str:
    """Return a text of several lines, none of which can steer a terminal."""
    return escaped_lines(text)


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def table_of(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return rows under their columns' names."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*map(plain, row))
    return table


def members_of(members: Mapping[str, object]) -> Table:
    """Return names and values, a line each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in members.items():
        table.add_row(Text(name, style="bold"), plain(value))
    return table


def session_of(session: Mapping[str, Any]) -> Table:
    """Return all of one session."""
    process = session["process"]
    seldom = ("parent", "hops", "auth_time", "acr")  # not said where there is nothing to say
    hidden = {"because", *(name for name in seldom if not session.get(name))}
    shown = {**session, "acr": ", ".join(session.get("acr", ()))}
    if session.get("auth_time"):
        shown["auth_time"] = moment(session["auth_time"])
    members = {name: value for name, value in shown.items() if name not in hidden}
    return members_of(
        {
            **members,
            "process": f"{process['name']}:{process['pid']} ({process['type']}) on "
            f"{process['host']}",
            "roles": ", ".join(session["roles"]),
            "attributes": ", ".join(f"{k}={v}" for k, v in session["attributes"].items()),
            "opened_at": moment(session["opened_at"]),
            "expires_at": moment(session["expires_at"]),
            "refresh_at": moment(session["refresh_at"]),
        }
    )


def status_of(status: Mapping[str, Any]) -> Iterable[Table]:
    """Yield the daemon as it stands, and its issuers."""
    store, sessions = status["store"], status["sessions"]
    yield members_of(
        {
            "version": status["version"],
            "instance": status["instance"],
            "ready since": moment(status["ready_at"]),
            "processes": f"{status['connections']} ({status['refused_connections']} refused)",
            "hooks": hooks_of(status["hooks"]),
            **_configuration(status["configuration"]),
            "sessions": ", ".join(f"{count} {state}" for state, count in sessions.items()),
            "grants": status["grants"],
            "next refresh": moment(status["next_refresh_at"]),
            "revocations": f"{status['revocations']} in force",
            "subscribers": _subscribers(status["subscribers"]),
            **_sources(status.get("sources")),
            **_tickets(status.get("tickets")),
            **_stores(status.get("stores")),
            "waiting": f"{status['queues']['table']} changes, {status['queues']['logins']} logins",
            "last event": status["last_sequence"],
            "database": f"{store['path']} ({store['bytes']} bytes)",
        }
    )
    yield table_of(
        ("ISSUER", "HEALTHY", "LAST SUCCESS", "LAST ERROR", "AT"),
        (
            (
                each["name"],
                "yes" if each["healthy"] else "no",
                moment(each["last_success_at"]),
                each["trouble"] or each["last_error"] or "-",
                moment(each["last_error_at"]),
            )
            for each in status["issuers"]
        ),
    )
    if status["role_sources"]:
        yield _role_sources(status["role_sources"])


def _role_sources(sources: Iterable[Mapping[str, Any]]) -> Table:
    return table_of(
        ("ROLE SOURCE", "ISSUER", "HEALTHY", "LAST SUCCESS", "STOOD IN", "LAST ERROR", "AT"),
        (
            (
                each["name"],
                each["issuer"],
                "yes" if each["healthy"] else "no",
                moment(each["last_success_at"]),
                _stood_in(each),
                each["last_error"] or "-",
                moment(each["last_error_at"]),
            )
            for each in sources
        ),
    )


def _sources(sources: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    """Return how many data sources there are, and which have no token."""
    if not sources:
        return {}
    ill = [each["name"] for each in sources if not each["healthy"]]
    told = f"; without a token: {', '.join(ill)} (sessionctl sources)" if ill else ""
    return {"data sources": f"{len(sources)}{told}"}


def _stores(stores: Mapping[str, Any] | None) -> dict[str, str]:
    """Return how the token stores stand, where there are any."""
    if stores is None:
        return {}
    contexts, locks = counted(stores["contexts"], "context"), counted(stores["locks"], "lock")
    return {"token stores": f"{contexts}, {locks} held, {stores['waiting']} waiting for one"}


def _stood_in(source: Mapping[str, Any]) -> str:
    """Return how many known answers stood in while it was away, and when last."""
    if not source["stood_in"]:
        return "-"
    return f"{source['stood_in']}, last {moment(source['last_stood_in_at'])}"


def _tickets(tickets: Mapping[str, Any] | None) -> dict[str, str]:
    """Return how many tickets there were, and each key; nothing where they are off."""
    if tickets is None:
        return {}
    counts = f"{tickets['issued']} issued ({tickets['exchanged']} for tokens)"
    shown = {
        "tickets": f"{counts}, {tickets['spent']} spent, {tickets['refused']} refused",
        "ticket issuer": tickets["issuer"],
    }
    for each in tickets["keys"]:
        begins = f"signs since {moment(each['signs_at'])}"
        if not each["is_signing"]:
            begins = f"another signs; published since {moment(each['published_at'])}"
        shown[f"ticket key {each['kid'][:8]}"] = begins
    shown["next ticket key"] = moment(tickets["next_key_at"])
    return shown


def _configuration(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Return what is applied, and where there is something to do, that."""
    applied = f"{configuration['generation']}, since {moment(configuration['loaded_at'])}"
    shown = {"configuration": applied}
    if configuration["needs_restart"]:
        shown["needs a restart"] = ", ".join(configuration["needs_restart"])
    if configuration["last_error"]:
        problems = "; ".join(configuration["last_error"].splitlines())
        shown["newest file refused"] = f"{moment(configuration['last_error_at'])}: {problems}"
    return shown


def subscribers_of(subscribers: Sequence[Mapping[str, Any]]) -> Iterable[Table | Text]:
    """Yield how subscribers stand, a line each, and what was set aside for them, if anything."""
    if not subscribers:
        yield plain("no subscribers are configured")
        return
    columns = ("SUBSCRIBER", "PLUGIN", "STATE", "PLACE", "LAG", "SET ASIDE", "RESTARTS")
    yield table_of(
        (*columns, "LAST RECEIVED", "LAST ERROR", "AT"),
        (
            (
                status["name"],
                status["plugin"],
                status["state"],
                status["place"],
                status["lag"],
                status["set_aside"],
                status["restarts"],
                moment(status["last_received_at"]),
                status["last_error"] or "-",
                moment(status["last_error_at"]),
            )
            for status in (each["status"] for each in subscribers)
        ),
    )
    if any(each["set_aside"] for each in subscribers):
        yield table_of(
            ("SET ASIDE", "FOR", "KIND", "AT", "ATTEMPTS", "ERROR"),
            (
                (
                    event["sequence"],
                    each["status"]["name"],
                    event["kind"],
                    moment(event["at"]),
                    event["attempts"],
                    event["error"],
                )
                for each in subscribers
                for event in each["set_aside"]
            ),
        )


def former_of(former: Sequence[Mapping[str, Any]]) -> Iterable[Table]:
    """Yield those of whom only the place is left, if there are any."""
    if former:
        yield table_of(
            ("NOT CONFIGURED ANY MORE", "PLACE", "KEPT", "SET ASIDE"),
            (
                (each["name"], each["place"], moment(each["kept_at"]), each["set_aside"])
                for each in former
            ),
        )


def _subscribers(subscribers: Sequence[Mapping[str, Any]]) -> str:
    told = (f"{each['name']} {each['state']}, {each['lag']} behind" for each in subscribers)
    return "; ".join(told) or "-"


def hooks_of(hooks: Mapping[str, int]) -> str:
    """Return how many q processes run each version of the hook."""
    counted = (f"{count} of {version or 'no stated version'}" for version, count in hooks.items())
    return ", ".join(counted) or "-"


def event_of(event: Mapping[str, Any]) -> Text:
    """Return an event as one line."""
    process = event["process"] or {"name": "-"}
    if event["kind"].startswith("operator."):
        what = _order(event)
    elif event["kind"] == "source.issued":
        what = _given_away(event)
    elif event["kind"] == "gap":
        what = [f"events after {event['after']} and before {event['before']} are not kept"]
    else:
        what = [event["user"], event["issuer"], process["name"], f"handle {event['handle']}"]
        what += [f"x{event['count']}"] if event.get("count", 1) != 1 else []
        what += [event["reason"]] if event.get("reason") else []
        what += [event["detail"]] if event.get("detail") else []
    return plain(f"{event['sequence']}  {moment(event['at'])}  {event['kind']}  {'  '.join(what)}")


def _given_away(event: Mapping[str, Any]) -> list[str]:
    """Return which source's token was given to whom, on whose behalf, and how often."""
    process = event["process"]
    taker = f"process {process['name']}" if process else f"user {_person(event['by'])}"
    what = [event["source"], f"to {taker}"]
    what += [f"on behalf of {event['user']}"] if event["user"] else []
    return what + ([f"x{event['count']}"] if event["count"] != 1 else [])


def _person(by: Mapping[str, Any]) -> str:
    return by["name"] or f"uid {by['uid']}"


def _order(event: Mapping[str, Any]) -> list[str]:
    """Return what an operator did to what, who he is, and his words."""
    by = event["by"]
    who = "a signal" if by is None else _person(by)
    what = [f"{event['scope']} {event['value']}".strip(), f"by {who}"]
    what += [f"sessions {event['count']}"] if event["count"] else []
    return what + ([event["reason"]] if event["reason"] else [])
