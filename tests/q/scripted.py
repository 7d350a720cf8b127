"""A daemon that says what the test wants, to see what the hook makes of it."""

import hashlib
import itertools
import queue
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

from sessiond.qipc import (
    NULL_GUID,
    NULL_SYMBOL,
    NULL_TIMESTAMP,
    Dictionary,
    List,
    Message,
    MessageDecoder,
    MessageKind,
    QError,
    Table,
    Value,
    boolean,
    call,
    decode,
    dictionary,
    encode_message,
    guid,
    int_,
    list_,
    mapping,
    octets,
    string,
    strings,
    symbol,
    symbols,
    text,
    timespan,
    timestamp,
    unpack_call,
)
from tests.q.interpreter import PATIENCE

KEY = "c2Vzc2lvbmQgdGVzdCBrZXksIDMyIGJ5dGVzIGxvbmc="
EXPIRES = datetime(2100, 1, 1, tzinfo=UTC)
Arguments = tuple[Value, ...]
Answer = Callable[[Arguments], Value | QError]


def accepted(
    session: UUID, user: str, roles: Sequence[str] = (), attributes: Mapping[str, str] | None = None
) -> Dictionary:
    """Return the answer of `connect` to a good token."""
    named = {name: string(words) for name, words in (attributes or {}).items()}
    return dictionary(
        {
            "ok": boolean(True),
            "session": guid(session),
            "user": symbol(user),
            "roles": symbols(roles),
            "attributes": dictionary(named) if named else Dictionary(symbols(()), list_()),
            "expires": timestamp(EXPIRES),
            "reason": NULL_SYMBOL,
        }
    )


def refused(reason: str) -> Dictionary:
    """Return the answer of `connect` to a bad one."""
    return dictionary(
        {
            "ok": boolean(False),
            "session": NULL_GUID,
            "user": NULL_SYMBOL,
            "roles": symbols(()),
            "attributes": Dictionary(symbols(()), list_()),
            "expires": NULL_TIMESTAMP,
            "reason": symbol(reason),
        }
    )


def allowed(session: UUID, user: str, roles: Sequence[str] = ()) -> Dictionary:
    """Return the answer of `web` to a request of a web session."""
    return dictionary(
        {
            "action": symbol("allow"),
            **mapping(accepted(session, user, roles)),
            "status": int_(200),
            "headers": string(""),
            "body": string(""),
            "signout": string(""),
            "keep": timespan(datetime.resolution * 60_000_000),
        }
    )


def answered(action: str, status: int = 401, headers: str = "", body: str = "") -> Dictionary:
    """Return the answer of `web` that lets nobody in: `redirect`, `deny` or `basic`."""
    return dictionary(
        {
            **mapping(refused("unavailable")),
            "action": symbol(action),
            "status": int_(status),
            "headers": string(headers),
            "body": string(body),
            "signout": string(""),
            "keep": timespan(datetime.resolution * 0),
        }
    )


def standing(
    user: str, roles: Sequence[str] = (), attributes: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """Return what a process that follows is told of somebody."""
    return {
        "user": symbol(user),
        "name": symbol(user),
        "roles": symbols(roles),
        "attributes": strings(attributes or {}),
    }


def standings(*people: dict[str, Value]) -> Table:
    """Return the answer of `follow`, its columns of names as vectors."""
    columns = ("user", "name", "roles", "attributes")
    values = ([person[column] for person in people] for column in columns)
    names = {"user", "name"}
    return Table(
        columns,
        tuple(
            symbols(text(each) for each in column) if name in names else List(tuple(column))
            for name, column in zip(columns, values, strict=True)
        ),
    )


class ScriptedDaemon:
    """Listens on a TCP port for one q process at a time; `answers` decides what it says."""

    def __init__(self, folder: Path, *, port: int = 0, key: str = KEY) -> None:
        self.answers: dict[str, Answer] = {
            "hello": self._hello,
            "reconcile": lambda _: list_(),
            "connect": self._connect,
            "follow": lambda _: standings(),
        }
        self.calls: queue.Queue[tuple[str, Arguments]] = queue.Queue()
        self.sessions: dict[str, UUID] = {}  # the newest of each user
        self.received = bytearray()  # every byte that q ever sent
        self._folder = folder
        self._key = key
        self._numbers = itertools.count(1)
        self._responses: queue.Queue[bytes] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._peer: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Go away, as a daemon that is killed does."""
        for end in (self._listener, self._peer):
            if end is not None and end.fileno() >= 0:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        for end in (self._listener, self._peer):
            if end is not None:
                end.close()

    def next_call(self, name: str) -> Arguments:
        """Wait for a call of this name; those before it are passed over."""
        while True:
            called, arguments = self.calls.get(timeout=PATIENCE)
            if called == name:
                return arguments

    def names(self) -> list[str]:
        """Return the names of the calls not looked at yet."""
        waiting = [self.calls.get_nowait() for _ in range(self.calls.qsize())]
        return [name for name, _ in waiting]

    def push(self, event: str, session: UUID | None, handle: int, **members: Value) -> None:
        """Send a push; `settle` waits until q has acted on it."""
        content: dict[str, Value] = {
            "event": symbol(event),
            "session": NULL_GUID if session is None else guid(session),
            "handle": int_(handle),
            "user": NULL_SYMBOL,
            "roles": symbols(()),
            "expires": NULL_TIMESTAMP,
            "reason": NULL_SYMBOL,
            **members,
        }
        self.send(call(".sessiond.upd", dictionary(content)))

    def stand(
        self,
        user: str,
        roles: Sequence[str] = (),
        attributes: Mapping[str, str] | None = None,
        *,
        gone: bool = False,
    ) -> None:
        """Push who stands where by now."""
        who = standing(user, roles, attributes)
        self.push("standing", None, 0, **who, gone=boolean(gone))

    def send(self, value: Value) -> None:
        """Send any async message."""
        self._send(MessageKind.ASYNC, value)

    def hang_up(self) -> None:
        """Close the connection to q; q may connect again."""
        assert self._peer
        self._peer.shutdown(socket.SHUT_RDWR)

    def settle(self) -> None:
        """Wait until q has handled every message so far: it answers in order."""
        self._send(MessageKind.SYNC, call("count", string("ping")))
        self._responses.get(timeout=PATIENCE)

    def _send(self, kind: MessageKind, value: Value | QError) -> None:
        assert self._peer
        self._peer.sendall(encode_message(kind, value))

    def _serve(self) -> None:
        while True:
            try:
                self._peer, _ = self._listener.accept()
            except OSError:
                return
            with self._peer:
                self._converse(self._peer)

    def _converse(self, peer: socket.socket) -> None:
        greeting = b""
        while not greeting.endswith(b"\0"):
            if not (byte := peer.recv(1)):
                return
            greeting += byte
        self.received += greeting
        peer.sendall(b"\x03")
        decoder = MessageDecoder(max_size=1 << 20)
        while data := self._more(peer):
            self.received += data
            decoder.receive_data(data)
            while (message := decoder.next_message()) is not None:
                self._handle(message)

    def _more(self, peer: socket.socket) -> bytes:
        try:
            return peer.recv(65536)
        except OSError:
            return b""

    def _handle(self, message: Message) -> None:
        if message.kind is MessageKind.RESPONSE:
            self._responses.put(message.payload)
            return
        value = decode(message.payload)
        assert not isinstance(value, QError)
        name, arguments = unpack_call(value)
        answer = self.answers[name](arguments) if name in self.answers else list_()
        self.calls.put((name, arguments))
        if message.kind is MessageKind.SYNC:
            with suppress(BrokenPipeError):  # after `hang_up`
                self._send(MessageKind.RESPONSE, answer)

    def _hello(self, arguments: Arguments) -> Value:
        nonce = text(mapping(arguments[0])["nonce"]).encode()
        key, place = self._key.encode(), f"sessiond:{self._folder}/kx.{self.port}:".encode()
        inner = hashlib.sha1(key + place + nonce, usedforsecurity=False).digest()
        return dictionary(
            {
                "server": string("scripted"),
                "instance": guid(uuid4()),
                "proof": octets(hashlib.sha1(key + inner, usedforsecurity=False).digest()),
                "deadline": timespan(datetime.resolution * 2_000_000),
            }
        )

    def _connect(self, arguments: Arguments) -> Value:
        user = text(mapping(arguments[0])["user"])
        self.sessions[user] = uuid4()
        return accepted(self.sessions[user], user, ["reader"])
