"""Tickets as the tests make them: good ones, and ones with one thing wrong."""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sessiond.core.changes import DropTicketKey, KeepTicketKey
from sessiond.core.compact import CompactToken
from sessiond.core.errors import Refusal
from sessiond.core.password import read_ticket
from sessiond.core.queries import ListTicketKeys
from sessiond.core.secret import Secret
from sessiond.core.session import SessionId
from sessiond.core.ticket import TicketId, TicketKey
from sessiond.store.sealing import KeyRing
from sessiond.tickets.claims import TicketClaims
from sessiond.tickets.needs import Gate, Table, TicketServices
from sessiond.tickets.settings import TicketSettings
from sessiond.tickets.signing import SigningKey
from sessiond.tickets.tickets import Tickets
from tests.fakes import START, FakeClock, Settings, session_id, token_hash

ISSUER = "urn:sessiond:host1"
NOW = int(START.timestamp())
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = SigningKey(PRIVATE)
KEYS = {KEY.id: KEY.public}
SETTINGS = TicketSettings(
    issuer=ISSUER,
    host="host1",
    audiences=("rdb*",),
    generations={"corp": 1},
    issuers={"corp": "the digest of its table"},
)
JTI = TicketId(UUID(int=77))


def claims(
    *,
    parent: SessionId | None = None,
    verdict: str | None = None,
    audience: str = "rdb100",
    name: str = "alice",
    begin: int = NOW,
    lasts: timedelta = timedelta(seconds=30),
    jti: TicketId = JTI,
) -> TicketClaims:
    if parent is None and verdict is None:
        parent = session_id(1)
    return TicketClaims(
        iss=ISSUER,
        sub="subject of alice",
        name=name,
        aud=audience,
        jti=jti,
        iat=begin,
        exp=begin + int(lasts.total_seconds()),
        sid=parent,
        verdict=verdict,
    )


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def ticket(
    header: object = None, payload: object = None, *, key: Ed25519PrivateKey = PRIVATE
) -> str:
    """Return a ticket that is signed; each part as JSON, or as the text that is given."""
    parts = [
        b64((each if isinstance(each, str) else json.dumps(each)).encode())
        for each in (HEADER if header is None else header, payload or claims().members())
    ]
    content = ".".join(parts)
    return f"{content}.{b64(key.sign(content.encode()))}"


HEADER: Mapping[str, object] = {"alg": "EdDSA", "kid": KEY.id, "typ": "sessiond-ticket+jwt"}


def taken_apart(text: str) -> CompactToken:
    """Return a ticket as the password's reading leaves it."""
    return read_ticket(f"ticket:{text}")


RING = KeyRing({1: b"k" * 32})
INSTANCE = UUID(int=4242)


def tickets_on(
    table: Table,
    gate: Gate,
    clock: FakeClock,
    settings: Settings[TicketSettings | None] | None = None,
    *,
    instance: UUID = INSTANCE,
) -> Tickets:
    """Return the room on a table and a gate; nothing of it runs. Off, where nothing else is said.

    Ids are those from 700,001 on.
    """
    numbers = count(700_001)
    off: Settings[TicketSettings | None] = Settings(None)
    return Tickets.of(
        TicketServices(
            settings=settings or off,
            table=table,
            gate=gate,
            clock=clock,
            sealing=lambda: RING,
            hashed=lambda token: token_hash(token.reveal()),
            draw=lambda: 0.5,
            new_id=lambda: UUID(int=next(numbers)),
            instance=instance,
        )
    )


class KeyTable:
    """Fulfils `Table` for the keys alone; a test says what else is answered."""

    def __init__(self, says: object = None) -> None:
        self.says = says
        self.kept: set[str] = set()
        self.asked: list[object] = []
        self.refused: list[tuple[str, str]] = []  # issuer and reason

    async def ask(self, request: Any) -> Any:
        match request:
            case KeepTicketKey():
                self.kept.add(request.key.id)
                return None
            case DropTicketKey():
                self.kept.discard(request.id)
                return None
            case ListTicketKeys():
                return []
            case _:
                self.asked.append(request)
                return self.says

    async def secret(self, row: TicketKey) -> Secret | None:
        return None

    def note_refusal(self, *, issuer: str, reason: Refusal, **_: object) -> None:
        self.refused.append((issuer, reason.value))


def password(ticket: Secret) -> Secret:
    return Secret(f"ticket:{ticket.reveal()}")
