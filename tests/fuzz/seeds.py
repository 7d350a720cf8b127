"""Inputs that each target takes, for the fuzzers to damage. The same in every run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from joserfc import jws
from joserfc.jwk import OKPKey

from sessiond.qipc import (
    NIL,
    ClientConnection,
    Value,
    call,
    dictionary,
    encode,
    guid,
    int_,
    list_,
    long,
    octets,
    string,
    symbol,
    symbols,
    table,
    timespan,
    timestamp,
)
from tests.unit.jwt.forge import CLAIMS, ISSUER, NOW, T, b64

# RFC 8037, appendix A.1
KEY = OKPKey.import_key(
    {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
)
KID = "ed"
PUBLISHED: dict[str, object] = {**KEY.as_dict(private=False), "kid": KID, "use": "sig"}
# RFC 7515, appendices A.2 and A.3
RSA_PUBLISHED = {
    "kty": "RSA",
    "kid": "rsa",
    "alg": "RS256",
    "e": "AQAB",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5"
    "rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxX"
    "FvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
}
EC_PUBLISHED = {
    "kty": "EC",
    "crv": "P-256",
    "key_ops": ["verify"],
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}

HEADER = {"alg": "EdDSA", "typ": "at+jwt", "kid": KID}
_MODEL: Any = jws.JWSRegistry(algorithms=["Ed25519"]).get_alg("Ed25519")


def compact(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def signed(header: bytes, payload: bytes) -> str:
    """Return a token by KEY, whatever its parts are."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(_MODEL.sign(text.encode(), KEY))}"


def _calls() -> list[Value]:
    session = guid(UUID(int=7))
    hello: dict[str, Value] = {
        "name": symbol("rdb1"),
        "type": symbol("rdb"),
        "host": string("tick.example.com"),
        "pid": int_(4711),
        "nonce": string("0123456789abcdef0123"),
    }
    login: dict[str, Value] = {
        "user": symbol("alice"),
        "password": string("bearer:opaque"),
        "handle": int_(8),
        "address": int_(2130706433),
    }
    return [
        call("hello", dictionary(hello)),
        call("connect", dictionary(login)),
        call("opened", session, int_(8)),
        call("renew", session, string("bearer:opaque")),
        call("disconnect", long(8)),
        call("reconcile", list_(int_(8), int_(9)), list_(session, guid(UUID(int=8)))),
        call("sessions"),
        call("ticket", dictionary({"session": session, "audience": string("rdb2@host1")})),
    ]


def _values() -> list[Value]:
    columns = {"time": list_(timestamp(NOW)), "sym": symbols(["alice"]), "n": list_(int_(1))}
    nested = list_(list_(long(1), symbol("a")), string("text"), timespan(NOW - NOW))
    return [NIL, string(""), octets(b"\0\xff"), table(columns), nested, *_calls()]


def _stream(*messages: Value) -> bytes:
    client = ClientConnection(max_message=4096)
    wire = client.greeting("alice", "secret")
    client.receive_data(b"\3")
    client.next_event()
    return wire + b"".join(map(client.sync, messages)) + client.async_(NIL)


_TOKEN = signed(compact(HEADER), compact(CLAIMS))
_USERINFO = {"sub": "a-1", "preferred_username": "alice", "roles": ["kdb.read"], "desk": "rates"}
_ACTIVE = {
    **_USERINFO,
    "active": True,
    "token_type": "Bearer",
    "iss": ISSUER,
    "aud": ["api://kdb"],
    "scope": "openid kdb.read",
    "client_id": "qstudio",
    "exp": T + 3600,
    "iat": T,
}
_EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
_ISSUER = b'[[issuer]]\nname = "corp"\nissuer = "https://login.example.com/"\n'

VALUES = [encode(value) for value in _values()]
STREAMS = [b"\7" + _stream(*_calls()), b"\1" + _stream(), b"\100" + _stream(*_values())]
CALLS = [encode(value) for value in _calls()]
WRONG_CALLS = [
    encode(call(name, *arguments))
    for name in ("hello", "connect", "opened", "renew", "disconnect", "reconcile", "sessions", "x")
    for arguments in ((), (int_(1),), (int_(1), int_(2)), (NIL, string("a"), long(3)))
]
PASSWORDS = [
    _TOKEN.encode(),
    f"{_TOKEN};0.refresh!*$token~of-alice".encode(),
    b"opaque-access-token-of-alice;0.refresh!*$token~of-alice",
    b"bearer:opaque",
]
TOKENS = [_TOKEN.encode()]
TICKET_ISSUER = "urn:sessiond:host1"
PUBLIC = KEY.public_key.public_bytes_raw()  # of KEY: 32 bytes
_TICKET_HEADER = {"alg": "EdDSA", "kid": KID, "typ": "sessiond-ticket+jwt"}
_TICKET = {
    "iss": TICKET_ISSUER,
    "sub": "a-1",
    "name": "alice",
    "aud": "rdb1",
    "jti": str(UUID(int=77)),
    "iat": T,
    "exp": T + 30,
}
_OF_SESSION, _OF_TOKEN = {**_TICKET, "sid": str(UUID(int=7))}, {**_TICKET, "verdict": "sealed"}
TICKETS = [
    f"ticket:{signed(compact(_TICKET_HEADER), compact(each))}".encode()
    for each in (_OF_SESSION, _OF_TOKEN)
]
SIGNED_TICKETS = [
    compact(_TICKET_HEADER) + b"\n" + compact(each) for each in (_OF_SESSION, _OF_TOKEN)
]
_EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token": "opaque",
    "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "audience": "rdb1",
}
EXCHANGES = [
    urlencode(_EXCHANGE).encode(),
    urlencode({**_EXCHANGE, "client_id": "x", "scope": ""}).encode(),
]
SIGNED = [
    compact(HEADER) + b"\n" + compact(CLAIMS),
    compact({**HEADER, "x5t": "t"}) + b"\n" + compact({**CLAIMS, "nbf": T, "aud": ["api://kdb"]}),
    compact({"alg": "EdDSA", "typ": "at+jwt", "x5c": ["MIIB"], "jku": "https://a/", "cty": "JWT"})
    + b"\n"
    + compact({**CLAIMS, "client_id": "qstudio", "sid": "s", "typ": "Bearer", "gty": "password"}),
]
KEY_SETS = [
    compact({"keys": [PUBLISHED, RSA_PUBLISHED, EC_PUBLISHED]}),
    compact({"keys": [PUBLISHED, {**EC_PUBLISHED, "use": "enc"}]}),
    compact({"keys": [{**PUBLISHED, "x5t": "dA=="}, PUBLISHED, {**RSA_PUBLISHED, "kid": KID}]}),
]
# Status, a header, and the body, a line each.
INTROSPECTIONS = [
    b"200\n\n" + compact(_ACTIVE),
    b"200\n\n" + compact({**_ACTIVE, "aud": "api://kdb"}),
]
USERINFOS = [b"200\n\n" + compact(_USERINFO), b"200\n5\n" + compact({**_USERINFO, "desk": [1, 2]})]
CONFIGURATIONS = [
    _EXAMPLE.read_bytes(),
    _ISSUER + b'verify = "jwt"\naudience = ["api://kdb"]\n[issuer.roles]\n"kdb.read" = "reader"\n',
    b"[login]\nleeway = 5\n[refresh]\nshare = 0.5\njitter = 0.2\n"
    + _ISSUER
    + b'verify = "userinfo"\nprove_by_refresh = true\nusers = ["*@a.com", "[ab]?c"]\n'
    + _ISSUER.replace(b"corp", b"other").replace(b"login.", b"other.")
    + b'verify = "introspection"\nusers = ["*@b.com"]\nclient_secret_file = "/etc/secret"\n',
]
# Answers that are no verdict, to be damaged too.
REFUSED_ANSWERS = [
    b'400\n\n{"error":"invalid_token"}',
    b'401\nBearer error="invalid_token"\n',
    b'403\nBearer error="insufficient_scope"\n{"error":"x"}',
    b"429\nWed, 21 Oct 2026 07:28:00 GMT\n",
    b"503\n120\n",
]


# Requests of the control API: `METHOD TARGET`, the headers, an empty line, the body.
_SESSION, REVOCATION = UUID(int=1), UUID(int=2)
_BODY = b"\ncontent-type: application/json\n\n"


KEPT = b"a value that is kept"
FENCE = (1 << 32) + 1  # of the lock that is held
_VALUE = b"oauthaccesstoken=" + TOKENS[0]


def _posted(path: bytes, **content: object) -> bytes:
    return b"POST " + path + _BODY + compact(content)


def _revoking(**content: object) -> bytes:
    return _posted(b"/v1/revocations", **content, reason="left the desk")


REQUESTS = [
    *(b"GET /" + path for path in (b"v1/status", b"healthz", b"metrics", b"openapi.json")),
    b"GET /v1/sessions",
    b"GET /v1/sessions?user=alice&process=rdb100:100&issuer=corp&limit=7&after=%b"
    % str(UUID(int=0)).encode(),
    b"GET /v1/sessions/" + str(_SESSION).encode(),
    b"GET /v1/revocations",
    b"DELETE /v1/revocations/" + str(REVOCATION).encode(),
    b"DELETE /v1/names/alice",
    b"GET /v1/events?after=0",
    b"GET /v1/events\nlast-event-id: 1",
    _revoking(session=str(_SESSION)),
    _revoking(user="alice"),
    _revoking(process="rdb100:100"),
    _revoking(issuer="corp"),
    _revoking(all=True),
    b"GET /v1/stores?limit=7&after=c",
    b"GET /v1/stores/token?context=kept&name=oauth",
    b"PUT /v1/stores/token?context=kept&name=oauth\nlock: 4294967297\n\n" + _VALUE,
    _posted(b"/v1/stores/lock?context=externalToken%3A%2F%2F%CE%A9%3F&name=oauth", wait_ms=250),
    b"DELETE /v1/stores/lock?context=kept&name=oauth\nlock: 4294967297",
    b"DELETE /v1/stores?context=kept",
    *(
        _posted(b"/v1/explain", user="alice", password=password.decode())
        for password in (PASSWORDS[0], PASSWORDS[2], PASSWORDS[3])
    ),
]
# Not to be answered as asked; some with a token in a wrong place.
WRONG_REQUESTS = [
    b"HEAD /v1/sessions",
    b"PUT /v1/names/alice",
    b"GET /v1/sessions?" + TOKENS[0] + b"=1",
    b"GET /v1/sessions?limit=" + PASSWORDS[2],
    b"GET /v1/sessions/" + TOKENS[0],
    b"GET /v1/events\nlast-event-id: " + TOKENS[0],
    b"DELETE /v1/revocations/" + TOKENS[0],
    b"DELETE /v1/names/" + PASSWORDS[2].replace(b";", b"%3b"),
    _revoking(user=TOKENS[0].decode()),
    _revoking(issuer=TOKENS[0].decode()),
    _revoking(**{PASSWORDS[2].decode(): 1}),
    _revoking(user="alice", all=True),
    _revoking(all=True).replace(b"application/json", b"text/plain"),
    _posted(b"/v1/explain", user="alice", password="bearer:", **{TOKENS[0].decode(): 1}),
    b"GET /v1/stores/token?context=" + TOKENS[0] + b"&name=" + PASSWORDS[2],
    b"GET /v1/stores/token?context=source:" + TOKENS[0] + b"&name=oauth",
    b"PUT /v1/stores/token?context=kept&name=oauth\nlock: " + TOKENS[0] + b"\n\n" + _VALUE,
    b"PUT /v1/stores/token?context=%ff&name=oauth\nlock: 1\n\n" + _VALUE,
    _posted(b"/v1/stores/lock?context=kept&name=oauth", wait_ms=TOKENS[0].decode()),
    b"DELETE /v1/stores/lock?context=kept&name=oauth\nlock: 99",
    b"DELETE /v1/stores?context=" + TOKENS[0],
]
# Answered by a redirection that repeats the query, and by a 500.
CONTROL_FINDINGS = [
    b"GET /v1/sessions/?user=" + TOKENS[0],
    b"DELETE /v1/names",
    _revoking(x=1).replace(b'"x"', b'"\xf3"'),
]
