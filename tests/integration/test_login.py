"""A user with a real token from a real issuer logs in; whoever has none does not."""

from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from sessiond.qipc import octets_of, span
from sessiond.testing import FakeProcess
from tests.integration.conftest import Connected, Start
from tests.issuer.running import ALICE, BOB, RunningIssuer
from tests.running_daemon import configuration

ROLES = """
roles_claim = ["roles", "scp"]
default_roles = ["everyone"]
[issuer.roles]
trader = "trading"
"session.login" = "login"
"nobody.has.this" = "never"
[issuer.attributes]
tid = "tenant"
"not.there" = "missing"
"""


def pair(tokens: dict[str, Any]) -> str:
    """Return the password that the qStudio plugin sends."""
    return f"{tokens['access_token']};{tokens['refresh_token']}"


@pytest.mark.parametrize("resource", ["api://kdb", "api://kdb-ec", "api://kdb-ed"])
def test_each_algorithm_logs_in(
    strict_issuer: RunningIssuer, start: Start, process: Connected, resource: str
) -> None:
    token = strict_issuer.tokens(resource=resource)["access_token"]
    audience = f'verify = "jwt"\naudience = ["{resource}"]'
    q = process(start(configuration(strict_issuer, extra=audience)))
    answer = q.log_in(ALICE, token)
    assert answer["user"] == ALICE
    assert [each["session"] for each in q.sessions()] == [answer["session"]]


def test_a_token_of_a_real_browser_login_logs_in(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    tokens = strict_issuer.tokens_by_code()
    assert process(start(configuration(strict_issuer))).connect(ALICE, pair(tokens))["ok"]


def test_roles_and_attributes_are_mapped_as_configured(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer, extra=ROLES)))
    answer = q.connect(ALICE, strict_issuer.tokens()["access_token"])
    assert answer["roles"] == ["everyone", "login", "trading"]
    assert answer["attributes"] == {"tenant": "11111111-2222-4333-8444-555555555555"}


def test_a_user_without_a_known_role_is_refused_where_one_is_required(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    required = 'require_role = true\n[issuer.roles]\ntrader = "trading"'
    q = process(start(configuration(strict_issuer, extra=required)))
    assert q.connect(ALICE, strict_issuer.tokens(ALICE)["access_token"])["ok"]
    assert q.connect(BOB, strict_issuer.tokens(BOB)["access_token"])["reason"] == "noroles"


def test_each_bad_token_is_refused_with_its_reason(
    strict_issuer: RunningIssuer, entra_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    token = strict_issuer.tokens()["access_token"]
    head, body, signature = token.split(".")
    presented = {
        "an ordinary password": "nottoken",
        "": "nottoken",
        "bearer:": "malformed",
        f"{head}.{body}.{'A' * len(signature)}": "badsignature",
        f"bearer:{'x' * 40}": "malformed",
        f"bearer:{'x' * 40000}": "toolarge",
        entra_issuer.tokens()["access_token"]: "wrongissuer",
        strict_issuer.tokens(resource="api://kdb-ec")["access_token"]: "wrongaudience",
        strict_issuer.app_token(): "wrongtype",
        strict_issuer.tokens(BOB)["access_token"]: "usermismatch",
    }
    q = process(start(configuration(strict_issuer)))
    reasons = {password: q.connect(ALICE, password)["reason"] for password in presented}
    assert reasons == presented


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ("", "wrongtype"),
        ('typ = ["at+jwt", "JWT", ""]\nrequired_scope = "session.login"', "wrongscope"),
    ],
)
def test_an_id_token_is_not_an_access_token(
    strict_issuer: RunningIssuer, start: Start, process: Connected, rules: str, reason: str
) -> None:
    id_token = strict_issuer.tokens_by_code()["id_token"]
    confused = f'verify = "jwt"\naudience = ["qstudio", "api://kdb"]\n{rules}'
    q = process(start(configuration(strict_issuer, extra=confused)))
    assert q.connect(ALICE, id_token)["reason"] == reason


def test_an_expired_token_is_refused_at_its_second(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    strict_issuer.control.set_access_token_lifetime(1)
    token = strict_issuer.tokens()["access_token"]
    q = process(start(configuration(strict_issuer)))
    while (answer := q.connect(ALICE, token))["ok"]:  # the deadline of this loop is the token's
        q.opened(answer["session"], 5)
        assert q.next_push()["event"] == "expired"
    assert answer["reason"] == "expired"


def test_keys_rotated_with_overlap_are_fetched_once(
    strict_issuer: RunningIssuer, start: Start, process: Connected
) -> None:
    q = process(start(configuration(strict_issuer)))
    old = strict_issuer.tokens()["access_token"]
    assert q.connect(ALICE, old)["ok"]
    strict_issuer.control.rotate_keys()
    fresh = [strict_issuer.tokens(user)["access_token"] for user in (ALICE, BOB)]
    before = strict_issuer.control.calls("/keys")
    assert q.connect(ALICE, fresh[0])["ok"]
    assert q.connect(BOB, fresh[1])["ok"]
    assert strict_issuer.control.calls("/keys") == before + 1
    assert q.connect(ALICE, old)["ok"]


def test_hello_states_the_deadline_that_is_configured(
    strict_issuer: RunningIssuer, start: Start
) -> None:
    daemon = start(configuration(strict_issuer, login="deadline = 1.25"))
    with FakeProcess(daemon.address) as q:
        assert span(q.hello()["deadline"]).total_seconds() == 1.25


@pytest.mark.parametrize("address", ["address", "padded", "path"])
def test_every_address_of_the_port_answers(
    strict_issuer: RunningIssuer, start: Start, address: str
) -> None:
    daemon = start(configuration(strict_issuer))
    with FakeProcess(getattr(daemon, address)) as q:
        assert set(q.hello()) == {"server", "instance", "proof", "deadline"}


def test_the_daemon_proves_itself_with_the_key_it_shares_with_q(
    strict_issuer: RunningIssuer, start: Start, folder: Path
) -> None:
    key_file = folder / "proof.key"
    key_file.write_text("shared-key\n")
    key_file.chmod(0o640)
    daemon = start(configuration(strict_issuer, listen=f'proof_key_file = "{key_file}"'))
    with FakeProcess(daemon.address) as q:
        proof = octets_of(q.hello(nonce="n" * 40)["proof"])
    inner = sha1(f"shared-keysessiond:{daemon.path}:{'n' * 40}".encode()).digest()  # noqa: S324
    assert proof == sha1(b"shared-key" + inner).digest()  # noqa: S324
