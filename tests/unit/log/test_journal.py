"""journald's native protocol, sent to a socket of the test's."""

import array
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.secret import Secret
from sessiond.log import REDACTED, configure, lost
from sessiond.log.journal import SEALS, Journal, datagram
from sessiond.log.redaction import MAX_TEXT
from tests import canary
from tests.journal_fields import fields_of
from tests.unit.jwt.forge import token

HUGE = 4_000_000  # bytes: more than a datagram holds


class Journald:
    """What journald's end of the socket gets."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(5)

    def receive(self) -> bytes:
        """Return the next line, wherever it is: in the datagram, or in a sealed memory file."""
        space = socket.CMSG_SPACE(array.array("i").itemsize)
        line, ancillary, _, _ = self.socket.recvmsg(1 << 20, space)
        if not ancillary:
            return line
        ((_, _, packed),) = ancillary
        (descriptor,) = array.array("i", packed)
        try:
            assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == SEALS
            return os.pread(descriptor, 2 * HUGE, 0)
        finally:
            os.close(descriptor)

    def fields(self) -> dict[str, str]:
        return {name: value.decode() for name, value in fields_of(self.receive())}


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    found = Journald(tmp_path / "socket")
    yield found
    found.socket.close()


def log_to(journald: Journald, level: str = "info") -> Any:
    configure("journald", level, journald=journald.path)
    return structlog.get_logger()


def test_a_line_has_a_text_to_read_and_each_fact_as_a_field(journald: Journald) -> None:
    log_to(journald).info("login", outcome="refused", user="alice", answer_ms=1.25, detail="a b")
    assert journald.fields() == {
        "MESSAGE": 'login outcome=refused user=alice answer_ms=1.25 detail="a b"',
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "sessiond",
        "SESSIOND_EVENT": "login",
        "SESSIOND_OUTCOME": "refused",
        "SESSIOND_USER": "alice",
        "SESSIOND_ANSWER_MS": "1.25",
        "SESSIOND_DETAIL": "a b",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")],
)
def test_levels_are_syslogs_priorities(journald: Journald, level: str, priority: str) -> None:
    getattr(log_to(journald, "debug"), level)("x")
    assert journald.fields()["PRIORITY"] == priority


def test_a_line_break_cannot_make_a_field_of_its_own(journald: Journald) -> None:
    log_to(journald).info("login", user="mallory\nPRIORITY=0\nSESSIOND_OUTCOME=accepted")
    line = journald.receive()
    assert [name for name, _ in fields_of(line)].count("PRIORITY") == 1
    fields = dict(fields_of(line))
    assert fields["SESSIOND_USER"] == b"mallory\nPRIORITY=0\nSESSIOND_OUTCOME=accepted"
    assert "\n" not in fields["MESSAGE"].decode()


def test_a_traceback_is_below_the_message_and_in_a_field(journald: Journald) -> None:
    log = log_to(journald)
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("call failed")
    fields = journald.fields()
    assert fields["MESSAGE"].splitlines()[0] == "call failed"
    assert fields["SESSIOND_EXCEPTION"].endswith("ValueError: bad")


@pytest.mark.parametrize("value", ["a\u202eb", "a b\u202ec", "a \x9b2J", 'a" \u2028', "a \ud800"])
def test_what_people_read_of_a_fact_is_printable(journald: Journald, value: str) -> None:
    log_to(journald).info("x", error=value)
    message = journald.fields()["MESSAGE"]
    assert message.isprintable()
    assert message.startswith(("x error=a", 'x error="a'))


def test_half_a_surrogate_pair_deep_inside_of_a_fact_costs_no_line(journald: Journald) -> None:
    log_to(journald).info("x", found=["a \ud800"])
    assert "\\ud800" in journald.fields()["SESSIOND_FOUND"]


def test_a_traceback_cannot_steer_the_terminal_either(journald: Journald) -> None:
    log = log_to(journald)
    try:
        raise ValueError("\x1b[2J \u202eb")
    except ValueError:
        log.exception("failed")
    message = journald.fields()["MESSAGE"]
    assert message.endswith("\nValueError: \\x1b[2J \\u202eb")
    assert all(line.isprintable() for line in message.split("\n"))


def test_names_of_fields_are_what_journald_allows(journald: Journald) -> None:
    log_to(journald).info("x", **{"strange-key é": 1, "k" * 99: None, "l" * 99: [1, "b"]})
    fields = journald.fields()
    assert fields["SESSIOND_STRANGE_KEY__"] == "1"
    assert fields["SESSIOND_" + "L" * 55] == '[1,"b"]'
    assert not any("K" * 9 in name for name in fields)


def test_the_lines_of_libraries_go_there_too(journald: Journald) -> None:
    log_to(journald)
    logging.getLogger("httpx").warning("slow")
    fields = journald.fields()
    assert (fields["MESSAGE"], fields["SESSIOND_LOGGER"]) == ("slow logger=httpx", "httpx")


def test_what_no_datagram_holds_goes_as_a_sealed_memory_file(journald: Journald) -> None:
    details = {f"detail_{number}": "y" * MAX_TEXT for number in range(HUGE // MAX_TEXT)}
    log_to(journald).info("x", **details)
    fields = journald.fields()
    assert all(fields[f"SESSIOND_{name.upper()}"] == details[name] for name in details)
    assert fields["MESSAGE"].startswith(f"x detail_0={'y' * 500}… detail_1=")


def test_a_full_journal_drops_counts_and_does_not_wait(journald: Journald) -> None:
    log, before = log_to(journald), lost["journal"]
    for number in range(5000):
        log.info("x", number=number)
    dropped = lost["journal"] - before
    assert 0 < dropped < 5000
    seen = [journald.fields()["SESSIOND_NUMBER"] for _ in range(5000 - dropped)]
    assert seen == [str(number) for number in range(5000 - dropped)]
    log.info("heard again")
    assert journald.fields()["MESSAGE"] == "heard again"


def test_a_journald_that_is_restarted_is_found_again(journald: Journald, tmp_path: Path) -> None:
    log, before = log_to(journald), lost["journal"]
    journald.socket.close()
    log.info("lost")
    assert lost["journal"] == before + 1
    Path(journald.path).unlink()
    again = Journald(tmp_path / "socket")
    log.info("heard")
    assert again.fields()["MESSAGE"] == "heard"
    again.socket.close()


def test_who_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Journal(str(tmp_path / "socket"))


def test_another_format_closes_the_journal(journald: Journald) -> None:
    log_to(journald).info("one")
    configure("json", "info")
    structlog.get_logger().info("two")
    assert journald.fields()["MESSAGE"] == "one"
    journald.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        journald.receive()


@pytest.mark.parametrize("place", ["fact", "event", "inner", "exception", "library", "key"])
def test_no_token_gets_into_the_journal(journald: Journald, place: str) -> None:
    log, secret = log_to(journald), token().reveal()
    match place:
        case "fact":
            log.info("x", found=f"Authorization: Bearer {secret}\n", token=Secret(secret))
        case "event":
            log.info(" ".join(["x", secret]))
        case "inner":
            log.info("x", found={"password": secret, "list": [secret, secret.encode()]})
        case "exception":
            try:
                raise ValueError(secret)
            except ValueError:
                log.exception("failed")
        case "library":
            logging.getLogger("httpx").warning("got %s", secret)
        case _:
            log.info("x", refresh_token=secret)
    line = journald.receive()
    assert REDACTED.encode() in line
    assert canary.found_in(secret.encode()) != set()
    assert canary.found_in(line) == set()


@given(
    facts=st.dictionaries(
        st.from_regex(r"[a-z_]{1,20}", fullmatch=True),
        st.one_of(st.text(), st.integers(-(2**60), 2**60), st.booleans()),
        max_size=5,
    )
)
def test_whatever_the_facts_are_the_fields_are_told_apart(facts: dict[str, Any]) -> None:
    line = datagram(None, "info", {"event": "x", "level": "info", **facts})
    names = [name for name, _ in fields_of(line)]
    kept = [key for key in {"event": 1, **facts} if key not in ("event", "level", "timestamp")]
    assert names[4:] == [f"SESSIOND_{key.upper()}" for key in kept]
