"""A profile is one that sessiond-login takes, and has nothing in it that is not needed there."""

import json
import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sessiond_login.profile import Profile
from sessiond_login.profiles import reading

from sessiond.config import IssuerConfig
from sessiond.config import reading as daemon
from sessiond.core.errors import ConfigError
from sessiond.ctl.profile import Wanted, notes, profile
from sessiond.init.written import WIDTH
from tests.shapes import page

TABLES = page.tables()
NONE = {"authentik", "google", "xsuaa"}  # whose programs have a secret
CORP = IssuerConfig(
    name="corp",
    issuer="https://login.example.com/",
    verify="jwt",
    audience=("api://kdb",),
    refresh_client_id="qstudio",
)
ENTRA = TABLES["entra"]
API = "22222222-2222-2222-2222-222222222222"

ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
FULL = ASCII.map(str.strip).filter(bool)
HOSTS = [
    "login.example.com",
    "localhost",
    "127.0.0.1",
    "127.0.0.2",
    "[::1]",
    "x/'\"\\",
    "h:8443/a b",
]
# As an operator may write them: not each is a configuration.
KEYS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
        "issuer": st.builds(
            "{}://{}".format, st.sampled_from(["https", "http"]), st.sampled_from(HOSTS)
        ),
        "verify": st.sampled_from(["jwt", "introspection", "userinfo"]),
        "audience": st.lists(FULL, min_size=1, max_size=2),
    },
    optional={
        "required_scope": ASCII,
        "refresh_scope": ASCII,
        "refresh_client_id": ASCII,
        "client_id": ASCII,
        "client_auth": st.sampled_from(["none", "basic"]),
        "user_claim": FULL,
        "ca_file": st.text(st.characters(exclude_categories=["Cs"])).map("/{}".format),
        "insecure_http": st.booleans(),
        "rotation": st.sampled_from(["strict", "tolerant"]),
        "prove_by_refresh": st.booleans(),
    },
)
WANTED = st.builds(
    Wanted,
    send=st.sampled_from([None, "pair", "access"]),
    flow=st.sampled_from(["browser", "device", "password"]),
    scope=st.none() | ASCII | ASCII.map("openid {}".format),
    resource=st.none() | ASCII,
)


def corp(**keys: object) -> IssuerConfig:
    return msgspec.structs.replace(CORP, **keys)


def written(issuer: IssuerConfig, wanted: Wanted = Wanted()) -> str:  # noqa: B008 - frozen
    return "\n".join(profile(issuer, wanted))


def why_none(issuer: IssuerConfig, wanted: Wanted) -> str:
    with pytest.raises(ConfigError) as refused:
        profile(issuer, wanted)
    return str(refused.value)


def read(issuer: IssuerConfig, wanted: Wanted = Wanted()) -> Profile:  # noqa: B008 - frozen
    """Return the profile as sessiond-login reads it."""
    return reading.read(written(issuer, wanted), "it").profiles[wanted.name or issuer.name]


PUBLIC = {"verify": "userinfo", "issuer": "https://a.example", "client_auth": "none"}


@given(KEYS, WANTED)
@example({"name": "a", **PUBLIC, "client_id": ""}, Wanted())
@example({"name": "a", **PUBLIC}, Wanted(scope="kdb"))
@example({"name": "a", **PUBLIC, "issuer": "http://127.0.0.2", "insecure_http": True}, Wanted())
@example({"name": "a", **PUBLIC, "ca_file": "/\n[profile.b]\x7f\x85\u2028"}, Wanted())
def test_whatever_sessiond_is_configured_by_sessiond_login_can_read_or_there_is_a_reason(
    keys: dict[str, Any], wanted: Wanted
) -> None:
    table = "\n".join(f"{key} = {written_as_toml(value)}" for key, value in keys.items())
    try:
        (issuer,) = daemon.read(f'[listen]\nproof_key_file = "/x"\n[[issuer]]\n{table}').issuers
        text = written(issuer, wanted)
    except ConfigError:
        return
    assert list(reading.read(text, "it").profiles) == [issuer.name]


def written_as_toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def test_what_is_as_the_default_is_left_out() -> None:
    assert read(CORP) == Profile(issuer="https://login.example.com/", client_id="qstudio")
    keys = tomllib.loads(written(CORP))["profile"]["corp"]
    assert set(keys) == {"issuer", "client_id"}


@pytest.mark.parametrize("name", sorted(set(TABLES) - NONE))
def test_each_vendors_table_makes_one(name: str) -> None:
    found = read(TABLES[name])
    assert found.issuer == TABLES[name].issuer
    assert found.client_id == TABLES[name].refresh_client_id
    assert found.rotation == TABLES[name].rotation
    assert found.send == "pair"


@pytest.mark.parametrize("name", sorted(set(TABLES) - NONE))
def test_each_key_that_is_written_differs_from_its_default_and_has_its_reason(name: str) -> None:
    lines = written(TABLES[name]).splitlines()
    keys = [number for number, line in enumerate(lines) if " = " in line and line[0] != "#"]
    assert all(lines[number - 1].startswith("# ") for number in keys)
    assert all(len(line) <= WIDTH for line in lines if line.startswith("#"))
    defaults = {field.name: field.default for field in msgspec.structs.fields(Profile)}
    (table,) = tomllib.loads("\n".join(lines))["profile"].values()
    for key, value in table.items():
        assert value != defaults[key]


@pytest.mark.parametrize("name", sorted(NONE))
def test_a_program_that_has_a_secret_gets_none(name: str) -> None:
    why = why_none(TABLES[name], Wanted())
    assert "a program on a person's machine can keep no secret" in why


@pytest.mark.parametrize(
    "keys",
    [
        {"refresh_client_secret_file": "/etc/sessiond/program.secret"},
        {"client_id": "qstudio", "client_secret_file": "/etc/sessiond/own.secret"},
        {"client_id": "qstudio"},  # how it proves itself is said, if not with what
        {"refresh_client_id": ""},
    ],
)
def test_sessionds_own_client_and_any_with_a_secret_are_no_persons(keys: dict[str, str]) -> None:
    why = why_none(corp(**keys), Wanted())
    assert "a confidential client, wanted a public one" in why


def test_sessionds_own_client_does_where_it_is_a_public_one() -> None:
    assert read(corp(refresh_client_id="", client_id="q", client_auth="none")).client_id == "q"


def test_a_plugins_issuer_has_none() -> None:
    why = why_none(corp(verify="plugin", plugin="paseto"), Wanted())
    assert "is verified by a plugin" in why


def test_entra_is_asked_for_the_scope_of_the_api_alone_and_its_refresh_tokens_stay_good() -> None:
    found = read(ENTRA)
    assert found.kind == "entra"
    assert found.scopes == (f"api://{API}/session.login",)  # its library adds the usual ones
    assert found.rotation == "tolerant"
    written_so = msgspec.structs.replace(ENTRA, refresh_scope="openid api://x/y offline_access")
    assert read(written_so).scopes == ("api://x/y",)


def test_entra_without_refresh_scope_gets_no_refresh_token_to_spend() -> None:
    found = read(msgspec.structs.replace(ENTRA, refresh_scope=""))
    assert found.send == "access"
    assert found.scopes == (f"api://{API}/session.login",)


def test_entra_without_any_scope_would_give_tokens_for_graph() -> None:
    bare = msgspec.structs.replace(ENTRA, refresh_scope="", required_scope="")
    why = why_none(bare, Wanted())
    assert "write refresh_scope" in why
    assert read(bare, Wanted(scope="api://kdb/x")).scopes == ("api://kdb/x",)


def test_keycloak_is_not_asked_for_what_ends_the_sign_on_in_the_browser() -> None:
    assert read(TABLES["keycloak"]).scopes == ("openid", "profile")
    asked_for = msgspec.structs.replace(TABLES["keycloak"], refresh_scope="offline_access kdb")
    assert read(asked_for).scopes == ("openid", "profile", "offline_access", "kdb")


def test_a_scope_that_tokens_must_have_is_asked_for_beside_the_usual_ones() -> None:
    usual = ("openid", "profile", "offline_access")
    assert read(corp(required_scope="kdb")).scopes == (*usual, "kdb")
    both = corp(required_scope="kdb", refresh_scope="offline_access api://kdb/kdb")
    assert read(both).scopes == (*usual, "api://kdb/kdb")
    assert read(both, Wanted(scope="openid kdb")).scopes == ("openid", "kdb")


def test_only_auth0_is_sent_the_audience() -> None:
    audiences = {name: read(TABLES[name]).audience for name in set(TABLES) - NONE}
    assert {name: each for name, each in audiences.items() if each} == {"auth0": "api://kdb"}


def test_the_name_is_the_claim_of_an_id_token_that_says_what_sessiond_will_find() -> None:
    assert read(TABLES["okta"]).user_claim == "preferred_username"  # its own sub is the account
    assert read(TABLES["okta-org"]).user_claim == "preferred_username"
    assert read(TABLES["cognito"]).user_claim == "username"
    assert read(TABLES["hydra"]).user_claim == "/ext/username"
    assert read(corp(user_claim="sub")).user_claim == "sub"


def test_what_is_wanted_otherwise_is_written() -> None:
    wanted = Wanted(name="desk", send="access", flow="device", resource="api://kdb")
    assert read(corp(insecure_http=True), wanted) == Profile(
        issuer=CORP.issuer,
        client_id="qstudio",
        send="access",
        flow="device",
        resource="api://kdb",
        insecure_http=True,
    )
    assert read(CORP, Wanted(send="pair")).send == "pair"


def test_where_a_refresh_proves_the_login_a_pair_is_sent() -> None:
    proved = corp(verify="userinfo", prove_by_refresh=True)
    assert read(proved).send == "pair"
    why = why_none(proved, Wanted(send="access"))
    assert "leave out --send access" in why


def test_a_name_that_is_no_bare_key_is_quoted() -> None:
    assert written(corp(name="corp.eu")).startswith('[profile."corp.eu"]\n')
    assert read(corp(name="corp.eu")).client_id == "qstudio"


def test_a_file_of_the_daemons_machine_is_shown_and_not_named() -> None:
    private = corp(ca_file="/etc/sessiond/ca.pem")
    assert read(private).ca_file == ""
    assert '\n# ca_file = "/etc/sessiond/ca.pem"' in written(private)
    (note,) = notes(private)
    assert "copy /etc/sessiond/ca.pem to people's machines" in note


def test_metadata_elsewhere_is_told_since_a_profile_cannot() -> None:
    (note,) = notes(TABLES["b2c"])
    assert TABLES["b2c"].discovery in note
    assert list(notes(CORP)) == []


def test_nothing_of_the_daemons_own_is_in_it() -> None:
    canary = corp(
        client_id="canary",
        client_secret_file="/canary/secret",
        allow_clients=("canary",),
        also_issued_as=("https://canary.example.com/",),
        users=("canary*",),
        roles={"canary": "canary"},
        attributes={"canary": "canary"},
        default_roles=("canary",),
        introspection_endpoint="https://canary.example.com/",
        token_endpoint="https://canary.example.com/",
        discovery="https://canary.example.com/",
        settings={"canary": "canary"},
    )
    assert "canary" not in written(canary)
    assert written(canary) == written(CORP)
