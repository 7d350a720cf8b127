"""One issuer's shape, as its file in tests/vectors/issuers tells it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sessiond.core.secret import Secret
from tests.unit.jwt.forge import EC, OTHER_RSA, RSA, AnyKey, T, jwk, signed

FOLDER = Path(__file__).parents[1] / "vectors/issuers"
TIMES = ("exp", "iat", "nbf")  # in the files these are seconds from now
Members = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Who a token's user is, where it is accepted."""

    name: str
    subject: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of the issuer's, what the issuer says of it, and what sessiond is to make of it."""

    what: str
    text: Secret
    header: Members  # of a JWT
    answer: Members = field(default_factory=dict)  # of introspection or userinfo
    status: int = 200
    accepted: Verdict | None = None
    refused: str = ""  # the reason
    is_password: bool = True  # whether kdb+'s password may hold it


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What the token endpoint is sent and answers."""

    token: Secret
    answer: Members  # `access_token` is the user's
    spent: Members  # its answer to a refresh token that is good no more
    spent_status: int
    ends: bool  # whether that ends the session at once; else it runs out


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An issuer, as it looks from here."""

    name: str  # of its table in docs/issuers.md
    tried: str
    sources: tuple[str, ...]
    discovery: str  # empty: below the issuer
    metadata: Members
    keys: tuple[Members, ...]  # as they are published
    tokens: tuple[Token, ...]  # the first is a user's good one
    refresh: Refresh


def shapes() -> dict[str, Shape]:
    """Return every shape by its name."""
    files = sorted(FOLDER.glob("*.json"))
    return {file.stem: _shape(file.stem, json.loads(file.read_bytes())) for file in files}


def _shape(name: str, said: Members) -> Shape:
    keys = said.get("keys", [])
    tokens = tuple(_token(each, said["tokens"][0], keys) for each in said["tokens"])
    return Shape(
        name=name,
        tried=said["tried"],
        sources=tuple(said["sources"]),
        discovery=said.get("discovery", ""),
        metadata=said.get("metadata", {}),
        keys=tuple(jwk(key, **members) for key, members in zip(_pairs(keys), keys, strict=True)),
        tokens=tokens,
        refresh=_refresh(said["refresh"], tokens[0]),
    )


def _refresh(said: Members, user: Token) -> Refresh:
    return Refresh(
        token=Secret(said["token"]),
        answer={"access_token": user.text.reveal(), **said["answer"]},
        spent=said["spent"]["body"],
        spent_status=said["spent"]["status"],
        ends=said["spent"].get("ends", True),
    )


def _token(said: Members, user: Members, keys: list[Members]) -> Token:
    """Return a token; one that says `like the first` is the first but for what it adds."""
    base = user if said.get("like the first") else {}
    header = _merged(base.get("header", {}), said.get("header", {}))
    claims = _merged(base.get("claims", {}), said.get("claims", {}))
    opaque = said.get("opaque") or base.get("opaque")
    accepted = said.get("accepted")
    return Token(
        what=said["what"],
        header=header,
        text=Secret(opaque) if opaque else signed(header, _dated(claims), _key(header, keys)),
        answer=_dated(_merged(base.get("answer", {}), said.get("answer", {}))),
        status=said.get("status", 200),
        accepted=None if accepted is None else _verdict(accepted),
        refused=said.get("refused", ""),
        is_password=said.get("password", True),
    )


def _verdict(accepted: Members) -> Verdict:
    return Verdict(
        name=accepted["name"],
        subject=accepted["subject"],
        roles=tuple(accepted.get("roles", ())),
    )


def _merged(members: Mapping[str, Any], changed: Mapping[str, Any]) -> Members:
    """Return the members with others instead; null leaves one out."""
    merged = {**members, **changed}
    return {name: value for name, value in merged.items() if value is not None}


def _dated(members: Members) -> Members:
    return {name: T + value if name in TIMES else value for name, value in members.items()}


def _pairs(keys: list[Members]) -> list[AnyKey]:
    """Return a key for each published one: a set's first RSA key is one, the others another."""
    found: list[AnyKey] = []
    for key in keys:
        first = RSA if RSA not in found else OTHER_RSA
        found.append(EC if key.get("kty") == "EC" else first)
    return found


def _key(header: Members, keys: list[Members]) -> AnyKey:
    """Return what signs a token of this header: the key that it names, else the first."""
    named = [key.get("kid") for key in keys]
    pairs = _pairs(keys)
    return pairs[named.index(header["kid"])] if header.get("kid") in named else RSA
