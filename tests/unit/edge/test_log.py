"""Logs: what a line looks like, and that no token is ever in one."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.secret import Secret
from sessiond.edge.log import REDACTED, SECRET_KEYS, configure, redact

JWT = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


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
    assert line["at"] == "2030-01-02T00:00:00+00:00"
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

    structlog.get_logger().info("login refused", user="\x1b[2Ja\rb\x9b")

    assert "user=\\x1b[2Ja\\x0db\\x9b" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


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
