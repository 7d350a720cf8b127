"""Real TLS on a loopback port: whom to trust, and that the environment has no say in it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener, TLSStream

from sessiond.core.errors import IssuerUnavailable
from sessiond.issuers.http import IssuerHttp, trust
from tests.unit.issuers.fake import HandClock

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@asynccontextmanager
async def server(authority: trustme.CA) -> AsyncIterator[int]:
    """A server that says {} to everything; gives its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def answer(stream: TLSStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(OK)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(TLSListener(listener, context, standard_compatible=False).serve, answer)
        yield port
        tasks.cancel_scope.cancel()


def client(tls: ssl.SSLContext) -> IssuerHttp:
    return IssuerHttp(timeout=5.0, concurrency=1, clock=HandClock(), tls=tls)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


async def test_an_issuer_that_ca_file_vouches_for_is_asked(
    authority: trustme.CA, ca_file: str
) -> None:
    async with server(authority) as port, client(trust(ca_file)) as http:
        assert (await http.get(f"https://localhost:{port}/")).read() == {}


async def test_an_issuer_that_nobody_vouches_for_is_not(authority: trustme.CA) -> None:
    async with server(authority) as port, client(trust()) as http:
        with pytest.raises(IssuerUnavailable, match=r"not trusted: .*local issuer"):
            await http.get(f"https://localhost:{port}/")


async def test_where_nobody_listens_that_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with client(trust()) as http:
            with pytest.raises(IssuerUnavailable, match=r"could not be asked: Connection refused,"):
                await http.get(f"https://127.0.0.1:{port}/")


async def test_what_does_not_speak_tls_is_said() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with client(trust()) as http:
            with pytest.raises(IssuerUnavailable, match=r"could not be asked: TLS: [A-Z_]+,"):
                await http.get(f"https://127.0.0.1:{port}/")


async def test_a_name_that_is_not_found_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    async with client(trust()) as http:
        with pytest.raises(IssuerUnavailable, match=r"could not be asked: its name is not found,"):
            await http.get("https://login.example.com/")


async def test_a_certificate_for_another_host_is_refused(
    authority: trustme.CA, ca_file: str
) -> None:
    async with server(authority) as port, client(trust(ca_file)) as http:
        with pytest.raises(IssuerUnavailable, match=r"not trusted: .*not valid for '127"):
            await http.get(f"https://127.0.0.1:{port}/")


async def test_no_proxy_and_no_certificate_comes_from_the_environment(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    async with server(authority) as port, client(trust(ca_file)) as http:
        assert (await http.get(f"https://localhost:{port}/")).status == 200


def test_a_ca_file_that_holds_no_certificate_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(OSError):
        trust(str(tmp_path / "empty.pem"))
    with pytest.raises(OSError):
        trust(str(tmp_path / "none.pem"))
