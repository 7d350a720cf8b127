"""The dearest inputs that we could think of, whole and at their largest, for every entry.

Each is work on an event loop, as the daemon does it; what comes of it does not matter here.
"""

import struct
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import chain
from random import Random
from typing import Any

from joserfc.jwk import ECKey

from sessiond.api import Verifier
from sessiond.core.claims import ClaimRules
from sessiond.core.errors import SessiondError
from sessiond.core.password import MAX_PASSWORD_SIZE, read_password
from sessiond.issuers.connection import MAX_BODY_SIZE
from sessiond.issuers.introspection import IntrospectionVerifier
from sessiond.issuers.jwt import JwtVerifier
from sessiond.issuers.keys import Keys
from sessiond.issuers.userinfo import UserinfoVerifier
from sessiond.jwt.access import TokenRules
from sessiond.jwt.header import ALGORITHMS, MAX_HEADER_SIZE
from sessiond.kdb.calls import read_call
from sessiond.kdb.connection import MAX_ITEMS
from sessiond.log import redact
from sessiond.qipc import Received, ServerConnection, is_ping
from sessiond.qipc.messages import HEADER
from tests.fuzz import seeds
from tests.unit.issuers.fake import ISSUER, HandClock, IssuerStub
from tests.unit.issuers.test_introspection import verifier_of
from tests.unit.jwt.forge import CLAIMS, NOW, b64, jwk

MAX_MESSAGE = 1 << 20  # bytes, the default

Work = Callable[[], Coroutine[Any, Any, object]]


# kdb+ messages


def _head(code: int, length: int) -> bytes:
    return struct.pack("<BBi", code, 0, length)


def _list_of(item: bytes, cost: int) -> bytes:
    """A general list of as many equal items as are taken at this cost each."""
    length = min((MAX_MESSAGE - 100) // len(item), MAX_ITEMS // cost - 3)
    return _head(0, length) + item * length


def _vector_of(code: int, item: bytes, cost: int) -> bytes:
    length = min((MAX_MESSAGE - 100) // len(item), MAX_ITEMS // cost - 80)
    return _head(code, length) + item * length


_ROOM = MAX_MESSAGE - 100  # bytes
_CHARS = _head(10, _ROOM // 2) + b"x" * (_ROOM // 2)
_NAME = b"\xf5reconcile\0"
PAYLOADS = {
    "booleans": _vector_of(1, b"\1", 1),
    "longs": _vector_of(7, b"\1" * 8, 1),
    "guids": _vector_of(2, bytes(range(16)), 5),
    "empty symbols": _vector_of(11, b"\0", 4),
    "symbols": _vector_of(11, b"abcdef\0", 5),
    "symbols, not UTF-8": _vector_of(11, b"\xff\xfea\xff\xfe\xff\0", 5),
    "one symbol, not UTF-8": b"\xf5" + b"\xff" * (MAX_ITEMS * 4 - 1000) + b"\0",
    "boolean atoms": _list_of(b"\xff\1", 40),
    "guid atoms": _list_of(b"\xfe" + b"\1" * 16, 40),
    "symbol atoms": _list_of(b"\xf5a\0", 40),
    "empty vectors": _list_of(_head(7, 0), 80),
    "empty lists": _list_of(_head(0, 0), 120),
    "empty dictionaries": _list_of(b"\x63" + _head(0, 0) * 2, 360),
    "empty tables": _list_of(b"\x62\0\x63" + _head(11, 0) + _head(0, 0), 240),
    "functions": _list_of(b"\x64\0" + _head(10, 0), 120),
    "projections": _list_of(b"\x68\1\0\0\0\x65\0", 240),
    "chars": _head(10, _ROOM) + b"x" * _ROOM,
    "bytes": _head(4, _ROOM) + b"x" * _ROOM,
    "a dictionary of chars": _head(0, 2) + b"\xf5connect\0\x63" + _CHARS + _CHARS,
    "handles and sessions of chars": _head(0, 3) + _NAME + _CHARS + _CHARS,
    "many arguments": _vector_of(11, b"f\0", 4),
    "many keys": _head(0, 2)
    + b"\xf5connect\0\x63"
    + _head(11, 10_000)
    + b"".join(b"%x\0" % number for number in range(10_000))
    + _head(6, 10_000)
    + bytes(40_000),
}


def _received(payload: bytes) -> Work:
    wire = HEADER.pack(1, 1, 0, 0, HEADER.size + len(payload)) + payload

    async def receive() -> None:
        server = ServerConnection(MAX_MESSAGE, max_items=MAX_ITEMS)
        server.receive_data(b"q:\3\0")
        server.next_event()
        server.accept()
        server.receive_data(wire)
        with suppress(SessiondError):
            received = server.next_event()
            if isinstance(received, Received) and not is_ping(received.value):
                read_call(received.value)

    return receive


# JSON


def _filled(start: bytes, item: bytes, end: bytes, size: int, most: int = 3900) -> bytes:
    """A text of items, up to a size in bytes and a number of them."""
    return start + item * min((size - len(start) - len(end)) // len(item), most) + end


def _objects(size: int) -> Iterator[tuple[str, bytes]]:
    """JSON objects that are dear to read, each as large as is taken, and as large as may come."""
    for item in (b"1,", b"1.25,", b"[],", b"{},", b'{"a":1},', b'"a",', b'"\\ud83d\\ude00",'):
        marks = 1 + item.count(b"[") + item.count(b"{")
        for most in (3900 // marks, size):
            whole = _filled(b'{"a":[', item, b"0]}", size, most)
            yield f"{'many' if most == size else 'some'} {item.decode()}", whole
    for name, number in (("309 digits", b"9" * 309), ("24 digits", b"0.1234567890123456789012")):
        yield name, _filled(b'{"a":[', number + b",", b"0]}", size)
    yield "members", b"{" + b",".join(b'"%x":1' % n for n in range(min(size // 10, 3900))) + b"}"
    yield "one long number", _filled(b'{"a":', b"9", b"}", size, size)
    yield "one long string", _filled(b'{"a":"', b"\\n", b'"}', size, size)
    yield "words", _filled(b'{"scope":"', b"a ", b'"}', size, size)
    yield "deep lists", b"[" * size
    yield "deep objects", b'{"a":' * (size // 5)
    yield "brackets in a string", _filled(b'{"a":"', b"[{", b'"}', size, size)
    yield "a string without an end", _filled(b'{"a":"', b'\\"', b"", size, size)


def _key_sets() -> Iterator[tuple[str, list[dict[str, object]]]]:
    draw = Random(7).getrandbits

    def rsa(bits: int, exponent: int, **members: object) -> dict[str, object]:
        modulus = draw(bits) | 1 | 1 << bits - 1
        length = exponent.bit_length() // 8 + 1
        numbers = {"n": modulus.to_bytes(bits // 8), "e": exponent.to_bytes(length)}
        return {"kty": "RSA", **{name: b64(each) for name, each in numbers.items()}, **members}

    yield "100 RSA-4096", [rsa(4096, 2**32 - 1, kid=f"{n}", x5c=["A" * 2000]) for n in range(100)]
    yield "100 RSA-3072, large exponents", [rsa(3072, draw(3070) | 1) for _ in range(100)]
    yield "100 of one name", [rsa(4096, 65537, kid="same") for _ in range(100)]
    yield "100 P-521", [jwk(ECKey.generate_key("P-521")) for _ in range(100)]
    long = "_" * (MAX_BODY_SIZE - 1000)
    yield "a modulus of 512 KiB", [rsa(2048, 65537, n=long)]
    yield "an exponent of 512 KiB", [rsa(2048, 65537, e=long)]
    yield "a coordinate of 512 KiB", [{**seeds.EC_PUBLISHED, "x": long}]


# The entries

_CLAIM_RULES = ClaimRules(
    issuer="corp",
    user_claim="sub",
    subject_claim="sub",
    lease=timedelta(hours=1),
    roles_claim=("roles", "scope", "a"),
    roles={"kdb.read": "reader"},
    role_names=tuple(f"*{letter}*{letter}*x" for letter in "abcdefghijklmnop"),
    attributes={"a": "desk", "b": "city"},
)
_TOKEN_RULES = TokenRules(
    issuers=frozenset({ISSUER}),
    audience=frozenset({"api://kdb"}),
    algorithms=ALGORITHMS,
    types=frozenset({"at+jwt"}),
)


def _jwt_verifier(issuer: IssuerStub) -> JwtVerifier:
    issuer.publishes()
    http = issuer.http()
    keys = Keys(http=http, discovery=issuer.discovery(http), clock=issuer.clock, name="corp")
    return JwtVerifier(keys=keys, tokens=_TOKEN_RULES, claims=_CLAIM_RULES)


def _introspection(issuer: IssuerStub) -> IntrospectionVerifier:
    return verifier_of(issuer)


def _userinfo(issuer: IssuerStub) -> UserinfoVerifier:
    issuer.publishes()
    http = issuer.http()
    discovery = issuer.discovery(http)
    return UserinfoVerifier(
        http=http, discovery=discovery, rules=_CLAIM_RULES, leeway=timedelta(seconds=30)
    )


def _logged_in(verifier: Callable[[IssuerStub], Verifier], password: str, **says: bytes) -> Work:
    """A login at an issuer that answers so, by a path's name."""

    async def log_in() -> None:
        issuer = IssuerStub(HandClock())
        for path, content in says.items():
            issuer.says(f"/{path}", content)
        part = verifier(issuer)
        with suppress(SessiondError):
            await part.probe()
        with suppress(SessiondError):
            access = read_password(password).access
            part.needs_call(access)
            await part.verify(access, now=NOW)

    return log_in


def _tokens() -> Iterator[tuple[str, str]]:
    room = (MAX_PASSWORD_SIZE - 500) * 3 // 4
    header = seeds.compact(seeds.HEADER)
    for name, content in _objects(room):
        yield f"claims: {name}", seeds.signed(header, content)
        yield f"header: {name}", f"{b64(content.replace(b'a', b'alg', 1))}.{b64('{}')}.AAAA"
    for name, content in _objects(MAX_HEADER_SIZE * 3 // 4 - 100):
        known = content.replace(b"{", b'{"alg":"EdDSA","typ":"at+jwt","kid":"none",', 1)
        yield f"a header of 16 KiB: {name}", f"{b64(known)}.{b64('{}')}.AAAA"
    for name, word in (("short", "a"), ("long", "abcdefghijklmnop" * 6)):
        roles = " ".join([word] * (20_000 // (len(word) + 1)))
        content = seeds.compact({**CLAIMS, "roles": roles.split(" ")[:3000], "scope": roles})
        yield f"good claims of {name} words", seeds.signed(header, content)
    yield "a megabyte", "eyJ" + "a" * (1 << 20)
    yield "a megabyte in parts", b64(b'{"alg":' + b" " * 700_000 + b"0}") + ".a.a"
    yield "a megabyte in halves", "a" * (1 << 19) + ";" + "b" * (1 << 19)


def _forged(algorithm: str, size: int) -> str:
    """A token without a kid, and with a signature of so many bytes that is none."""
    header = seeds.compact({"alg": algorithm, "typ": "at+jwt"})
    return f"{b64(header)}.{b64(b'{}')}.{b64(bytes(range(1, 67)) * 6)[: size * 4 // 3]}"


def _worst() -> Iterator[tuple[str, Work]]:
    published = seeds.compact({"keys": [seeds.PUBLISHED]})
    for name, payload in PAYLOADS.items():
        yield f"kdb+: {name}", _received(payload)
    for name, token in _tokens():
        yield f"token: {name}", _logged_in(_jwt_verifier, token, keys=published)
    forged = _forged("ES512", 132)
    for name, jwks in _key_sets():
        keys = seeds.compact({"keys": jwks})
        for kind, token in (("ES512", forged), ("RS256", _forged("RS256", 384))):
            yield f"keys: {name}, forged {kind}", _logged_in(_jwt_verifier, token, keys=keys)
    opaque = "bearer:opaque-access-token"
    for name, body in _objects(MAX_BODY_SIZE - 100):
        active = body.replace(b"{", b'{"active":true,"token_type":"Bearer","sub":"a",', 1)
        yield f"keys: {name}", _logged_in(_jwt_verifier, forged, keys=body)
        yield f"introspection: {name}", _logged_in(_introspection, opaque, introspect=active)
        named = body.replace(b"{", b'{"sub":"a",', 1)
        yield f"userinfo: {name}", _logged_in(_userinfo, opaque, userinfo=named)
        yield f"userinfo without a name: {name}", _logged_in(_userinfo, opaque, userinfo=body)
    for name, text in {"words": "a " * (MAX_BODY_SIZE // 2), "eyJ": "eyJ." * 100_000}.items():
        yield f"log: {name}", partial(_log, text)


async def _log(text: str) -> None:
    redact(None, "", {"error": text})


WORST: dict[str, Work] = dict(chain(_worst()))
