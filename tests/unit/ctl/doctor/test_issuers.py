"""Issuers are asked with the daemon's own code, and their clocks held against this machine's."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sessiond.config import Config, IssuerConfig
from sessiond.ctl.doctor import issuers
from sessiond.ctl.doctor.files import Where
from sessiond.ctl.doctor.finding import Finding
from sessiond.issuers.build import Issuer, build_issuer
from tests.unit.issuers.fake import FakeNetwork
from tests.unit.jwt.forge import RSA, jwk

ISSUER = "https://login.example.com/"
HERE = Where(owner=None, credentials=None)


class Answering:
    """An issuer whose clock is ahead of ours."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.headers: dict[str, str] = {}
        self.status = 200
        self.secrets: list[str] = []
        self.introspected: dict[str, object] = {"active": False}
        self.introspection_status = 200
        self.name = ISSUER
        self.keys: list[dict[str, object]] = [jwk(RSA, kid="rsa")]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        date = format_datetime(datetime.now(UTC) + self.ahead, usegmt=True)
        self.secrets.append(request.headers.get("authorization", ""))
        answer = {
            "/.well-known/openid-configuration": {
                "issuer": self.name,
                "jwks_uri": f"{ISSUER}keys",
                "introspection_endpoint": f"{ISSUER}introspect",
            },
            "/keys": {"keys": self.keys},
            "/introspect": self.introspected,
        }[request.url.path]
        stream = httpx.ByteStream(json.dumps(answer).encode())  # unread, as from a network
        status = self.status
        if request.url.path == "/introspect":
            status = self.introspection_status
        return httpx.Response(status, stream=stream, headers={"date": date, **self.headers})


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Answering:
    answering = Answering()

    def build(*args: Any, **keys: Any) -> Issuer:
        return build_issuer(*args, **keys, network=FakeNetwork(answering))

    monkeypatch.setattr(issuers, "build_issuer", build)
    return answering


def looked_at(where: Where = HERE, **keys: Any) -> dict[str, tuple[str, str]]:
    given = {"name": "corp", "issuer": ISSUER, "verify": "jwt", "audience": ("api://kdb",)}
    config = Config(issuers=(IssuerConfig(**{**given, **keys}),))
    found: Iterable[Finding] = issuers.issuers(config, where)
    return {each.check: (each.outcome.value, each.found) for each in found}


def test_an_issuer_that_answers_and_keeps_our_time_is_ok(issuer: Answering) -> None:
    assert looked_at() == {
        "issuer corp": ("ok", f"{ISSUER} answers, for jwt"),
        "clock by corp": ("ok", "within 5 s of the issuer's"),
    }


@pytest.mark.parametrize(
    ("ahead", "outcome", "part"),
    [
        (20, "warning", "behind the issuer's"),
        (-20, "warning", "ahead of"),
        (120, "wrong", "behind"),
    ],
)
def test_a_clock_that_is_off_is_told(
    issuer: Answering, ahead: int, outcome: str, part: str
) -> None:
    issuer.ahead = timedelta(seconds=ahead)
    found = looked_at()["clock by corp"]
    assert found[0] == outcome
    assert part in found[1]


def test_a_copy_of_a_cache_tells_no_time(issuer: Answering) -> None:
    issuer.headers = {"age": "60"}
    assert looked_at()["clock by corp"][0] == "warning"


def test_an_issuer_that_does_not_answer_is_wrong(issuer: Answering) -> None:
    issuer.status = 503
    (found,) = looked_at().values()
    assert (found[0], "503" in found[1]) == ("wrong", True)


def test_metadata_that_names_its_issuer_otherwise_is_shown_beside_the_configured_name(
    issuer: Answering,
) -> None:
    issuer.name = ISSUER.rstrip("/")
    found = looked_at()["issuer corp"]
    assert found[0] == "wrong"
    assert f"'{issuer.name}', wanted '{ISSUER}' (they differ by a slash at the end)" in found[1]


def test_which_key_is_of_no_use_and_why_is_said_where_all_are(issuer: Answering) -> None:
    issuer.keys = [jwk(RSA, kid="for secrets", use="enc")]
    found = looked_at()["issuer corp"]
    assert found == (
        "wrong",
        "the key set has no usable signature key: key 'for secrets' is for use 'enc', not 'sig', "
        "wanted one at least: see jwks_uri",
    )


def test_introspection_is_asked_with_the_daemons_own_secret(
    issuer: Answering, tmp_path: Path
) -> None:
    (tmp_path / "corp.client_secret").write_text("a secret of ours")
    where = Where(owner=None, credentials=tmp_path)
    found = looked_at(where, verify="introspection")
    assert found["issuer corp"] == ("ok", f"{ISSUER} answers, for introspection")
    assert issuer.secrets[-1].startswith("Basic ")
    assert "a secret" not in str(found)


def test_where_the_secret_is_not_to_be_seen_the_issuer_is_not_asked(
    issuer: Answering, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert looked_at(verify="introspection")["issuer corp"][0] == "warning"

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(issuers, "read_secret", refuse)
    found = looked_at(verify="introspection", client_secret_file=str(tmp_path / "s"))
    assert found["issuer corp"] == ("warning", f"not asked: {tmp_path}/s cannot be read")
    assert issuer.secrets == []


def test_what_the_configuration_names_wrongly_is_wrong(issuer: Answering, tmp_path: Path) -> None:
    assert looked_at(ca_file=str(tmp_path / "none"))["issuer corp"][0] == "wrong"
    found = looked_at(client_secret_file=str(tmp_path / "none"), verify="introspection")
    assert found["issuer corp"][0] == "wrong"


def test_a_plugins_issuer_is_left_to_the_plugin() -> None:
    found = looked_at(verify="plugin", plugin="paseto")
    assert found == {"issuer corp": ("ok", "left to the plugin paseto")}


@pytest.mark.parametrize(
    ("status", "says", "outcome", "part"),
    [
        (400, {"error": "invalid_token"}, "ok", "answers, for introspection"),
        (401, {"error": "invalid_token"}, "ok", "answers, for introspection"),
        (401, {}, "wrong", "does not take our client"),
        (400, {"error": "invalid_client"}, "wrong", "does not take our client"),
        (404, {}, "wrong", "introspection answered 404"),
        (503, {}, "wrong", "answered 503"),
    ],
)
def test_whatever_it_answers_a_made_up_token_is_judged(
    issuer: Answering,
    tmp_path: Path,
    status: int,
    says: dict[str, object],
    outcome: str,
    part: str,
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    issuer.introspected, issuer.introspection_status = says, status
    found = looked_at(verify="introspection", client_id="x", client_secret_file=str(secret))
    assert found["issuer corp"][0] == outcome
    assert part in found["issuer corp"][1]
