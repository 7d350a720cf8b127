"""Bytes that no decent issuer sends, over a real socket: each call ends in an error of ours."""

import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from sessiond.clock import SystemClock
from sessiond.config import IssuerConfig, WebClientConfig
from sessiond.core.errors import IssuerUnavailable, RefreshRefused, SignInRefused, TokenRejected
from sessiond.core.secret import Secret
from sessiond.issuers.build import Issuer, RefreshLimits, build_issuer
from sessiond.issuers.http import IssuerHttp
from sessiond.issuers.our_clients import ClientSecrets
from sessiond.web.web_client import AuthorizationRequest
from tests.unit.issuers.fake import TLS
from tests.unit.jwt.forge import RSA, jwk, token

pytestmark = pytest.mark.anyio

TIMEOUT = 0.2  # seconds
OURS = (IssuerUnavailable, TokenRejected, RefreshRefused, SignInRefused)
RESET = b"reset"  # instead of an answer
MANY = 10**400  # no float is as large
OK = b"HTTP/1.1 200 OK\r\n"


def answer(body: object, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(content), *headers, b"", content]
    return b"\r\n".join(lines)


ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "reset": RESET,
    "noise": b"\x00\xff\x16\x03\x01 GARBAGE\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a header": OK + b"Content-Le",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status below all": b"HTTP/1.1 099 OK\r\n\r\n",
    "a status above all": answer({}, status=b"999 Odd"),
    "only promises": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "another version": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a header": OK + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a header without a name": OK + b": x\r\n\r\n",
    "a folded header": OK + b" folded\r\n\r\n",
    "too short": OK + b"Content-Length: 100\r\n\r\n{}",
    "too long": OK + b"Content-Length: 1\r\n\r\n{}{}{}",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n{}",
    "an endless length": OK + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "chunks of noise": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a huge chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
    "an unknown coding": OK + b"Transfer-Encoding: br\r\n\r\n{}",
    "compressed": answer({}, b"Content-Encoding: gzip"),
    "an odd compression": answer({}, b"Content-Encoding: \xff"),
    "no UTF-8": answer(b'{"a": "\xff\xfe"}'),
    "a byte order mark": answer(b"\xef\xbb\xbf{}"),
    "deep JSON": answer(b"[" * 20_000),
    "deep objects": answer(b'{"a":' * 20_000),
    "a number of many digits": answer(b'{"exp": ' + b"9" * 10_000 + b"}"),
    "a number larger than a float": answer(b'{"exp": 1e999}'),
    "a lone surrogate": answer(b'{"error": "\\ud800", "sub": "\\ud800"}'),
    "HTML": answer(b"<!doctype html>", status=b"403 Forbidden"),
    "a list": answer([]),
    "a redirect to nowhere": answer({}, b"Location: http://[::1", status=b"302 Found"),
    "a date of no day": answer({}, b"Date: Mon, 99 Foo 99999 99:99:99"),
    "a date of year 0": answer({}, b"Date: Sun, 06 Nov 0000 08:49:37 GMT"),
    "a date beyond all": answer({}, b"Date: Fri, 31 Dec 9999 23:59:59 -9999"),
    "an odd time zone": answer({}, b"Date: Sun, 06 Nov 1994 08:49:37 -99999999999"),
    "a date of noise": answer({}, b"Date: \xff\x80"),
    "to be left alone for ever": answer({}, b"Retry-After: " + b"9" * 5000, status=b"429 No"),
    "to be left alone in words": answer({}, b"Retry-After: soon", status=b"503 No"),
    "to be left alone in other digits": answer({}, b"Retry-After: \xd9\xa3", status=b"429 No"),
    "to be left alone until year 0": answer(
        {}, b"Retry-After: Sun, 06 Nov 0000 08:49:37 GMT", status=b"429 No"
    ),
    "an error that is a list": answer({"error": ["invalid_client"]}, status=b"400 No"),
    "an error that is an object": answer({"error": {"invalid_grant": 1}}, status=b"400 No"),
    "a lease beyond all numbers": answer(
        {"active": True, "token_type": "Bearer", "access_token": "x" * 30, "expires_in": MANY}
    ),
    "dates beyond all numbers": answer(
        {"active": True, "token_type": "Bearer", "sub": "a", "exp": MANY, "iat": -MANY}
    ),
    "claims of odd types": answer(
        {"active": True, "token_type": "Bearer", "sub": [1], "preferred_username": {}, "aud": {}}
    ),
    "keys of odd types": answer({"keys": [None, 1, "x", [], {}, {"kty": []}, {"kty": {}}]}),
    "keys that are none": answer({"keys": {"kty": "RSA"}}),
    "keys with odd members": answer(
        {
            "keys": [
                {**jwk(RSA, kid="rsa"), "n": "", "e": ""},
                {**jwk(RSA, kid="rsa"), "n": 1, "e": None},
                {**jwk(RSA, kid="rsa"), "n": "\x00\u0130"},
                {**jwk(RSA, kid="rsa"), "alg": [], "key_ops": 1, "use": {}},
                {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
                {"kty": "EC", "crv": ["P-256"], "x": {}, "y": MANY},
                {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
            ]
        }
    ),
}
URLS: tuple[object, ...] = (
    *(
        "http://[::1",
        "https://x:99999/",
        "https://x:0/",
        "https://x:-1/",
        "//x",
        "",
        "x",
        "https://",
    ),
    *("https://a..b/", f"https://{'a' * 70}.example/", "https://xn--/", "https://\u0130\u0130/"),
    *("https://u:p@x/", "https://x/#f", "https://%zz/", "https://x\r\nA: b/", "\x00", "ftp://x/"),
    *("https://[::1%25lo0]:1/", "https://127.0.0.1:1/", "https://999.999.999.999/"),
    *(None, True, 0, MANY, [], ["https://x/"], {"url": "https://x/"}),
)


@asynccontextmanager
async def serving(answers: Mapping[str, bytes]) -> AsyncIterator[str]:
    """Answer each path with these bytes, and then close the connection."""

    async def serve(stream: SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            async with stream:
                asked = await stream.receive()
                while b"\r\n\r\n" not in asked:
                    asked += await stream.receive()
                said = answers[asked.split(b" ")[1].decode()]
                if said == RESET:
                    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django here
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    await stream.send(said)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


def metadata(at: str) -> dict[str, object]:
    endpoints = ["introspection", "userinfo", "token", "revocation", "authorization", "end_session"]
    return {
        "issuer": at,
        "jwks_uri": f"{at}/odd",
        **{f"{name}_endpoint": f"{at}/odd" for name in endpoints},
    }


def built(at: str, verify: str, *, is_fixed: bool = True) -> Issuer:
    """Return an issuer all of whose endpoints are odd."""
    fixed = {
        "jwks_uri": f"{at}/odd",
        **{f"{name}_endpoint": f"{at}/odd" for name in ("introspection", "userinfo", "token")},
    }
    config = IssuerConfig(
        name="corp",
        issuer=at,
        verify=verify,  # type: ignore[arg-type]
        audience=("api://kdb",),
        insecure_http=True,
        discovery=f"{at}/metadata",
        timeout=TIMEOUT,
        web=WebClientConfig(client_id="kdb-web"),
        **(fixed if is_fixed else {}),  # type: ignore[arg-type]
    )
    return build_issuer(
        config,
        leeway=30.0,
        refresh=RefreshLimits(timeout=TIMEOUT, concurrency=1),
        secrets=ClientSecrets(client=Secret("secret"), refresh=Secret("secret")),
        clock=SystemClock(),
        tls=TLS,
    )


async def ask_all(issuer: Issuer) -> None:
    """Make every kind of call; only our own errors may come of it."""
    for presented in (Secret("an-opaque-access-token"), token()):
        with suppress(*OURS):
            await issuer.verifier.verify(presented, now=SystemClock().now())
    with suppress(*OURS):
        await issuer.verifier.probe()
    with suppress(*OURS):
        await issuer.tokens.refresh(Secret("a-refresh-token"))
    with suppress(*OURS):
        await issuer.tokens.revoke(Secret("a-refresh-token"))
    await sign_in(issuer)
    await issuer.ahead()
    await issuer.close()


async def sign_in(issuer: Issuer) -> None:
    """Make every kind of call that a browser causes; it is sent nowhere that is no page."""
    web, verifier = issuer.web, Secret("verifier")
    assert web is not None
    asked = AuthorizationRequest(redirect_uri="back", state="s", nonce="n", verifier=verifier)
    for page in (web.authorization_url(asked), web.end_session_url("back")):
        with suppress(*OURS):
            url = await page
            assert not url or url.startswith(("http://127.0.0.1:", "https://"))
            assert url.isprintable()
    with suppress(*OURS):
        await web.iss_fault(None)
    with suppress(*OURS):
        await web.redeem(code="code", redirect_uri="back", verifier=verifier, nonce="n")


@pytest.mark.parametrize("verify", ["jwt", "introspection", "userinfo"])
@pytest.mark.parametrize("odd", ANSWERS)
async def test_an_odd_answer_is_no_verdict_or_a_refusal_and_nothing_else(
    odd: str, verify: str
) -> None:
    async with serving({"/odd": ANSWERS[odd], "/metadata": ANSWERS[odd]}) as at:
        await ask_all(built(at, verify))
        await ask_all(built(at, verify, is_fixed=False))


@pytest.mark.parametrize("url", URLS, ids=repr)
async def test_an_odd_endpoint_in_the_metadata_is_not_asked(url: object) -> None:
    pages = {"/odd": answer({})}
    async with serving(pages) as at:
        odd = {name: url for name in metadata(at) if name != "issuer"}
        pages["/metadata"] = answer({**metadata(at), **odd})
        for verify in ("jwt", "introspection", "userinfo"):
            await ask_all(built(at, verify, is_fixed=False))


@pytest.mark.parametrize("host", ["a..b", "a" * 70, f"{'a.' * 200}b", "999.999.999.999"])
async def test_a_name_that_cannot_be_looked_up_is_no_answer(host: str) -> None:
    http = IssuerHttp(timeout=TIMEOUT, concurrency=1, clock=SystemClock(), tls=TLS)
    async with http:
        with pytest.raises(IssuerUnavailable):
            await http.get(f"https://{host}/")
