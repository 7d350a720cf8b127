"""Tickets as the tests make them: good ones, and ones with one thing wrong."""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sessiond.core.compact import CompactToken
from sessiond.core.password import read_ticket
from sessiond.core.session import SessionId
from sessiond.core.ticket import TicketId
from sessiond.tickets.claims import TicketClaims
from sessiond.tickets.settings import TicketSettings
from sessiond.tickets.signing import SigningKey
from tests.fakes import START, session_id

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
