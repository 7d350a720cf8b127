"""Puts the log together: what every line goes through, and where it goes."""

import io
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sessiond.clock import Clock
from sessiond.log import journal
from sessiond.log.output import LAST_WORDS, DescriptorOutput, Output, TextOutput
from sessiond.log.redaction import escape, redact
from sessiond.log.repeats import EVERY, repeats

FIRST = ("timestamp", "level", "event")  # in a line of JSON
LOOK_EVERY = 1.0  # seconds between two tries to write what a slow reader has not taken

log = structlog.get_logger()
_levels = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}
_encoder = msgspec.json.Encoder(enc_hook=str)
_outputs: list[Output] = []  # first the one in use: a process has one log


def configure(
    line_format: str, level: str, *, stream: TextIO | None = None, journald: str | None = None
) -> None:
    """Set up sessiond's own log and, from warnings upwards, that of the libraries.

    May be called again, with another format or level. Where journald is asked for and is not
    there, lines go to the stream as JSON, and the first of them says so.

    Args:
        line_format: "json", "console" or "journald".
        level: The lowest that is shown: "debug", "info", "warning", "error" or "critical".
        stream: Where "json" and "console" go; None: standard output.
        journald: The address of journald's socket; None: where it always is.
    """
    missing: OSError | None = None
    target = sys.stdout if stream is None else stream
    output: Output = _output_to(target)
    journald = journald or journal.SOCKET
    if line_format == "journald":
        try:
            output = journal.Journal(journald)
        except OSError as error:
            line_format, missing = "json", error
    before, last = _processors(line_format, colors=target.isatty())
    _use(output)
    structlog.configure(
        processors=[*before, last],
        wrapper_class=structlog.make_filtering_bound_logger(_levels[level]),
        logger_factory=_Writers(output),
        cache_logger_on_first_use=False,  # or a logger used before this would stay as it was
    )
    _hear_libraries(output, before, last, level)
    if missing is not None:
        log.warning("no journald: lines go to standard output", path=journald, error=str(missing))


async def run(clock: Clock) -> None:
    """Sum repeated lines, and write what a slow reader has not taken, until cancelled."""
    repeats.begin()
    try:
        while True:
            for _ in range(int(EVERY / LOOK_EVERY)):
                await clock.sleep(LOOK_EVERY)
                for output in _outputs:
                    output.flush()
            repeats.tell()
    finally:
        repeats.end()


def end() -> None:
    """Give whoever reads the log a moment to take the last lines."""
    for output in _outputs:
        output.flush(LAST_WORDS)


class _Writer:
    """What structlog calls with a finished line, whatever its level."""

    def __init__(self, output: Output) -> None:
        put = output.put
        self.debug = self.info = self.warning = self.error = self.critical = put


class _Writers:
    """structlog's factory: one writer for all loggers."""

    def __init__(self, output: Output) -> None:
        self._writer = _Writer(output)

    def __call__(self, *_: Any) -> _Writer:
        return self._writer


class _LibraryLines(logging.Handler):
    """The lines of libraries, made as ours are."""

    def __init__(self, output: Output, before: list[Processor], last: Processor) -> None:
        super().__init__()
        self._put = output.put
        self._before = before
        self._last = last

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # its arguments do not fit
            text = str(record.msg)
        line: Any = {"event": text, "logger": record.name}
        if record.exc_info:
            line["exc_info"] = record.exc_info
        level = record.levelname.lower()
        with suppress(structlog.DropEvent):
            for processor in self._before:
                line = processor(None, level, line)
            self._put(cast("bytes", self._last(None, level, line)))


def _hear_libraries(output: Output, before: list[Processor], last: Processor, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [_LibraryLines(output, before, last)]
    root.setLevel(max(_levels[level], logging.WARNING))  # httpx tells every URL at INFO


def _output_to(stream: TextIO) -> Output:
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        return TextOutput(stream)
    for each in _outputs:  # it may have lines that wait for their reader
        if isinstance(each, DescriptorOutput) and each.descriptor == descriptor:
            return each
    stream.flush()
    return DescriptorOutput(descriptor)


def _use(output: Output) -> None:
    """Write to this one from now on; another that still has lines waiting is tried on."""
    for each in _outputs:
        if isinstance(each, journal.Journal):
            each.close()
    _outputs[:] = [output, *(each for each in _outputs if each.is_behind and each is not output)]


def _processors(line_format: str, *, colors: bool) -> tuple[list[Processor], Processor]:
    """Return what every line goes through, and what makes it bytes at the end."""
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        repeats,
        structlog.processors.format_exc_info,  # no locals: they hold tokens
        redact,  # after it, since an exception's text is a stranger's
        structlog.processors.TimeStamper(fmt=None),  # seconds: to be written by `_dated`
        _dated,
    ]
    if line_format == "json":
        return before, _json
    if line_format == "journald":
        return before, journal.datagram
    console = structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )
    return [*before, escape], lambda *line: console(*line).encode(errors="backslashreplace")


def _dated(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    second, part = divmod(event_dict["timestamp"], 1)
    event_dict["timestamp"] = f"{_second(second)}.{int(part * 1e6):06}Z"
    return event_dict


@lru_cache(maxsize=2)
def _second(since_1970: float) -> str:
    return datetime.fromtimestamp(since_1970, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _json(_: WrappedLogger, __: str, event_dict: EventDict) -> bytes:
    line = {name: event_dict.pop(name) for name in FIRST}
    line.update(event_dict)
    try:
        return _encoder.encode(line)
    except UnicodeEncodeError:  # half a surrogate pair, in what somebody sent
        shown = {key: _encodable(value) for key, value in line.items()}
        return _encoder.encode(shown)


def _encodable(value: Any) -> str:
    return str(value).encode(errors="backslashreplace").decode()
