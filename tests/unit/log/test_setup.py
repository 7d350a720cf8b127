"""Logs: what a line looks like, and that no token is ever in one."""

import io
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sessiond import log as edge_log
from sessiond.core.secret import Secret
from sessiond.log import REDACTED, SECRET_KEYS, configure, redact
from sessiond.log.redaction import MAX_TEXT
from sessiond.log.repeats import ALLOWED, EVERY
from tests.fakes import FakeClock, idle

JWT = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_facts_as_keys() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)
    structlog.contextvars.bind_contextvars(process="hdb1")

    structlog.get_logger().info("session opened", handle=7, session=UUID(int=1))

    (line,) = lines(stream)
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo == UTC
    assert line == {
        "event": "session opened",
        "level": "info",
        "process": "hdb1",
        "handle": 7,
        "session": "00000000-0000-0000-0000-000000000001",
    }


def test_times_are_iso_and_line_breaks_stay_inside_the_line() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)

    structlog.get_logger().info("x", at=datetime(2030, 1, 2, tzinfo=UTC), user="a\nb")

    (line,) = lines(stream)
    assert line["at"] == "2030-01-02T00:00:00Z"
    assert line["user"] == "a\nb"


def test_standard_output_is_where_lines_go(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")

    structlog.get_logger().info("ready")
    logging.getLogger("httpx").warning("slow")

    out, err = capsys.readouterr()
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["ready", "slow"]
    assert err == ""


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    configure("json", "warning", stream=stream)

    structlog.get_logger().info("no")
    structlog.get_logger().warning("yes")

    assert [line["event"] for line in lines(stream)] == ["yes"]


@pytest.mark.parametrize("library", ["httpx", "msal", "urllib3", "uvicorn.error"])
def test_libraries_are_heard_from_warnings_upwards_only(library: str) -> None:
    stream = io.StringIO()
    configure("json", "debug", stream=stream)

    logging.getLogger(library).info("GET https://login.example.com")
    logging.getLogger(library).warning("retrying")

    assert [(line["event"], line["logger"]) for line in lines(stream)] == [("retrying", library)]


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_bare_text_under_a_secret_key_is_redacted(key: str) -> None:
    line = redact(None, "", {key: "hunter2", key.upper(): "hunter2", "user": "alice"})

    assert line == {key: REDACTED, key.upper(): REDACTED, "user": "alice"}


def test_a_secret_prints_as_its_placeholder() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)

    structlog.get_logger().info("x", token=Secret("hunter2"), seen=[Secret("hunter2")])

    (line,) = lines(stream)
    assert (line["token"], line["seen"]) == ("Secret(***)", ["Secret(***)"])


@pytest.mark.parametrize("line_format", ["json", "console"])
@pytest.mark.parametrize(
    "value",
    [
        JWT,
        f"token {JWT} refused",
        JWT.encode(),
        {"inner": [JWT]},
        {"password": JWT},
        (JWT,),
        ValueError(JWT),
        f"Authorization: Bearer {JWT}",
        JWT[:40],
    ],
    ids=str,
)
def test_a_token_is_redacted_wherever_it_hides(line_format: str, value: object) -> None:
    stream = io.StringIO()
    configure(line_format, "info", stream=stream)

    structlog.get_logger().info("x", found=value)
    structlog.get_logger().info(f"x {value!r}")

    text = stream.getvalue()
    assert text.count(REDACTED) >= 2
    assert "eyJ" not in text
    assert "eyJzdWIi" not in text


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "client_secret", "password"])
def test_a_secret_in_a_form_or_a_url_is_redacted(name: str) -> None:
    line = redact(None, "", {"url": f"https://a.example/?{name}=0.AXy!*$z&user=alice"})

    assert line == {"url": f"https://a.example/?{REDACTED}&user=alice"}


@pytest.mark.parametrize("line_format", ["json", "console"])
@pytest.mark.parametrize("library", [True, False])
def test_the_text_of_an_exception_is_redacted(line_format: str, library: bool) -> None:
    stream = io.StringIO()
    configure(line_format, "info", stream=stream)
    log = logging.getLogger("asyncio") if library else structlog.get_logger()

    token = JWT
    try:
        raise ValueError(f"bad answer for {token}")
    except ValueError:
        log.exception("call failed")

    text = stream.getvalue()
    assert f"ValueError: bad answer for {REDACTED}" in text
    assert "eyJ" not in text


def test_of_a_long_text_the_begin_and_the_last_lines_are_told_and_searched() -> None:
    long = f"begin {JWT}\n" + f"frame {'x' * 90}\n" * 10_000 + f"ValueError: {JWT} end"
    text = redact(None, "", {"exception": long})["exception"]

    assert len(text) < MAX_TEXT
    assert text.startswith(f"begin {REDACTED}\nframe")
    assert text.endswith(f"\nValueError: {REDACTED} end")


@pytest.mark.parametrize("at", range(MAX_TEXT // 2 - 60, MAX_TEXT // 2 + 60, 7))
def test_no_part_of_a_jwt_gets_through_where_the_middle_is_left_out(at: int) -> None:
    for place in (at, -at):  # from the begin, from the end
        words = ["a "] * MAX_TEXT
        words[place // 2] = JWT
        text = redact(None, "", {"x": "".join(words)})["x"]

        assert not any(part in text for part in JWT.split(".")[1:])


def test_the_arguments_of_a_librarys_line_are_redacted() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)

    logging.getLogger("httpx").warning("got %s", JWT)

    assert lines(stream)[0]["event"] == f"got {REDACTED}"


def test_plain_facts_pass_as_they_are() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    facts = {"user": "alice", "handle": 7, "ok": True, "none": None, "share": 0.5, "at": at}

    assert redact(None, "", dict(facts)) == facts


def test_a_name_cannot_steer_the_terminal() -> None:
    stream = io.StringIO()
    configure("console", "info", stream=stream)

    structlog.get_logger().info("login refused", user="\x1b[2Ja\rb\x9b\u202ec")

    assert "user=\\x1b[2Ja\\rb\\x9b\\u202ec" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_a_traceback_cannot_steer_the_terminal_and_keeps_its_lines() -> None:
    stream = io.StringIO()
    configure("console", "info", stream=stream)

    try:
        raise ValueError("\x1b[2Ja\r\u202eb\nc")
    except ValueError:
        structlog.get_logger().exception("failed")

    assert stream.getvalue().endswith("\nValueError: \\x1b[2Ja\\r\\u202eb\nc\n")


@given(
    before=st.text(max_size=10),
    header=st.binary(min_size=9, max_size=30).map(lambda raw: raw.hex()),
    rest=st.lists(st.from_regex(r"[A-Za-z0-9_-]{0,20}", fullmatch=True), min_size=2, max_size=4),
)
def test_no_part_of_a_jwt_gets_through_whatever_is_before_it(
    before: str, header: str, rest: list[str]
) -> None:
    token = ".".join(["eyJ" + header, *rest])
    text = redact(None, "", {"x": f"{before}{token}"})["x"]

    assert header not in text
    assert not any(len(part) > 10 and part in text for part in rest)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_only() -> None:
    file, terminal = io.StringIO(), Terminal()
    for stream in (file, terminal):
        configure("console", "info", stream=stream)
        structlog.get_logger().info("ready")
    assert "\x1b[" not in file.getvalue()
    assert "\x1b[" in terminal.getvalue()


def test_what_json_cannot_hold_is_shown_all_the_same() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)

    structlog.get_logger().info("x", value="\ud800", user="alice")

    (line,) = lines(stream)
    assert (line["value"], line["user"]) == ("\\ud800", "alice")


def test_a_librarys_line_whose_arguments_do_not_fit_is_told() -> None:
    stream = io.StringIO()
    configure("json", "info", stream=stream)

    logging.getLogger("httpx").warning("got %d", "seven")

    assert lines(stream)[0]["event"] == "got %d"


def test_without_journald_the_first_line_says_where_the_others_go(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure("journald", "info", stream=stream, journald=str(tmp_path / "socket"))

    structlog.get_logger().info("ready")

    first, second = lines(stream)
    assert first["event"] == "no journald: lines go to standard output"
    assert (first["level"], second["event"]) == ("warning", "ready")


def test_a_second_setting_holds_for_loggers_that_are_there() -> None:
    stream, log = io.StringIO(), structlog.get_logger()
    configure("json", "error", stream=stream)
    log.info("no")
    configure("json", "info", stream=stream)
    log.info("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


@pytest.mark.anyio
async def test_repeats_are_summed_when_the_interval_ends_and_when_the_daemon_does() -> None:
    stream, clock = io.StringIO(), FakeClock()
    configure("json", "info", stream=stream)
    log = structlog.get_logger()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(edge_log.run, clock)
        await idle()
        for _ in range(ALLOWED + 3):
            log.info("login", outcome="refused", reason="expired")
        await clock.advance(EVERY - 1)
        assert len(lines(stream)) == ALLOWED
        await clock.advance(1)
        assert lines(stream)[-1]["event"] == "repeated"
        assert lines(stream)[-1]["count"] == 3
        for _ in range(ALLOWED + 2):
            log.info("login", outcome="refused", reason="expired")
        tasks.cancel_scope.cancel()
    assert (lines(stream)[-1]["event"], lines(stream)[-1]["count"]) == ("repeated", 2)
    for _ in range(ALLOWED + 2):
        log.info("stopping")
    edge_log.end()
    assert lines(stream)[-1]["event"] == "stopping"


def test_lines_reach_a_file_without_being_asked_to(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        configure("json", "info", stream=file)
        structlog.get_logger().info("ready")
        assert json.loads((tmp_path / "log").read_text())["event"] == "ready"


def test_lines_that_wait_for_a_slow_reader_outlive_a_new_setting(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as slow, os.fdopen(reading, "rb") as reader:
        configure("json", "info", stream=slow)
        for number in range(100):
            structlog.get_logger().info("x" * 1000, number=number)
        configure("json", "warning", stream=slow)  # the same output
        with (tmp_path / "log").open("w") as file:
            configure("json", "info", stream=file)
            structlog.get_logger().info("elsewhere")
        found = b""
        while more := reader.read():
            found += more
            edge_log.end()
    assert [json.loads(line)["number"] for line in found.splitlines()] == list(range(100))
    assert json.loads((tmp_path / "log").read_text())["event"] == "elsewhere"
