"""One q process of a chaos run: its connection, and what it believes, as the hook would."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sessiond.qipc import Push, QError, Response, Value, call, guid, int_, unpack_call
from sessiond.testing import FakeProcess
from sessiond.testing.calls import (
    PING,
    SESSIONS,
    connect_call,
    disconnect_call,
    hello_call,
    opened_call,
    reconcile_call,
    renew_call,
    ticket_call,
    token_call,
    web_call,
)
from sessiond.testing.plain import instant, plain, plain_dict, plain_rows
from tests.chaos.browser import Browser
from tests.chaos.journal import Journal
from tests.chaos.terms import BASE
from tests.chaos.ticket import Ticket
from tests.peers import PeerFarm

NOBODY = UUID(int=0)
WAITS = 202  # the page that asks again


@dataclass(frozen=True)
class Showing:
    """What requests over HTTP are let in by: a bearer, or the cookie of a browser."""

    user: str
    token: int  # by the number of the journal
    browser: Browser | None = None


class ChaosProcess:
    """A FakeProcess with a real pid; nothing here waits for the daemon but the handshake.

    It takes answers and pushes in the order in which they come, which is what a run checks. What
    was sent and not answered when the connection breaks counts as never acknowledged.
    """

    def __init__(self, name: str, address: bytes, journal: Journal) -> None:
        self.name = name
        self.held: dict[int, UUID] = {}  # the users on its handles
        self.users: dict[UUID, str] = {}
        self.tokens: dict[UUID, int] = {}  # what sessions were opened with, by the journal's number
        self.let_in: dict[UUID, Showing] = {}  # sessions of requests, by what they showed
        self.begun: list[Browser] = []  # sent to their issuers
        self.knocking: set[int] = set()  # handles whose login is not answered yet
        self.connection: FakeProcess | None = None
        self._ended: set[UUID] = set()
        self._journal = journal
        self._waiting: deque[Callable[[Value], object]] = deque()
        self._peer = PeerFarm(address, 1, connects=False)

    def kill(self) -> None:
        """Die as kill -9 would."""
        self.close()
        self._note("process-killed", held=list(self.held.values()))
        self.held.clear()
        self.let_in.clear()
        self.begun.clear()

    def close(self) -> None:
        """End the process."""
        self._peer.close()
        self._disconnected()

    def drop(self) -> None:
        """Lose the connection, and nothing else."""
        self._disconnected()

    def come(self) -> None:
        """Connect, say hello and reconcile, as after each loss of the daemon."""
        try:
            self.connection = FakeProcess(self._peer.connect(0), name=self.name)
        except OSError:
            self._disconnected()
            return
        self._note("came")
        self._ask(hello_call(self.name), lambda _: None)
        self._reconcile()

    def log_in(
        self,
        user: str,
        password: str,
        token: int,
        handle: int,
        *,
        opens: bool,
        ticket: Ticket | None = None,
    ) -> None:
        """Log a user in on a handle; `token` is what the journal calls what he brings."""
        asked_at = self._note("connecting", user=user, token=token, handle=handle)
        by_ticket: dict[str, Any] = {}
        if ticket is not None:
            by_ticket = {"jti": ticket.jti, "parent": ticket.parent, "asked_n": self._journal.last}
        self.knocking.add(handle)

        def answered(value: Value) -> None:
            self.knocking.discard(handle)
            answer = plain_dict(value)
            if not answer["ok"]:
                kind = "refused" if ticket is None else "ticket-not-taken"
                self._note(kind, user=user, handle=handle, reason=answer["reason"])
                return
            session = answer["session"]
            self.tokens[session] = token
            self._note(
                "login",
                user=user,
                token=token,
                alone=";" not in password and ticket is None,
                **by_ticket,
                handle=handle,
                session=session,
                asked_at=asked_at,
                expires=unix(answer["expires"]),
            )
            self.held.pop(handle, None)  # whoever was there is replaced
            if opens and session not in self._ended:
                self._open(session, user, handle)

        self._ask(connect_call(user, password, handle), answered)

    def ask_ticket(self, session: UUID, audience: str, kept: list[Ticket]) -> None:
        """Ask for a ticket for another process; keep it where there is one."""
        showing = self.let_in.get(session)
        user = showing.user if showing else self.users[session]
        token = showing.token if showing else self.tokens[session]
        self._note("ticket-asking", parent=session, audience=audience)
        asked_n = self._journal.last

        def answered(value: Value) -> None:
            answer = plain_dict(value)
            if not answer["ok"]:
                self._note("ticket-refused", parent=session, reason=answer["reason"])
                return
            ticket = Ticket(answer["ticket"], session, audience, user, token)
            kept.append(ticket)
            self._note(
                "ticket",
                parent=session,
                audience=audience,
                jti=ticket.jti,
                asked_n=asked_n,
                expires=unix(answer["expires"]),
            )

        self._ask(ticket_call(session, audience), answered)

    def ask_token(self, source: str, kept: list[str]) -> None:
        """Ask for the token of a data source; keep it where there is one."""
        asked_at = self._note("token-asking", source=source)

        def answered(value: Value) -> None:
            answer = plain_dict(value)
            if not answer["ok"]:
                self._note("source-refused", source=source, reason=answer["reason"])
                return
            kept.append(answer["token"].rpartition(".")[2])
            expires = unix(answer["expires"])
            self._note("source-token", source=source, asked_at=asked_at, expires=expires)

        self._ask(token_call(source), answered)

    def request(self, user: str, access: str, token: int) -> None:
        """Have a request with a bearer come to the web server."""
        asked_at = self._note("requesting", user=user, token=token)

        def answered(value: Value) -> None:
            answer = plain_dict(value)
            session = answer["session"]
            if answer["action"] != "allow":
                self._note("request-denied", user=user, reason=answer["reason"])
                return
            self._note(
                "let-in",
                user=user,
                token=token,
                alone=True,
                handle=0,
                session=session,
                asked_at=asked_at,
                expires=unix(answer["expires"]),
            )
            if session not in self._ended:  # else the checker says so
                self.let_in[session] = Showing(user, token)

        self._ask(web_call(bearer=access), answered)

    def begin(self, issuer: str) -> None:
        """Have a browser come that nobody is known by, and choose where to sign in."""
        browser = Browser(issuer)

        def answered(answer: dict[str, Any]) -> None:
            if "/authorize" in browser.goes_to:
                self.begun.append(browser)
            else:
                self._note("not-begun", status=answer["status"])

        self._browse(browser, f"/.sessiond/signin?issuer={issuer}&to=%2F", answered)

    def come_back(self, browser: Browser) -> None:
        """Have a browser come back from its issuer, or ask again what came of that."""
        self.begun.remove(browser)

        def answered(answer: dict[str, Any]) -> None:
            if answer["status"] == WAITS:
                self.begun.append(browser)
            elif answer["action"] == "redirect":
                self.look_at(browser)
            else:
                self._note("sign-in-refused", user=browser.user, reason=answer["reason"])

        self._browse(browser, browser.target, answered)

    def look_at(self, browser: Browser, known_as: UUID | None = None) -> None:
        """Have a browser ask for a page, with the cookie of its session."""
        asked_at = self._note("looking", user=browser.user, token=browser.token)

        def answered(answer: dict[str, Any]) -> None:
            if answer["action"] != "allow":
                if known_as and "/authorize" in browser.goes_to:
                    self.let_in.pop(known_as, None)
                    self._note("turned-away", session=known_as, asked_at=asked_at)
                return
            session = answer["session"]
            browser.sign_out = answer["signout"].removeprefix(BASE)
            self._note(
                "let-in",
                user=answer["user"],
                token=browser.token,
                alone=False,
                by_cookie=True,
                handle=0,
                session=session,
                asked_at=asked_at,
                expires=unix(answer["expires"]),
            )
            if session not in self._ended:
                self.let_in[session] = Showing(browser.user, browser.token, browser)

        self._browse(browser, "/", answered)

    def sign_out(self, session: UUID) -> None:
        """Have a browser leave by the address for that."""
        browser = self.let_in.pop(session).browser
        assert browser is not None
        self._note("leaving", session=session, handle=0)

        def answered(answer: dict[str, Any]) -> None:
            if answer["action"] == "redirect":
                self._note("left", session=session, handle=0)

        self._browse(browser, browser.sign_out, answered)

    def upgrade(self, parent: UUID, handle: int) -> None:
        """Have a request that was let in become a websocket, on a handle."""
        showing = self.let_in[parent]
        self._note("upgrading", parent=parent, handle=handle)
        self.knocking.add(handle)

        def answered(value: Value) -> None:
            self.knocking.discard(handle)
            session = plain(value)
            if session == NOBODY:
                self._note("upgrade-refused", parent=parent, handle=handle)
                return
            about = {"session": session, "handle": handle}
            self._note(
                "child",
                parent=parent,
                user=showing.user,
                token=showing.token,
                alone=showing.browser is None,
                **about,
            )
            if session not in self._ended:
                self.held[handle] = session
                self.users[session] = showing.user
                self.tokens[session] = showing.token
                self._note("opening", **about)
                self._note("opened", **about)

        self._ask(call("opened", guid(parent), int_(handle)), answered)

    def leave(self, handle: int) -> None:
        """Let the user on a handle go."""
        session = self.held.pop(handle)
        self._note("leaving", session=session, handle=handle)
        self._tell(disconnect_call(handle))
        self._ask(PING, lambda _: self._note("left", session=session, handle=handle))

    def renew(self, handle: int, password: str, token: int, *, waits: bool) -> None:
        """Bring fresh tokens for the session on a handle, sync or async."""
        session = self.held[handle]
        self._note("renewing", session=session, token=token, alone=";" not in password)
        renewal = renew_call(session, password)
        if not waits:
            self._tell(renewal)
            return

        def answered(value: Value) -> None:
            answer = plain_dict(value)
            if answer["ok"]:
                self._note("renewed", session=session, expires=unix(answer["expires"]))
            else:
                self._note("renewal-refused", session=session, reason=answer["reason"])

        self._ask(renewal, answered)

    def look(self) -> None:
        """Ask which sessions are live."""

        def answered(value: Value) -> None:
            seen = {str(row["session"]): unix(row["expires"]) for row in plain_rows(value)}
            self._note("sees", sessions=seen)

        self._ask(SESSIONS, answered)

    def believe(self) -> None:
        """Note what is held, for comparison."""
        self._note("believes", held=list(self.held.values()))

    @property
    def settled(self) -> list[int]:
        """The handles with a user on them and no other login under way."""
        return [handle for handle in self.held if handle not in self.knocking]

    @property
    def is_waiting(self) -> bool:
        """Say whether an answer is still to come."""
        return bool(self._waiting)

    def receive(self) -> None:
        """Take what the daemon has sent; to be called when the socket is readable."""
        assert self.connection is not None
        try:
            self.connection.receive()
        except ConnectionError:
            self._disconnected()
            return
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, Response):
                if isinstance(event.value, QError):
                    self._waiting.popleft()
                    self._note("error", text=event.value.text)
                else:
                    self._waiting.popleft()(event.value)
            else:
                self._pushed(event)

    def _open(self, session: UUID, user: str, handle: int) -> None:
        self.held[handle] = session
        self.users[session] = user
        self._note("opening", session=session, handle=handle)
        self._tell(opened_call(session, handle))

        def answered(_: Value) -> None:
            if session not in self._ended:  # else a push came first: it no longer stood
                self._note("opened", session=session, handle=handle)

        self._ask(PING, answered)

    def _reconcile(self) -> None:
        held = dict(self.held)
        self._note("reconciling", held=list(held.values()))

        def answered(value: Value) -> None:
            doomed = plain(value)
            for handle in doomed:
                if self.held.get(handle) == held[handle]:
                    del self.held[handle]
            ended = [held[handle] for handle in doomed]
            self._note("reconciled", held=list(self.held.values()), doomed=ended)

        self._ask(reconcile_call(held), answered)

    def _pushed(self, event: object) -> None:
        assert isinstance(event, Push), event
        name, (about,) = unpack_call(event.value)
        assert name == ".sessiond.upd"
        push = plain_dict(about)
        push["expires"] = unix(push["expires"])
        self._note("push", **push)
        if push["event"] not in ("revoked", "expired"):
            return
        self._ended.add(push["session"])  # perhaps before its login was answered
        self.let_in.pop(push["session"], None)
        for handle, session in tuple(self.held.items()):
            if session == push["session"]:
                del self.held[handle]

    def _browse(
        self, browser: Browser, target: str, answered: Callable[[dict[str, Any]], object]
    ) -> None:
        def taken(value: Value) -> None:
            answer = plain_dict(value)
            browser.take(answer)
            answered(answer)

        host = BASE.partition("//")[2]
        self._ask(web_call(target, cookie=browser.cookie, accept="text/html", host=host), taken)

    def _ask(self, value: Value, answered: Callable[[Value], object]) -> None:
        self._waiting.append(answered)
        if self.connection is not None:
            with suppress(BrokenPipeError, ConnectionResetError):  # found out by reading, in turn
                self.connection.ask(value)

    def _tell(self, value: Value) -> None:
        if self.connection is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                self.connection.tell(value)

    def _disconnected(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self._note("cut")
        self.connection = None
        self._waiting.clear()
        self.knocking.clear()

    def _note(self, kind: str, **facts: Any) -> float:
        return self._journal.note(kind, process=self.name, **facts)


def unix(timestamp: int) -> float | None:
    """Return kdb+'s nanoseconds since 2000 as Unix time; None for 0Np."""
    found = instant(timestamp)
    return None if found is None else found.timestamp()
