"""The [[issuer]] tables: what each kind implies, and what would let two of them collide."""

import msgspec
import pytest

from sessiond.config import IssuerConfig, read
from sessiond.config.entra import group_roles
from sessiond.core.errors import ConfigError

OF_A_URL = ": https:// with a host, and neither user nor fragment"
TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
CORP: dict[str, object] = {
    "name": "corp",
    "issuer": "https://login.example.com/",
    "verify": "jwt",
    "audience": ["api://kdb"],
}


def issuer(**keys: object) -> str:
    """Return an [[issuer]] table with these keys changed (None: left out)."""
    table = {**CORP, **keys}
    lines = [f"{key} = {in_toml(value)}" for key, value in table.items() if value is not None]
    return "\n".join(["[[issuer]]", *lines, ""])


def in_toml(value: object) -> str:
    return msgspec.json.encode(value).decode()  # the same for text, numbers, booleans and arrays


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return str(refused.value).splitlines()


def entra(**keys: object) -> IssuerConfig:
    keys = {"issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0", **keys}
    return read(issuer(kind="entra", **keys)).issuers[0]


def test_an_entra_issuer_gets_all_that_its_kind_implies() -> None:
    issuer = entra()

    assert issuer.also_issued_as == (f"https://sts.windows.net/{TENANT}/",)
    assert issuer.typ == ("at+jwt", "JWT")
    assert issuer.subject_claim == "oid"
    assert issuer.rotation == "tolerant"


def test_what_the_file_spells_out_for_entra_stays() -> None:
    assert entra(subject_claim="sub").subject_claim == "sub"
    assert entra(rotation="strict").rotation == "strict"
    assert entra(typ=["JWT"]).typ == ("JWT",)


def test_refresh_tokens_of_others_are_good_once_unless_it_is_said() -> None:
    assert read(issuer()).issuers[0].rotation == "strict"
    assert read(issuer(rotation="tolerant")).issuers[0].rotation == "tolerant"
    assert problems(issuer(rotation="none")) == [
        "issuer[corp].rotation is 'none', must be strict or tolerant"
    ]


def test_entra_asked_for_userinfo_keeps_the_usual_subject() -> None:
    assert entra(verify="userinfo").subject_claim == "sub"


def test_another_host_may_play_entra_with_a_tenant_by_name() -> None:
    issuer = entra(issuer="https://localhost:9443/contoso/v2.0")

    assert issuer.also_issued_as == ("https://sts.windows.net/contoso/",)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_http_is_for_loopback_and_only_on_request(host: str) -> None:
    url = f"http://{host}:8080/"

    assert read(issuer(issuer=url, insecure_http=True)).issuers[0].issuer == url
    assert problems(issuer(issuer=url)) == [
        "issuer[corp].issuer is http://, which needs insecure_http and a loopback host, must be a "
        "URL" + OF_A_URL
    ]


def test_two_issuers_share_the_users_by_pattern() -> None:
    text = issuer(users=["*@corp.example"]) + issuer(
        name="bank", issuer="https://bank.example/", users=["*@bank.example"]
    )

    assert [each.name for each in read(text).issuers] == ["corp", "bank"]


@pytest.mark.parametrize(
    "keys",
    [
        {"algorithms": []},
        {"tolerated_claims": ["at_hash"]},
        {"tolerated_claims": ["nonce"], "audience": ["sessiond"], "required_scope": "kdb"},
        {"token_type_optional": True, "verify": "introspection", "required_scope": "kdb"},
        {"role_names": [f"kdb-{n}" for n in range(16)]},
        {"audience_claim": "client_id", "allow_clients": ["batch"], "unverified_email": True},
    ],
)
def test_what_is_laxer_is_taken_where_something_else_tells_tokens_apart(
    keys: dict[str, object],
) -> None:
    (read_issuer,) = read(issuer(**keys)).issuers
    for key, value in keys.items():
        assert getattr(read_issuer, key) == (tuple(value) if isinstance(value, list) else value)


OF_ISSUER: list[tuple[dict[str, object], str]] = [
    ({"issuer": None}, ".issuer is missing, must be the exact `iss` of its tokens"),
    ({"verify": None}, ".verify is missing, must be jwt, introspection, userinfo or plugin"),
    ({"audience": []}, ".audience is missing, must be the `aud` that tokens for kdb+ have"),
    ({"audience": None}, ".audience is missing, must be the `aud` that tokens for kdb+ have"),
    ({"audience": [""]}, ".audience[1] is '', must be printable ASCII without blanks at its ends, "
     "1 to 1024 characters"),
    ({"verify": "jws"}, ".verify is 'jws', must be jwt, introspection, userinfo or plugin"),
    ({"algorithms": ["RS256", "HS256"]}, ".algorithms[2] is 'HS256', must be RS256, RS384, RS512, "
     "PS256, PS384, PS512, ES256, ES384, ES512, EdDSA or Ed25519"),
    ({"tolerated_claims": ["events"]}, ".tolerated_claims[1] is 'events', must be nonce, at_hash, "
     "c_hash or s_hash"),
    ({"tolerated_claims": ["nonce"], "verify": "userinfo"}, ".tolerated_claims is set, must not "
     "be with verify userinfo: jwt only"),
    ({"tolerated_claims": ["nonce"], "audience": ["api://kdb", "qstudio"],
      "refresh_client_id": "qstudio"}, ".tolerated_claims is set, must have beside it "
     "what id_tokens have not: required_scope, or an audience that is no client's id"),
    ({"tolerated_claims": ["nonce"], "audience": ["sessiond"]}, ".tolerated_claims is set, must "
     "have beside it what id_tokens have not: required_scope, or an audience that is no "
     "client's id"),
    ({"tolerated_claims": ["nonce"], "audience_claim": "client_id"}, ".tolerated_claims is set, "
     "must have beside it what id_tokens have not: required_scope, or an audience that is no "
     "client's id"),
    ({"token_type_optional": True}, ".token_type_optional is set, must not be with jwt: "
     "introspection only"),
    ({"token_type_optional": True, "verify": "introspection"}, ".token_type_optional is set "
     "without required_scope: something else must tell access tokens from all others"),
    ({"role_names": [f"kdb-{n}" for n in range(17)]},
     ".role_names is longer, must be at most 16 patterns"),
    ({"typ": []}, '.typ is empty, must have one at least ("" stands for an absent one)'),
    ({"client_auth": "digest"}, ".client_auth is 'digest', must be basic, post, private_key_jwt "
     "or none"),
    ({"client_auth": "none", "client_secret_file": "/a"}, ".client_auth is none, must "
     "not be where client_secret_file is set"),
    ({"verify": "introspection", "client_id": ""}, ".client_id is empty, must not be with "
     "introspection (RFC 7662, 2.1)"),
    ({"verify": "introspection", "client_auth": "none"}, ".client_auth is none, must be another "
     "for introspection (RFC 7662, 2.1)"),
    ({"prove_by_refresh": True}, ".prove_by_refresh is set, must not be with jwt: userinfo only"),
    ({"issuer": "login.example.com"}, ".issuer is no https:// URL, must be a URL" + OF_A_URL),
    ({"issuer": "ftp://login.example.com"}, ".issuer is no https:// URL, must be a URL" + OF_A_URL),
    ({"issuer": "https://"}, ".issuer is no https:// URL, must be a URL" + OF_A_URL),
    ({"issuer": "https://[/"}, ".issuer is not a URL, must be one" + OF_A_URL),
    ({"issuer": "https://a:x/"}, ".issuer is not a URL, must be one" + OF_A_URL),
    ({"issuer": "https://a/?b"}, ".issuer must have neither query nor fragment"),
    ({"issuer": "https://a/#b"}, ".issuer carries a fragment, must be a URL" + OF_A_URL),
    ({"jwks_uri": "https://a/#"}, ".jwks_uri carries a fragment, must be a URL" + OF_A_URL),
    ({"jwks_uri": "https://a:0/"}, ".jwks_uri has no such port, must be a URL" + OF_A_URL),
    ({"jwks_uri": "https://a/ b"}, ".jwks_uri is no https:// URL, must be a URL" + OF_A_URL),
    ({"jwks_uri": "https://me:hunter2@a/"},
     ".jwks_uri carries a user or password, must be a URL" + OF_A_URL),
    ({"jwks_uri": "https://me:hünter2@a/"}, ".jwks_uri is wrong, must be printable ASCII, at most "
     "1024 characters"),
    ({"token_endpoint": "http://a.example/", "insecure_http": True}, ".token_endpoint is http://, "
     "which needs insecure_http and a loopback host, must be a URL" + OF_A_URL),
    ({"roles": {"kdb": ""}}, ".roles.kdb is '', must be printable ASCII without blanks at its "
     "ends, 1 to 1024 characters"),
    ({"roles": {"kdb": 1}}, ".roles.kdb is an integer, must be a string"),
    ({"default_roles": ["a\tb"]}, ".default_roles[1] is 'a\\tb', must be printable ASCII without "
     "blanks at its ends, 1 to 1024 characters"),
    ({"users": ["[b-a]"]}, ".users[1] matches no name, must match some"),
    ({"timeout": 0}, ".timeout is 0, must be above 0 and at most 600 seconds"),
    ({"lease": -1}, ".lease is -1, must be above 0 and at most 1e9 seconds"),
    ({"client_secret": "hunter2"}, ".client_secret is unknown; did you mean "
     "issuer[corp].client_secret_file?"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "problem"), OF_ISSUER, ids=[case[1] for case in OF_ISSUER])
def test_a_wrong_key_of_an_issuer_is_named_with_the_issuer(
    keys: dict[str, object], problem: str
) -> None:
    text = issuer(**{key: value for key, value in keys.items() if key != "roles"})
    for claim, role in dict(keys.get("roles", {})).items():  # type: ignore[call-overload]
        text += f"[issuer.roles]\n{claim} = {in_toml(role)}\n"

    assert problems(text) == [f"issuer[corp]{problem}"]


@pytest.mark.parametrize("tenant", ["common", "organizations", "Consumers"])
def test_entra_is_a_single_tenant(tenant: str) -> None:
    text = issuer(kind="entra", issuer=f"https://login.microsoftonline.com/{tenant}/v2.0")

    assert problems(text) == [
        f"issuer[corp].issuer is for many tenants ({tenant}), must name a single one by its id"
    ]


ENTRA: list[tuple[dict[str, object], str]] = [
    ({"issuer": "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0"},
     "issuer must name the tenant by its id, as tokens do: 8-4-4-4-12 hex digits"),
    ({"issuer": f"https://login.microsoftonline.com/{TENANT}/"},
     "issuer must be https://HOST/TENANT/v2.0 for kind entra"),
    ({"verify": "introspection"},
     "verify is introspection, must be jwt or userinfo for kind entra"),
    ({"verify": "userinfo", "prove_by_refresh": True},
     "refresh_scope is missing, must be there: without one, Entra answers "
     "prove_by_refresh with a token for "
     "Graph"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "problem"), ENTRA)
def test_what_entra_cannot_do_is_refused(keys: dict[str, object], problem: str) -> None:
    keys = {"issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0", **keys}

    assert problems(issuer(kind="entra", **keys)) == [f"issuer[corp].{problem}"]


def test_an_iss_belongs_to_one_issuer() -> None:
    first = issuer(users=["a"], also_issued_as=["https://bank.example/"])
    second = issuer(name="bank", issuer="https://bank.example/", users=["b"])

    assert problems(first + second) == [
        "issuer[bank].issuer: https://bank.example/ belongs to issuer[corp] already, "
        "must be another"
    ]


def test_the_version_1_issuer_that_entra_implies_is_claimed_too() -> None:
    first = issuer(
        kind="entra", issuer=f"https://login.microsoftonline.com/{TENANT}/v2.0", users=["a"]
    )
    second = issuer(name="old", issuer=f"https://sts.windows.net/{TENANT}/", users=["b"])

    assert problems(first + second) == [
        f"issuer[old].issuer: https://sts.windows.net/{TENANT}/ belongs to issuer[corp] already, "
        "must be another"
    ]


def test_issuers_have_names_of_their_own() -> None:
    second = issuer(issuer="https://bank.example/", users=["b"])

    assert problems(issuer(users=["a"]) + second) == [
        "issuer[corp].name is there twice, must be its own"
    ]


def test_several_issuers_must_each_say_who_comes_from_them() -> None:
    second = issuer(name="bank", issuer="https://bank.example/")

    assert problems(issuer(users=["a"]) + second) == [
        "issuer[bank].users is empty: with several issuers each must say which names come from it"
    ]


def test_two_issuers_never_claim_one_name() -> None:
    second = issuer(name="bank", issuer="https://bank.example/", users=["X-*", "ADMIN*"])

    assert problems(issuer(users=["*n"]) + second) == [
        f"issuer[bank].users: {one!r} and issuer[corp]'s '*n' can match the same name, must be "
        "told apart"
        for one in ("X-*", "ADMIN*")
    ]


GROUP = "aaaaaaaa-0000-4000-8000-000000000001"
ASKED: dict[str, object] = {
    "groups": "graph",
    "roles_claim": ["roles", "groups"],
    "client_id": TENANT,
}


def with_graph(*groups: str, **keys: object) -> str:
    """Return an Entra table whose groups Graph is asked for."""
    keys = {"issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0", **ASKED, **keys}
    roles = [f'"{each}" = "trader"' for each in groups or (GROUP,)]
    return "\n".join([issuer(**{"kind": "entra", **keys}), "[issuer.roles]", *roles, ""])


def test_groups_come_from_the_token_unless_it_is_said() -> None:
    assert entra().groups == "token"
    assert entra().graph_endpoint == ""
    assert problems(issuer(groups="gravity")) == [
        "issuer[corp].groups is 'gravity', must be token or graph"
    ]


@pytest.mark.parametrize(
    ("host", "graph"),
    [
        ("login.microsoftonline.com", "https://graph.microsoft.com"),
        ("login.microsoftonline.us", "https://graph.microsoft.us"),
        ("login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_graph_is_that_of_the_issuers_cloud_unless_it_is_said(host: str, graph: str) -> None:
    url = f"https://{host}/{TENANT}/v2.0"
    assert read(with_graph(issuer=url)).issuers[0].graph_endpoint == graph
    dod = "https://dod-graph.microsoft.us"
    assert read(with_graph(issuer=url, graph_endpoint=dod)).issuers[0].graph_endpoint == dod


def test_the_groups_that_graph_is_asked_for_are_the_object_ids_among_the_roles() -> None:
    table = read(with_graph(GROUP.upper(), "kdb.read", "Kdb Readers")).issuers[0]
    assert group_roles(table) == {GROUP: "trader"}


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"kind": "oidc"}, "groups is graph, must not be with kind oidc: entra only"),
        ({"verify": "userinfo"}, "groups is graph, must not be with verify userinfo: jwt only"),
        (
            {"roles_claim": ["roles"]},
            'roles_claim has no "groups", must have it with groups = "graph"',
        ),
        (
            {"subject_claim": "sub"},
            'subject_claim must be "oid" with groups = "graph", which asks by it',
        ),
        (
            {"client_id": "sessiond"},
            'client_id must be an application\'s id with groups = "graph": it asks',
        ),
        (
            {"client_auth": "none"},
            'client_auth is none, must be another with groups = "graph": it signs in',
        ),
        (
            {"issuer": f"https://login.corp.example/{TENANT}/v2.0"},
            "graph_endpoint is missing, must be Graph's URL, since it is not known here",
        ),
        (
            {"graph_endpoint": "http://graph.microsoft.com"},
            "graph_endpoint is http://, which needs insecure_http and a loopback host, must be a "
            f"URL{OF_A_URL}",
        ),
        (
            {"graph_endpoint": "https://graph.microsoft.com?v=1"},
            "graph_endpoint must have no query: what is asked is added to it",
        ),
        (
            {"groups": "token", "graph_endpoint": "https://graph.microsoft.com"},
            'graph_endpoint is set, must not be without groups = "graph"',
        ),
    ],
)
def test_what_keeps_graph_from_being_asked_is_said(keys: dict[str, object], problem: str) -> None:
    assert f"issuer[corp].{problem}" in problems(with_graph(**keys))


def test_graph_is_asked_for_some_groups_and_not_for_too_many_and_once_for_each() -> None:
    assert problems(with_graph("kdb.read")) == [
        "issuer[corp].roles has no group's object id, must have one where groups is graph"
    ]
    assert read(with_graph(roles_claim=["/groups"])).issuers[0].groups == "graph"
    most = [f"aaaaaaaa-0000-4000-8000-{number:012x}" for number in range(201)]
    assert read(with_graph(*most[1:])).issuers[0].groups == "graph"
    assert problems(with_graph(*most)) == [
        "issuer[corp].roles has 201 groups' object ids, must be at most 200 where groups is graph"
    ]
    assert problems(with_graph(GROUP, GROUP.upper())) == [
        "issuer[corp].roles has a group's object id twice, must have it once (case aside)"
    ]
