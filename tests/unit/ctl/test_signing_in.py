"""`sessionctl test`: whom it asks as which program, and what it makes of each answer."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from sessiond.ctl import commands, signing_in
from sessiond.ctl.client import Client
from sessiond.issuers import http as issuer_http
from sessiond.issuers.http import IssuerHttp
from tests.unit.issuers.fake import ISSUER, METADATA, HandClock, IssuerStub, form_of
from tests.unit.jwt.forge import NOW, signed

CONFIG = """
[listen]
control = "/from/config"
[[issuer]]
name = "corp"
issuer = "{issuer}"
{verify}
audience = ["api://kdb"]
refresh_client_id = "qstudio"
{more}
"""
CODE = {
    "device_code": "d-123",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://login.example.com/go",
    "expires_in": 600,
}
ACCESS = signed({"alg": "RS256", "kid": "rsa"}, {"preferred_username": "alice", "iat": 5}).reveal()

Run = Callable[..., Result]


class Daemon:
    """Explains every login as the test wants it."""

    def __init__(self) -> None:
        self.explained: list[dict[str, Any]] = []
        self.sockets: list[str] = []
        self.accepts = True
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.explained.append(json.loads(request.content))
        found = {
            "accepted": self.accepts,
            "reason": "" if self.accepts else "wrongaudience",
            "checks": [{"check": "token", "outcome": "passed", "reason": "", "detail": "a JWT"}],
            "user": "alice",
            "roles": ["reader"],
            "expires_at": NOW.isoformat(),
        }
        return httpx.Response(self.status, json=found)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon = Daemon()

    def client(path: str) -> Client:
        daemon.sockets.append(path)
        made = Client(path)
        made._http = httpx.Client(transport=httpx.MockTransport(daemon), base_url="http://sessiond")
        return made

    monkeypatch.setattr(signing_in, "Control", client)
    return daemon


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> IssuerStub:
    stub = IssuerStub(HandClock())
    stub.publishes(device_authorization_endpoint=f"{ISSUER}device")
    stub.says("/device", CODE)
    stub.says("/token", {"access_token": ACCESS, "token_type": "Bearer", "refresh_token": "r" * 30})

    def http(**options: Any) -> IssuerHttp:
        return IssuerHttp(**options, network=stub.network)

    monkeypatch.setattr(issuer_http, "IssuerHttp", http)
    monkeypatch.setattr(signing_in, "SystemClock", lambda: stub.clock)
    return stub


@pytest.fixture
def run(daemon: Daemon, stub: IssuerStub, tmp_path: Path) -> Run:
    def invoke(
        *args: str,
        more: str = "",
        verify: str = 'verify = "jwt"',
        issuer: str = ISSUER,
        before: tuple[str, ...] = (),
        answers: str = "",
    ) -> Result:
        file = tmp_path / "config.toml"
        file.write_text(CONFIG.format(more=more, issuer=issuer, verify=verify))
        target = before or ("--config", str(file))
        return CliRunner().invoke(
            commands.main, [*target, "test", *args], input=answers, prog_name="sessionctl"
        )

    return invoke


def begun(stub: IssuerStub) -> dict[str, str]:
    return next(form_of(each) for each in stub.requests if each.url.path == "/device")


def test_who_signs_in_has_the_login_explained_and_no_token_is_shown(
    run: Run, daemon: Daemon
) -> None:
    done = run()
    assert done.exit_code == os.EX_OK, done.output
    assert "Visit https://login.example.com/go and enter the code: ABCD-EFGH" in done.stderr
    assert "would be let in as alice with reader" in done.stdout
    assert daemon.sockets == ["/from/config"]
    first, second = daemon.explained
    assert first == {"user": "nobody", "password": "no token"}
    assert second == {"user": "alice", "password": f"bearer:{ACCESS}"}
    for secret in (ACCESS, "r" * 30, "d-123"):
        assert secret not in done.output


def test_a_url_that_has_the_code_in_it_is_shown_too(run: Run, stub: IssuerStub) -> None:
    complete = "https://login.example.com/go?c=ABCD-EFGH"
    stub.says("/device", CODE | {"verification_uri_complete": complete})
    assert f"or visit {complete}\n" in run().stderr


def test_a_login_that_would_be_refused_ends_with_77(run: Run, daemon: Daemon) -> None:
    daemon.accepts = False
    done = run("--json", "--user", "bob")
    assert done.exit_code == os.EX_NOPERM == 77
    assert json.loads(done.stdout)["reason"] == "wrongaudience"
    assert daemon.explained[1]["user"] == "bob"


def test_who_may_not_explain_hears_so_before_anybody_signs_in(
    run: Run, daemon: Daemon, stub: IssuerStub
) -> None:
    daemon.status = 403
    assert run().exit_code == os.EX_NOPERM
    assert stub.requests == []


def test_the_program_and_what_it_asks_for_are_the_configurations(
    run: Run, stub: IssuerStub
) -> None:
    run()
    assert begun(stub) == {"client_id": "qstudio", "scope": "openid"}
    stub.requests.clear()
    run(more='required_scope = "kdb"\nrefresh_scope = "api://kdb/kdb"')
    assert begun(stub)["scope"] == "api://kdb/kdb"
    stub.requests.clear()
    run(more='required_scope = "kdb"')
    assert begun(stub)["scope"] == "kdb"


def test_options_say_otherwise(run: Run, stub: IssuerStub) -> None:
    run("--client", "other", "--scope", "a b", "--resource", "api://kdb")
    assert begun(stub) == {"client_id": "other", "scope": "a b", "resource": "api://kdb"}


def test_a_confidential_programs_secret_is_used_and_one_that_cannot_be_read_is_said(
    run: Run, stub: IssuerStub, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    more = f'refresh_client_secret_file = "{secret}"'
    refused = run(more=more)
    assert refused.exit_code == os.EX_NOPERM
    assert "run this as root, or give --client" in refused.stderr
    secret.write_text("s3cret\n")
    assert run(more=more).exit_code == os.EX_OK
    asked = [each for each in stub.requests if each.url.path == "/device"]
    assert asked[0].headers["authorization"].startswith("Basic ")


def test_a_program_that_is_sessionds_own_client_has_its_secret(
    run: Run, stub: IssuerStub, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text("s3cret\n")
    more = f'client_id = "qstudio"\nclient_secret_file = "{tmp_path}/own"'
    assert run(more=more).exit_code == os.EX_OK
    assert run(more=f'{more}\nclient_auth = "post"').exit_code == os.EX_OK
    basic, post = [each for each in stub.requests if each.url.path == "/device"]
    assert basic.headers["authorization"].startswith("Basic ")
    assert form_of(post)["client_secret"] == "s3cret"


def test_where_a_refresh_must_prove_it_the_refresh_token_comes_along(
    run: Run, daemon: Daemon, stub: IssuerStub
) -> None:
    more = 'verify = "userinfo"\nprove_by_refresh = true'
    assert run(more=more, verify="").exit_code == os.EX_OK
    assert begun(stub)["scope"] == "openid offline_access"
    assert daemon.explained[1]["password"] == f"bearer:{ACCESS};{'r' * 30}"
    stub.says("/token", {"access_token": ACCESS, "token_type": "Bearer"})
    run(more=more, verify="")
    assert daemon.explained[3]["password"] == f"bearer:{ACCESS}"


def test_auth0_is_told_the_audience(run: Run, stub: IssuerStub) -> None:
    auth0 = "https://example.auth0.com/"
    stub.publishes(issuer=auth0, device_authorization_endpoint=f"{auth0}device")
    run(issuer=auth0)
    assert begun(stub)["audience"] == "api://kdb"


def test_an_opaque_tokens_name_is_asked_for(run: Run, daemon: Daemon, stub: IssuerStub) -> None:
    stub.says("/token", {"access_token": "o" * 30, "token_type": "Bearer"})
    assert run(answers="carol\n").exit_code == os.EX_OK
    assert daemon.explained[1] == {"user": "carol", "password": f"bearer:{'o' * 30}"}


@pytest.mark.parametrize(
    ("error", "code", "advice"),
    [
        ("expired_token", os.EX_TEMPFAIL, "begin again"),
        ("access_denied", os.EX_NOPERM, "a policy of the issuer"),
        ("authorization_declined", os.EX_NOPERM, "a policy of the issuer"),
        ("invalid_scope", os.EX_CONFIG, "--scope"),
        ("invalid_target", os.EX_CONFIG, "--resource"),
        ("invalid_request", os.EX_CONFIG, "--scope"),
        ("unauthorized_client", os.EX_CONFIG, "device authorization grant (RFC 8628)"),
        ("invalid_client", os.EX_CONFIG, "refresh_client_id, or --client"),
    ],
)
def test_each_refusal_says_what_to_do(
    run: Run, stub: IssuerStub, error: str, code: int, advice: str
) -> None:
    stub.says("/device", {"error": error}, status=400)
    done = run()
    assert (done.exit_code, f"the issuer says {error}" in done.stderr) == (code, True)
    assert advice in done.stderr


@pytest.mark.parametrize(
    ("issuer", "step"),
    [
        ("https://sso.example.com/realms/trading", "OAuth 2.0 Device Authorization"),
        ("https://example.okta.com/oauth2/default", "Device Authorization"),
    ],
)
def test_where_the_grant_is_switched_on_is_said_for_the_vendor(
    run: Run, stub: IssuerStub, issuer: str, step: str
) -> None:
    path = httpx.URL(issuer).path
    stub.on(
        f"{path}{METADATA}",
        lambda _: httpx.Response(
            200,
            json={
                "issuer": issuer,
                "device_authorization_endpoint": f"{ISSUER}device",
                "token_endpoint": f"{ISSUER}token",
            },
        ),
    )
    stub.says("/device", {"error": "unauthorized_client"}, status=400)
    done = run(issuer=issuer)
    assert step in done.stderr
    assert "qstudio" in done.stderr


def test_an_issuer_without_device_codes_is_said_with_another_way(
    run: Run, stub: IssuerStub
) -> None:
    stub.publishes()
    done = run()
    assert done.exit_code == os.EX_UNAVAILABLE
    assert "sessionctl explain --user NAME < token" in done.stderr


def test_an_issuer_that_does_not_answer_is_said(run: Run, stub: IssuerStub) -> None:
    stub.says(METADATA, {}, status=503)
    done = run()
    assert done.exit_code == os.EX_UNAVAILABLE
    assert f"curl -v {ISSUER.rstrip('/')}{METADATA}" in done.stderr


TWO = """
users = ["a*"]
[[issuer]]
name = "own"
issuer = "urn:own"
verify = "plugin"
plugin = "paseto"
users = ["b*"]
"""


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        ((), os.EX_USAGE, "--issuer NAME is needed, one of: corp, own"),
        (("--issuer", "other"), os.EX_NOINPUT, "there are: corp, own"),
        (("--issuer", "own"), os.EX_CONFIG, "is a plugin's"),
        (("--issuer", "corp"), os.EX_OK, ""),
    ],
)
def test_which_issuer_is_meant_is_said(
    run: Run, args: tuple[str, ...], code: int, why: str
) -> None:
    done = run(*args, more=TWO)
    assert (done.exit_code, why in done.stderr) == (code, True), done.output


def test_without_a_configuration_the_default_one_is_meant(
    run: Run, monkeypatch: pytest.MonkeyPatch, daemon: Daemon, tmp_path: Path
) -> None:
    run()  # writes one
    monkeypatch.setattr(signing_in, "DEFAULT", tmp_path / "config.toml")
    assert run(before=("--control", "/from/option")).exit_code == os.EX_OK
    assert daemon.sockets[-1] == "/from/option"
