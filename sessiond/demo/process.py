"""A simulated q process: `python -m sessiond.demo.process`.

It speaks real kdb+ IPC and does what the q hook (plugins/torq) does in a gateway, in one thread as
q does: it has the daemon prove itself, asks about each token that a user brings, closes a handle
when the daemon takes its session back, and reconciles after the daemon was away. Its users are
commands on standard input and, with `--port`, real kdb+ clients on loopback; what happened it tells
on standard output, a line each.
"""

import argparse
import hashlib
import hmac
import os
import secrets
import select
import sys
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from sessiond.core.errors import TokenRejected
from sessiond.core.password import is_ticket, read_password
from sessiond.core.secret import Secret
from sessiond.demo.answers import answer, brought
from sessiond.demo.behind import Behind, asked_behind
from sessiond.demo.door import Asked, Door, Event, Knocked, Left
from sessiond.demo.lines import Commands, report
from sessiond.demo.quotes import quotes
from sessiond.qipc import NIL, QError, Value, octets_of, text
from sessiond.testing.calls import disconnect_call, opened_call, renew_call
from sessiond.testing.plain import instant
from sessiond.testing.process import FakeProcess

RETRY = 0.05  # seconds between two attempts to reach the daemon; the hook takes longer
MAX_SHOWN = 256  # characters of a name: whoever calls may bring one of 64 KiB, again and again
FIRST_HANDLE = 6  # what q gives its first caller, about


@dataclass(frozen=True, slots=True)
class Held:
    """Whom a handle belongs to."""

    session: UUID
    user: str  # as typed, which is .z.u


class SimulatedProcess:
    """The hook's state: its handle to the daemon, and which session each handle holds."""

    def __init__(self, name: str, *, address: str, key: str, port: int | None = None) -> None:
        """Begin without the daemon.

        Args:
            name: What the daemon calls this process.
            address: DIRECTORY/kx.PORT of the daemon.
            key: The proof key, as text.
            port: Where kdb+ clients come in, as for `Door`.

        Raises:
            OSError: The port is another's.
        """
        self._name = name
        self._address = address
        self._key = key
        self._daemon: FakeProcess | None = None
        self._held: dict[int, Held] = {}
        self._handles = count(FIRST_HANDLE)
        self._door = Door(port, handles=self._handles)
        self._behind = Behind()

    def run(self, commands: Commands) -> None:
        """Serve until the commands end."""
        if self._door.port is not None:
            report("listening", port=self._door.port)
        while True:
            if self._daemon is None:
                self._reach()
            self._hear()
            waited_for: list[Any] = [commands, *self._door.readers()]
            if self._daemon is not None:
                waited_for.append(self._daemon)
            wait = self._door.patience()
            if self._daemon is None:
                wait = RETRY if wait is None else min(wait, RETRY)
            ready, writable, _ = select.select(waited_for, self._door.writers(), [], wait)
            for event in self._door.attend(ready, writable):
                self._serve(event)
            try:
                if self._daemon is not None and self._daemon in ready:
                    self._daemon.receive()
                if commands in ready:
                    told = commands.read()
                    if told is None:
                        return
                    for command in told:
                        self._obey(command)
            except OSError:  # the daemon has gone
                self._lose()

    def _reach(self) -> None:
        """Find the daemon, make it prove itself, and agree with it on what is live."""
        started = time.monotonic()
        try:
            daemon = FakeProcess(f"\0{self._address}", name=self._name)
        except OSError:  # nobody listens there
            return
        try:
            nonce = secrets.token_hex(16)
            welcome = daemon.hello(host="localhost", pid=os.getpid(), nonce=nonce)
            if not self._is_proof(octets_of(welcome["proof"]), nonce):
                report("unproved")  # no token goes there
                daemon.close()
                return
            report("connected", server=text(welcome["server"]), took=time.monotonic() - started)
            self._daemon = daemon
            self._reconcile(daemon)
        except OSError:
            daemon.close()
            self._daemon = None

    def _is_proof(self, proof: bytes, nonce: str) -> bool:
        """Do what the hook does with q's -33!, which is SHA-1."""
        key = self._key.encode()
        inner = hashlib.sha1(key + f"sessiond:{self._address}:{nonce}".encode())  # noqa: S324
        outer = hashlib.sha1(key + inner.digest())  # noqa: S324
        return hmac.compare_digest(proof, outer.digest())

    def _reconcile(self, daemon: FakeProcess) -> None:
        doomed = daemon.reconcile({handle: held.session for handle, held in self._held.items()})
        report("reconciled", held=len(self._held), doomed=doomed)
        for handle in doomed:
            self._close(handle, "reconcile")

    def _lose(self) -> None:
        """Live on without the daemon: what is live stays."""
        if self._daemon is not None:
            self._daemon.close()
            self._daemon = None
        report("lost", held=len(self._held))

    def _obey(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "login":
                self._login(command["user"], command["password"], next(self._handles))
            case "sessions":
                self._list_sessions()
            case "behind":
                self._behind.know(command["type"], command["name"], int(command["port"]))
                report("knows", name=command["name"])
            case "fetch":
                self._fetch(command["source"], command["url"])
            case _:
                raise ValueError("no such command")

    def _serve(self, event: Event) -> None:
        """Do for a client at the door what q's callbacks do."""
        match event:
            case Knocked(handle, user, password):
                if self._login(user, password.reveal(), handle):
                    self._door.let_in(handle)
                else:
                    self._door.close(handle)
            case Asked(handle, query):
                self._door.answer(handle, self._answered(handle, query))
            case Left(handle):
                held = self._held.pop(handle)
                self._behind.left(handle)
                self._tell(disconnect_call(handle, held.session))
                report("left", user=held.user, handle=handle)

    def _answered(self, handle: int, query: Value) -> Value | QError:
        held = self._held[handle]
        if (asked := asked_behind(query)) is not None:
            return self._behind.answer(
                asked,
                user=held.user,
                handle=handle,
                ticket=lambda name: self._ticket(held.session, name),
            )
        if (token := brought(query)) is None:
            return answer(query, user=held.user, handle=handle)
        if _is_token(token.reveal()):  # what becomes of it is pushed
            self._tell(renew_call(held.session, token.reveal()))
        return NIL

    def _login(self, user: str, password: str, handle: int) -> bool:
        """Do what .z.pw does, and then .z.po."""
        try:
            if not is_ticket(password):
                read_password(password)
        except TokenRejected as rejected:  # a plain password never leaves q
            _refuse(user, rejected.reason, sent=False)
            return False
        if self._daemon is None:
            _refuse(user, "unavailable", sent=False)
            return False
        started = time.monotonic()
        try:
            verdict = self._daemon.connect(user, password, handle)
        except OSError:
            _refuse(user, "unavailable", sent=True)
            self._lose()
            return False
        took = time.monotonic() - started
        if not verdict["ok"]:
            _refuse(user, verdict["reason"], sent=True, took=took)
            return False
        session = verdict["session"]
        self._held[handle] = Held(session, user)
        self._tell(opened_call(session, handle))
        report(
            "accepted",
            user=verdict["user"],
            session=str(session),
            handle=handle,
            roles=verdict["roles"],
            expires=_moment(verdict["expires"]),
            took=took,
        )
        return True

    def _ticket(self, session: UUID, name: str) -> Secret | QError:
        """Ask for a ticket for another process, for the user of a session here."""
        try:
            if self._daemon is not None:
                answer = self._daemon.ticket(session, name)
                if answer["ok"]:
                    return Secret(answer["ticket"])
                return QError(f"sessiond: no ticket for {name}: {answer['reason']}")
        except OSError:
            self._lose()
        return QError(f"sessiond: no ticket for {name}: unavailable")

    def _fetch(self, source: str, url: str) -> None:
        """Read a source with the token that the daemon has for it."""
        if self._daemon is None:
            report("unfetched", reason="unavailable")
            return
        started = time.monotonic()
        answer = self._daemon.token(source)
        took = time.monotonic() - started
        if not answer["ok"]:
            report("unfetched", reason=answer["reason"])
            return
        try:
            rows = quotes(url, Secret(answer["token"]))
        except OSError:
            report("unfetched", reason="the source shows nothing")
            return
        report("fetched", rows=len(rows), took=took)

    def _tell(self, call: Value) -> None:
        """Call the daemon and wait for nothing; what it misses while away, `reconcile` tells."""
        try:
            if self._daemon is not None:
                self._daemon.tell(call)
        except OSError:
            self._lose()

    def _list_sessions(self) -> None:
        """Tell what the daemon has of this process."""
        found = [] if self._daemon is None else self._daemon.sessions()
        sessions = [str(each["session"]) for each in found]
        report("sessions", sessions=sessions, handles=list(self._held))

    def _hear(self) -> None:
        """Do what the daemon's pushes say."""
        while self._daemon is not None and self._daemon.pushes:
            push = self._daemon.next_push()
            handle = push["handle"]
            held = self._held.get(handle)
            if held is None or held.session != push["session"]:
                continue  # stale: the handle is another's by now
            match push["event"]:
                case "refreshed":
                    expires = _moment(push["expires"])
                    report("refreshed", user=held.user, handle=handle, expires=expires)
                case "renewed" if push["reason"]:
                    report("unrenewed", user=held.user, handle=handle, reason=push["reason"])
                case "renewed":
                    expires = _moment(push["expires"])
                    report("renewed", user=held.user, handle=handle, expires=expires)
                case "revoked" | "expired":
                    self._close(handle, push["reason"])
                case _:
                    pass  # the story asks for nothing else

    def _close(self, handle: int, reason: str) -> None:
        held = self._held.pop(handle)  # what he had behind ends with it, and is closed there
        self._door.close(handle)
        report("closed", user=held.user, handle=handle, reason=reason)


def _refuse(user: str, reason: str, **facts: object) -> None:
    report("refused", user=user[:MAX_SHOWN], reason=reason, **facts)


def _is_token(password: str) -> bool:
    try:
        read_password(password)
    except TokenRejected:
        return False
    return True


def _moment(nanoseconds: int) -> str:
    found = instant(nanoseconds)
    return "" if found is None else found.isoformat()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--address", required=True, help="DIRECTORY/kx.PORT of the daemon")
    parser.add_argument("--key-file", required=True, type=Path, help="holds the proof key")
    parser.add_argument("--port", type=int, help="where kdb+ clients come in; 0: any free one")
    given = parser.parse_args()
    try:
        key = given.key_file.read_text(encoding="ascii").partition("\n")[0]
    except (OSError, ValueError) as error:
        parser.error(f"--key-file: cannot read {given.key_file}: {error}")
    try:
        process = SimulatedProcess(given.name, address=given.address, key=key, port=given.port)
    except (OSError, OverflowError) as error:
        parser.error(f"--port: cannot listen on {given.port}: {error}")
    process.run(Commands(sys.stdin.fileno()))


if __name__ == "__main__":
    main()
