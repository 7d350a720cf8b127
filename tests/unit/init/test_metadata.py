"""What an issuer is asked before anything is written, and what it may answer."""

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from sessiond.core.errors import ConfigError, IssuerUnavailable
from sessiond.init import metadata
from sessiond.init.metadata import Metadata, found, look_up, spelled
from sessiond.init.vendors import OTHER
from sessiond.issuers.http import IssuerHttp
from sessiond.testing import FakeIssuer
from tests.unit.init.answered import given
from tests.unit.issuers.fake import HandClock, IssuerStub

TENANT = "11111111-1111-1111-1111-111111111111"
MICROSOFT = "https://login.microsoftonline.com"

PATHS = ("", "/realms/trading", "/contoso.com/v2.0", "/common/v2.0")

Says = Callable[[httpx.Response], None]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Have every issuer answer this."""
    stub = IssuerStub(HandClock())

    def http(**options: Any) -> IssuerHttp:
        return IssuerHttp(**options, network=stub.network)

    def says(answer: httpx.Response) -> None:
        for path in PATHS:
            stub.on(f"{path}/.well-known/openid-configuration", lambda _: answer)

    monkeypatch.setattr(metadata, "IssuerHttp", http)
    return says


def asked(issuer: str, **options: Any) -> Metadata:
    return anyio.run(look_up, issuer, given(**options))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("https://login.example.com/", "https://login.example.com/"),
        (" sso.example.com/realms/trading ", "https://sso.example.com/realms/trading"),
        (
            "https://sso.example.com/realms/trading/.well-known/openid-configuration",
            "https://sso.example.com/realms/trading",
        ),
        (TENANT.upper(), f"{MICROSOFT}/{TENANT}/v2.0"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_an_issuer_may_be_typed_as_people_have_it(typed: str, meant: str) -> None:
    assert spelled(typed) == meant


def test_a_real_answer_tells_what_the_issuer_has() -> None:
    issuer = FakeIssuer()
    issuer.publish(device_authorization_endpoint=None)
    with issuer.serve() as url:
        learned = asked(url, insecure_http=True)
    assert (learned.issuer, learned.verify) == (url, "jwt")
    lines = list(found(url, learned, OTHER))
    assert lines[0] == f"{url} answers: an OpenID Connect issuer"
    assert "  has keys, so that tokens can be checked here (verify = jwt)" in lines
    assert "  has no device codes, for `sessionctl test`" in lines


@pytest.mark.parametrize(
    ("typed", "own"),
    [
        ("https://sso.example.com/realms/trading/", "https://sso.example.com/realms/trading"),
        ("https://example.eu.auth0.com", "https://example.eu.auth0.com/"),
        (f"{MICROSOFT}/contoso.com/v2.0", f"{MICROSOFT}/{TENANT}/v2.0"),
    ],
)
def test_the_issuers_own_spelling_counts_and_is_shown(says: Says, typed: str, own: str) -> None:
    says(httpx.Response(200, json={"issuer": own, "jwks_uri": "https://k"}))
    learned = asked(typed)
    assert learned.issuer == own
    lines = list(found(typed, learned, OTHER))
    assert f"  typed as {typed}" in lines
    assert any("its own spelling counts" in line for line in lines)


@pytest.mark.parametrize(
    ("typed", "own"),
    [
        ("https://login.example.com/", "https://evil.example.org/"),
        ("https://login.example.com/", "https://login.example.com/other"),
        ("https://login.example.com/", "\x1b[2J"),
        (f"{MICROSOFT}/common/v2.0", f"{MICROSOFT}/{{tenantid}}/v2.0"),
        (f"{MICROSOFT}/contoso.com/v2.0", f"{MICROSOFT}/\x1b[2J/v2.0"),
        ("https://login.example.com/", None),
    ],
)
def test_another_issuer_is_not_believed(says: Says, typed: str, own: str | None) -> None:
    says(httpx.Response(200, json={"issuer": own}))
    with pytest.raises(ConfigError) as refused:
        asked(typed)
    assert str(refused.value).isprintable()
    assert typed in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="no such page"),
        httpx.Response(200, text="<html>"),
        httpx.Response(503),
        httpx.Response(302, headers={"location": "https://elsewhere.example.com/"}),
    ],
)
def test_what_is_no_metadata_ends_with_the_next_step(says: Says, answer: httpx.Response) -> None:
    says(answer)
    with pytest.raises(IssuerUnavailable, match=r"(?s)\.well-known.*\ntry: curl -v .*--offline"):
        asked("https://login.example.com/")


@pytest.mark.parametrize(
    ("issuer", "options", "why"),
    [
        ("http://login.example.com/", {}, "http://"),
        ("https://user:word@login.example.com/", {}, "carries a user or password"),
        ("https://login.example.com/", {"ca_file": "/nowhere/ca.pem"}, "--ca-file: /nowhere"),
    ],
)
def test_nobody_is_asked_where_asking_is_not_safe(
    issuer: str, options: dict[str, str], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        asked(issuer, **options)


@pytest.mark.parametrize(
    ("members", "verify"),
    [
        ({"jwks_uri": "https://k", "introspection_endpoint": "https://i"}, "jwt"),
        ({"introspection_endpoint": "https://i"}, "introspection"),
        ({"userinfo_endpoint": "https://u"}, "userinfo"),
    ],
)
def test_the_strictest_way_that_is_there_is_proposed(members: dict[str, str], verify: str) -> None:
    assert Metadata("https://login.example.com/", members).verify == verify
