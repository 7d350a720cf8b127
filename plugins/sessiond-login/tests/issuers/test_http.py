"""Requests go by the system's trust and proxies, are bounded, and lead nowhere else."""

import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trustme
from bent_issuer import Answer, BentIssuer, Steered
from sessiond_login.errors import IssuerUnavailable, LoginError, ProfileRefused
from sessiond_login.issuers import issuer_of
from sessiond_login.issuers.http import MAX_BODY_SIZE, IssuerHttp, url_fault
from walking import Teller

from tests.issuer.running import RunningIssuer


def http(**keys: object) -> IssuerHttp:
    return IssuerHttp(**({"insecure_http": True} | keys))  # type: ignore[arg-type]


class Proxy:
    """Takes CONNECT and passes all on to one port of this computer, whatever was asked for."""

    def __init__(self, to_port: int, answer: bytes = b"HTTP/1.1 200 ok\r\n\r\n") -> None:
        self.asked: list[bytes] = []
        self._to_port = to_port
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:hush@127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            with one:
                self.asked.append(one.recv(10_000))
                one.sendall(self._answer)
                if b" 200 " in self._answer:
                    with suppress(OSError):
                        self._pass_on(one)

    def _pass_on(self, one: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._to_port)) as other:
            ways = {one: other, other: one}
            while True:
                for ready in select.select(list(ways), [], [])[0]:
                    if not (data := ready.recv(65_536)):
                        return
                    ways[ready].sendall(data)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def proxied(monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> Iterator[None]:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("https_proxy", proxy.url)
    try:
        yield
    finally:
        proxy.close()


def test_what_this_computer_answers_goes_past_any_proxy(issuer: BentIssuer) -> None:
    assert os.environ["HTTP_PROXY"]  # one that leads nowhere, of every test
    assert http().get(f"{issuer.origin}/keys").status == 200


def test_another_computer_is_reached_by_the_proxy_of_the_environment(
    entra: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(entra.origin.rpartition(":")[2])
    proxy = Proxy(port)
    with proxied(monkeypatch, proxy), pytest.raises(IssuerUnavailable) as caught:
        # the tunnel stands, and TLS is with the host that was meant
        http(ca_file=str(entra.ca_file)).get("https://login.example/x")
    assert proxy.asked[0].startswith(b"CONNECT login.example:443 ")
    assert str(caught.value) == (
        "the certificate of login.example is for another name: see the profile's issuer"
    )


def test_a_whole_sign_in_goes_by_the_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("login.example").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with BentIssuer(name="login.example", tls=tls) as issuer:
        proxy = Proxy(issuer.port)
        profile = issuer.profile(ca_file=str(tmp_path / "ca.pem"), insecure_http=False)
        with proxied(monkeypatch, proxy):
            granted = issuer_of(profile, Steered(issuer)).by_password(Teller())
        assert granted.user == "alice"
    assert len(proxy.asked) == 3  # the metadata, the token, the keys


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy(9)
    monkeypatch.setenv("NO_PROXY", "login.invalid")
    with proxied(monkeypatch, proxy), pytest.raises(IssuerUnavailable) as caught:
        http().get("https://login.invalid/x")
    assert proxy.asked == []
    assert "login.invalid" in str(caught.value)


def test_a_proxy_that_says_no_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy(9, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    with (
        proxied(monkeypatch, proxy),
        pytest.raises(IssuerUnavailable, match="the proxy lets nothing through to login"),
    ):
        http().get("https://login.example/x")


@pytest.mark.parametrize("url", ["socks9://user:hush@proxy:1", "http://user:hush@[::1"])
def test_a_proxy_of_no_known_kind_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    for name in ("all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, url)
    with pytest.raises(IssuerUnavailable, match="of no kind that is known") as caught:
        http()
    assert "hush" not in repr([caught.value, caught.value.__context__, caught.value.__cause__])


def test_an_authority_of_the_profile_is_trusted_beside_the_systems(entra: RunningIssuer) -> None:
    url = f"{entra.issuer}/.well-known/openid-configuration"
    assert http(ca_file=str(entra.ca_file)).get(url).status == 200
    with pytest.raises(IssuerUnavailable, match=r"does not trust: have it trust .* ca_file$"):
        http().get(url)


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ProfileRefused, match="is no PEM of certificates"):
        http(ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(ProfileRefused, match="is not readable"):
        http(ca_file=str(tmp_path / "none.pem"))


def test_an_authority_that_others_can_put_in_its_place_is_none(
    tmp_path: Path, entra: RunningIssuer
) -> None:
    assert entra.ca_file is not None
    path, link = tmp_path / "ca.pem", tmp_path / "link.pem"
    path.write_text("# Bürogemeinschaft\n" + entra.ca_file.read_text())
    link.symlink_to(path)
    for each in (path, link):
        http(ca_file=str(each))
        path.chmod(0o666)
        with pytest.raises(ProfileRefused, match=r"has mode 0666.* who may pass for the issuer"):
            http(ca_file=str(each))
        path.chmod(0o644)


def test_an_issuer_that_does_not_speak_tls_is_told(issuer: BentIssuer) -> None:
    with pytest.raises(IssuerUnavailable, match=r"speaks no TLS|cannot be reached"):
        http().get(issuer.origin.replace("http://", "https://"))


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://login.example/x", None),
        ("http://127.0.0.1:1/x", None),
        ("http://localhost/x", None),
        ("http://[::1]:1/x", None),
        ("http://login.example/x", "is http://"),
        ("http://127.0.0.1.example/x", "is http://"),
        ("https://me:pw@login.example/", "carries a user"),
        ("https://login.example/#x", "carries a user, a password or a fragment"),
        ("javascript:alert(1)", "is no https"),
        ("file:///etc/passwd", "is no https"),
        ("//login.example", "is no https"),
        ("https://", "is no https"),
        ("https://login.example:port/", "is not a URL"),
        ("https://login.example/ä", "is not a URL"),
        ("https://login.example/ and, to be quick, run x", "is not a URL"),
        ("https://login.example/\n", "is not a URL"),
    ],
)
def test_only_https_or_this_computer_is_sent_anything(url: str, fault: str | None) -> None:
    found = url_fault(url, insecure_http=True)
    assert (found is None) if fault is None else (found or "").startswith(fault)


def test_http_to_this_computer_needs_the_profiles_word(issuer: BentIssuer) -> None:
    with pytest.raises(ProfileRefused, match="without insecure_http"):
        http(insecure_http=False).get(issuer.origin)
    assert issuer.asked == []


def test_a_redirect_is_not_followed(issuer: BentIssuer) -> None:
    issuer.answers["/token"] = (307, {"Location": f"{issuer.origin}/stolen"}, b"")
    reply = http().post_form(f"{issuer.origin}/token", {"refresh_token": "r"})
    assert reply.status == 307
    assert issuer.asked == ["/token"]
    assert "a redirect" in str(reply.unusable("tokens"))


def test_a_long_answer_is_not_read_to_its_end(issuer: BentIssuer) -> None:
    issuer.answers["/keys"] = (200, {}, b" " * (MAX_BODY_SIZE + 1))
    with pytest.raises(IssuerUnavailable, match="more than 1024 KiB"):
        http().get(f"{issuer.origin}/keys")
    issuer.answers["/keys"] = (200, {}, b" " * MAX_BODY_SIZE)
    assert len(http().get(f"{issuer.origin}/keys").body) == MAX_BODY_SIZE


def test_a_packed_answer_is_not_unpacked(issuer: BentIssuer) -> None:
    issuer.answers["/keys"] = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
    with pytest.raises(IssuerUnavailable, match="or packed"):
        http().get(f"{issuer.origin}/keys")


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_trickles_is_not_waited_for(issuer: BentIssuer, begun: bytes) -> None:
    gone = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> Answer | None:
        try:
            handler.wfile.write(begun)
            while not gone.wait(0.05):
                handler.wfile.write(b"a")
        except OSError:
            pass
        return None

    issuer.answers["/keys"] = trickle
    with pytest.raises(IssuerUnavailable, match=r"did not answer (within|in time)"):
        http(timeout=0.4).get(f"{issuer.origin}/keys")
    gone.set()


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name)

    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(IssuerUnavailable, match="no computer of the name login"):
        http().get("https://login.example/x")


def test_no_error_has_what_was_sent_or_where(issuer: BentIssuer) -> None:
    """Errors of httpx hold the request, and that has the form."""
    issuer.answers["/token"] = lambda handler: handler.connection.close()
    with pytest.raises(LoginError) as caught:
        http().post_form(f"{issuer.origin}/token?secret", {"refresh_token": "hush"})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"<html>", b"\xff", b"[" * 100_000, b'{"a":'])
def test_what_is_no_object_has_no_members(issuer: BentIssuer, body: bytes) -> None:
    issuer.answers["/keys"] = (200, {}, body)
    assert http().get(f"{issuer.origin}/keys").members() is None
