"""Users of a real Keycloak, set up by the guide, log in; what else it issues is refused."""

from pathlib import Path

import pytest

from tests.integration.conftest import Connected, Start
from tests.integration.operating import Operator
from tests.integration.test_login import pair
from tests.keycloak import guide
from tests.keycloak.admin import Realm
from tests.keycloak.guide import configuration
from tests.keycloak.program import service_token, sign_in

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.timeout(400),
]
WAYS = ("jwt", "introspection", "userinfo")
OTHER, LIGHT, BOT = "other", "light", "bot"
# What each way says of what a realm issues besides. No way takes an id_token, a refresh or offline
# token, a service account's, or one that is bound to a key. A lightweight access token and another
# program's are a user's: introspection says all that a lightweight one stands for, userinfo knows
# no audience.
NEVER = dict.fromkeys(("id", "refresh", "offline", "service", "bound"), "wrongtype")
VERDICTS = {
    "jwt": NEVER | {"light": "wrongaudience", "other": "wrongaudience"},
    "introspection": NEVER | {"light": "", "other": "inactive"},
    "userinfo": NEVER | {"light": "inactive", "other": ""},
}


@pytest.fixture(scope="module")
def realm_of_all_ways(shared_realm: Realm) -> tuple[Realm, str]:
    """The shared realm, with the steps for introspection and more clients; the daemon's secret."""
    secret = guide.step_6(shared_realm)
    guide.step_7(shared_realm)
    shared_realm.add_user("bob", guide.ROLE)
    shared_realm.add_program(OTHER)
    scopes = ["basic", "profile", "roles", guide.SCOPE]
    shared_realm.add_program(LIGHT, light=True, defaultClientScopes=scopes)
    shared_realm.add_program(
        BOT,
        publicClient=False,
        secret="bot-secret",
        serviceAccountsEnabled=True,
        defaultClientScopes=scopes,
    )
    shared_realm.give_role(f"service-account-{BOT}", guide.ROLE)
    return shared_realm, secret


def way(realm: Realm, verify: str, secret: str, folder: Path) -> str:
    """Return the configuration of one way of verifying."""
    if verify == "jwt":
        return configuration(realm)
    if verify == "userinfo":
        nothing = {"audience": "", "typ": "", "require_role": "", "roles_claim": ""}
        return configuration(realm, verify='"userinfo"', **nothing)
    file = folder / "keycloak.secret"
    file.write_text(secret + "\n")
    file.chmod(0o600)
    return configuration(realm, "keycloak-asked", client_secret_file=f'"{file}"')


@pytest.mark.parametrize("verify", WAYS)
def test_a_user_logs_in_each_way(
    realm_of_all_ways: tuple[Realm, str],
    start: Start,
    process: Connected,
    folder: Path,
    verify: str,
) -> None:
    realm, secret = realm_of_all_ways
    q = process(start(way(realm, verify, secret, folder)))
    tokens = sign_in(realm)
    for handle, password in ((5, tokens["access_token"]), (6, pair(tokens))):
        answer = q.log_in("alice", password, handle)
        assert answer["user"] == "alice"
        assert answer["roles"] == ([] if verify == "userinfo" else ["reader"])
    assert q.connect("bob", tokens["access_token"], 7)["reason"] == "usermismatch"


@pytest.mark.parametrize("verify", WAYS)
def test_what_is_no_users_bearer_access_token_is_refused(
    realm_of_all_ways: tuple[Realm, str],
    start: Start,
    process: Connected,
    folder: Path,
    verify: str,
) -> None:
    realm, secret = realm_of_all_ways
    q = process(start(way(realm, verify, secret, folder)))
    tokens, offline = sign_in(realm), sign_in(realm, scope="openid offline_access")
    service = service_token(realm, BOT, "bot-secret")["access_token"]
    bound = sign_in(realm, bound=True)["access_token"]
    presented = {
        "id": ("alice", tokens["id_token"]),
        "refresh": ("alice", tokens["refresh_token"]),
        "offline": ("alice", offline["refresh_token"]),
        "service": (f"service-account-{BOT}", service),
        "bound": ("alice", bound),
        "light": ("alice", sign_in(realm, client=LIGHT)["access_token"]),
        "other": ("alice", sign_in(realm, client=OTHER)["access_token"]),
    }
    answers = {what: q.connect(*each)["reason"] for what, each in presented.items()}
    assert answers == VERDICTS[verify]


def test_without_the_step_for_at_jwt_the_type_is_jwt_and_id_tokens_are_told_apart(
    shared_realm: Realm, start: Start, process: Connected
) -> None:
    scopes = ["basic", "profile", "roles", guide.SCOPE]
    shared_realm.add_program("plain", at_jwt=False, defaultClientScopes=scopes)
    tokens = sign_in(shared_realm, client="plain")
    daemon = start(configuration(shared_realm))
    assert process(daemon).connect("alice", tokens["access_token"])["reason"] == "wrongtype"
    daemon.stop()
    q = process(start(configuration(shared_realm, typ='["JWT"]')))
    assert q.connect("alice", tokens["access_token"])["ok"]
    assert q.connect("alice", tokens["id_token"])["reason"] == "wrongtype"
    assert q.connect("alice", tokens["refresh_token"])["reason"] == "badsignature"


def test_a_service_account_that_is_allowed_by_name_logs_in(
    realm_of_all_ways: tuple[Realm, str], start: Start, process: Connected
) -> None:
    realm, _ = realm_of_all_ways
    q = process(start(configuration(realm, allow_clients=f'["{BOT}"]')))
    token = service_token(realm, BOT, "bot-secret")["access_token"]
    assert q.connect(f"service-account-{BOT}", token)["roles"] == ["reader"]


def test_the_mapper_that_puts_nonce_into_access_tokens_is_noticed_or_allowed(
    shared_realm: Realm, start: Start, process: Connected
) -> None:
    scopes = ["basic", "profile", "roles", guide.SCOPE]
    mapper = {
        "name": "nonce",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-nonce-backwards-compatible-mapper",
    }
    shared_realm.add_program("old", defaultClientScopes=scopes, protocolMappers=[mapper])
    token = sign_in(shared_realm, client="old", nonce="of-the-program")["access_token"]
    daemon = start(configuration(shared_realm))
    assert process(daemon).connect("alice", token)["reason"] == "wrongtype"
    daemon.stop()
    q = process(start(configuration(shared_realm, tolerated_claims='["nonce"]')))
    assert q.connect("alice", token)["ok"]


def test_roles_of_a_client_are_read_by_their_pointer(
    shared_realm: Realm, start: Start, process: Connected
) -> None:
    shared_realm.call("POST", "/clients", {"clientId": "kdb+"})
    client = shared_realm.id_of("clients", "kdb+")
    shared_realm.call("POST", f"/clients/{client}/roles", {"name": "writes"})
    role = shared_realm.call("GET", f"/clients/{client}/roles/writes")
    shared_realm.add_user("carol")
    carol = shared_realm.id_of("users", "carol")
    shared_realm.call("POST", f"/users/{carol}/role-mappings/clients/{client}", [role])
    pointer = {"roles_claim": '["/resource_access/kdb+/roles"]'}
    daemon = start(configuration(shared_realm, **pointer).replace(guide.ROLE, "writes"))
    answer = process(daemon).connect("carol", sign_in(shared_realm, "carol")["access_token"])
    assert answer["roles"] == ["reader"]


def test_without_the_daemon_in_the_audience_everybody_is_inactive_and_explain_says_why(
    realm: Realm, start: Start, process: Connected, folder: Path
) -> None:
    daemon = start(way(realm, "introspection", guide.step_6(realm), folder))
    q = process(daemon)
    token = sign_in(realm)["access_token"]
    assert q.connect("alice", token)["reason"] == "inactive"
    with Operator(daemon) as operator:
        (failed,) = (
            check
            for check in operator.explain("alice", token)["checks"]
            if check["outcome"] == "failed"
        )
    assert "Its aud does not name our client" in failed["detail"]
    guide.step_7(realm)
    assert q.connect("alice", sign_in(realm)["access_token"])["ok"]


def test_introspection_knows_of_a_sign_out_at_once_and_jwt_does_not(
    realm_of_all_ways: tuple[Realm, str], start: Start, process: Connected, folder: Path
) -> None:
    realm, secret = realm_of_all_ways
    realm.add_user("dave", guide.ROLE)
    token = sign_in(realm, "dave")["access_token"]
    realm.sign_out("dave")
    daemon = start(way(realm, "introspection", secret, folder))
    assert process(daemon).connect("dave", token)["reason"] == "inactive"
    daemon.stop()
    assert process(start(way(realm, "jwt", secret, folder))).connect("dave", token)["ok"]


def test_a_new_key_is_taken_and_one_that_is_gone_is_not(
    realm: Realm, start: Start, process: Connected
) -> None:
    q = process(start(configuration(realm)))
    old = sign_in(realm)["access_token"]
    assert q.connect("alice", old)["ok"]
    realm.add_key(priority=200)
    realm.remove_key("rsa-generated")
    assert q.connect("alice", sign_in(realm)["access_token"])["ok"]
    assert q.connect("alice", old)["reason"] == "badsignature"


def test_old_tokens_are_good_while_their_key_is_passive(
    realm: Realm, start: Start, process: Connected
) -> None:
    q = process(start(configuration(realm)))
    old = sign_in(realm)["access_token"]
    assert q.connect("alice", old)["ok"]
    realm.add_key(priority=200)
    assert q.connect("alice", sign_in(realm)["access_token"])["ok"]
    assert q.connect("alice", old)["ok"]
