"""journald's native protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL.

A line is a datagram of fields: MESSAGE to be read by people, and each fact as SESSIOND_KEY.
"""

import errno
import fcntl
import json
import os
import re
import socket
from array import array
from datetime import datetime
from typing import Any

import msgspec
from structlog.typing import EventDict, WrappedLogger

from sessiond.core.printable import escaped, escaped_lines
from sessiond.log.output import lost

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {  # syslog's, by structlog's level
    "debug": 7,
    "info": 6,
    "warning": 4,
    "error": 3,
    "critical": 2,
}
LONGEST_WORD = 500  # characters of a fact in MESSAGE; its own field has all of it
LONGEST_NAME = 64  # characters of a field's name
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL

_PLAIN = re.compile(r"[^\s\"=]+")


class Journal:
    """An Output (sessiond.log.output) whose lines are datagrams for journald."""

    is_behind = False

    def __init__(self, path: str = SOCKET) -> None:
        """Reach for journald.

        Raises:
            OSError: It is not there.
        """
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trial:
                trial.connect(path)
        except OSError:
            self._socket.close()
            raise

    def put(self, line: bytes) -> None:
        """Send a datagram. Never waits: what journald has no room for is dropped and counted."""
        try:
            try:
                self._socket.sendto(line, self._path)
            except OSError as error:
                if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                    raise
                self._send_in_memory(line)
        except OSError:  # full, or gone for now
            lost["journal"] += 1

    def flush(self, wait: int = 0) -> None:
        """Do nothing: a datagram is sent or dropped."""

    def close(self) -> None:
        self._socket.close()

    def _send_in_memory(self, line: bytes) -> None:
        """Pass what no datagram can hold as a sealed memory file."""
        descriptor = os.memfd_create("sessiond-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(line)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
            passed = array("i", [descriptor])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)]
            self._socket.sendmsg([], rights, 0, self._path)
        finally:
            os.close(descriptor)


def datagram(_: WrappedLogger, __: str, event_dict: EventDict) -> bytes:
    """Return a line as journald's fields: structlog's last processor."""
    level = event_dict.pop("level", "info")
    event = str(event_dict.pop("event", ""))
    event_dict.pop("timestamp", None)  # journald has its own
    facts = [(key, _shown(value)) for key, value in event_dict.items() if value is not None]
    fields = [
        ("MESSAGE", _message(event, facts)),
        ("PRIORITY", str(PRIORITIES.get(level, 6))),
        ("SYSLOG_IDENTIFIER", "sessiond"),
        ("SESSIOND_EVENT", event),
        *((_name(key), value) for key, value in facts),
    ]
    return b"".join(_field(name, value) for name, value in fields)


def _message(event: str, facts: list[tuple[str, str]]) -> str:
    """Return what people read; a traceback stands below it, on its own lines."""
    words = [escaped(event)]
    below = ""
    for key, value in facts:
        if key == "exception":
            below = f"\n{escaped_lines(value)}"
        else:
            words.append(f"{key}={_word(value)}")
    return " ".join(words) + below


def _word(text: str) -> str:
    if len(text) > LONGEST_WORD:
        text = f"{text[:LONGEST_WORD]}…"
    return escaped(text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False))


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    try:
        return msgspec.json.encode(value, enc_hook=str).decode().strip('"')
    except UnicodeEncodeError:  # half a surrogate pair, in what somebody sent
        return str(value)


def _name(key: str) -> str:
    """Return a field's name: capital letters, digits and underscores."""
    plain = re.sub(r"[^A-Z0-9_]", "_", key.upper())
    return f"SESSIOND_{plain}"[:LONGEST_NAME]


def _field(name: str, value: str) -> bytes:
    content = value.encode(errors="backslashreplace")
    if b"\n" in content:  # the length says where it ends
        return b"%s\n%s%s\n" % (name.encode(), len(content).to_bytes(8, "little"), content)
    return b"%s=%s\n" % (name.encode(), content)
