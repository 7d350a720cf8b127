"""The tables for browsers: what is read of them, and what is refused because it could not work."""

import re
import tomllib

import msgspec
import pytest

from sessiond.config import WebClientConfig, WebConfig, read
from sessiond.config.web_checks import MAX_BASES, MAX_PARAMETERS
from tests.unit.config.test_config import EXAMPLE
from tests.unit.config.test_issuers import TENANT, in_toml, issuer, problems

BASE = "https://gateway1.corp.example:5007"
WEB = f'[web]\nbases = ["{BASE}"]\n'
CLIENT = '[issuer.web]\nclient_id = "kdb-web"\n'


def bases(*texts: str, more: str = "") -> str:
    return f"{issuer()}{CLIENT}[web]\nbases = {in_toml(texts)}\n{more}"


def test_the_tables_are_read() -> None:
    client = f"""{CLIENT}client_secret_file = "/etc/sessiond/web"
scope = "openid"
[issuer.web.parameters]
audience = "api://kdb"
prompt = "select_account"
"""
    config = read(f"{issuer()}{client}{WEB}session = 600\nidle = 60\n")
    assert config.web == WebConfig(bases=(BASE,), session=600.0, idle=60.0)
    assert config.issuers[0].web == WebClientConfig(
        client_id="kdb-web",
        client_secret_file="/etc/sessiond/web",
        scope="openid",
        parameters={"audience": "api://kdb", "prompt": "select_account"},
    )


def test_a_session_may_be_shorter_than_the_usual_idle_time() -> None:
    assert read(f"{issuer()}{CLIENT}{WEB}session = 60\n").web.session == 60.0


def test_without_the_tables_nobody_signs_in_by_the_browser_and_bearers_last_as_usual() -> None:
    config = read(issuer())
    assert config.issuers[0].web is None
    assert config.web == WebConfig(bases=(), session=28800.0, idle=3600.0)


def test_what_a_client_leaves_out_is_as_published() -> None:
    (client,) = (each.web for each in read(issuer() + CLIENT + WEB).issuers)
    assert client == WebClientConfig(
        client_id="kdb-web",
        client_secret_file="",
        scope="openid profile session.login",
        parameters={},
    )


def test_bases_are_kept_as_browsers_write_them() -> None:
    assert read(bases("HTTPS://Gateway1:443")).web.bases == ("https://gateway1",)


def test_the_example_has_every_key_of_a_client_with_its_default() -> None:
    lines = EXAMPLE.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("# [issuer.web]"))
    block = lines[start + 1 : lines.index("", start)]
    assert [line for line in block if not re.search(r" # \S.{5,}", line)] == []
    table = tomllib.loads("\n".join(line.removeprefix("# ") for line in block))
    fields = msgspec.structs.fields(WebClientConfig)
    assert list(table) == [field.name for field in fields]
    read_back = msgspec.convert(table, WebClientConfig)
    assert read_back == WebClientConfig(client_id="kdb-web")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[issuer.web]\n", "issuer[corp].web.client_id is missing, must be the client that "),
        ('[issuer.web]\nclient_id = ""\n', "issuer[corp].web.client_id is '', must be printable"),
        (f"{CLIENT}clientid = 1\n", "issuer[corp].web.clientid is unknown; did you mean "),
        (f"{CLIENT}bases = []\n", "issuer[corp].web.bases is unknown; did you mean web.bases?"),
        (f'{CLIENT}client_secret_file = "secret"\n', "issuer[corp].web.client_secret_file is "),
        (f'{CLIENT}scope = ""\n', "issuer[corp].web.scope is '', must be scopes with one blank "),
        (f'{CLIENT}scope = "a  b"\n', "issuer[corp].web.scope is 'a  b', must be scopes with "),
        (f"{CLIENT}scope = 'a\"'\n", "issuer[corp].web.scope is 'a\"', must be scopes with "),
        (f"{CLIENT}parameters = 1\n", "issuer[corp].web.parameters is an integer, must be a "),
        (f'{CLIENT}parameters = {{ "a b" = "c" }}\n', "a key of issuer[corp].web.parameters is "),
        (f"{CLIENT}parameters = {{ a = 1 }}\n", "issuer[corp].web.parameters.a is an integer, "),
        (f'{CLIENT}parameters = {{ a = "" }}\n', "issuer[corp].web.parameters.a is '', must be "),
    ],
)
def test_a_client_that_is_wrong_is_told_by_its_key(text: str, message: str) -> None:
    (problem,) = problems(issuer() + text + WEB)
    assert problem.startswith(message)


@pytest.mark.parametrize("value", ['"kdb-web"', "[]", "[{}]"])
def test_a_client_is_a_table(value: str) -> None:
    (problem,) = problems(f"{issuer()}web = {value}\n{WEB}")
    assert problem.endswith("must be a table: [issuer.web]")
    assert problem.startswith("issuer[corp].web is ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base = []\n", "web.base is unknown; did you mean web.bases?"),
        ('bases = "https://a"\n', "web.bases is a string, must be an array"),
        ("bases = [1]\n", "web.bases[1] is an integer, must be a string"),
        ('bases = [""]\n', "web.bases[1] is '', must be printable ASCII without blanks at its "),
        ("session = 0\n", "web.session is 0, must be above 0 and at most 1e9 seconds"),
        ("idle = -1\n", "web.idle is -1, must be above 0 and at most 1e9 seconds"),
    ],
)
def test_a_table_that_is_wrong_is_told_by_its_key(text: str, message: str) -> None:
    (problem,) = problems(f"{issuer()}[web]\n{text}")
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("base", "fault"),
    [
        ("https://gateway1:5007/", "ends with a slash"),
        ("https://gateway1:5007/q", "has more than an origin: a path, query or fragment"),
        ("http://gateway1:5007", "is http://, which is for a loopback host alone"),
        ("https://ann:word@gateway1", "carries a user or password"),
        ("gateway1:5007", "is no https:// URL"),
    ],
)
def test_a_base_is_an_origin_and_its_fault_is_told_without_it(base: str, fault: str) -> None:
    (problem,) = problems(bases(BASE, base))
    assert problem == f"web.bases[2] {fault}, must be an origin alone: https://HOST:PORT"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BASE, BASE),
        (BASE, BASE.upper()),
        ("https://gateway1", "https://gateway1:443"),
        ("http://localhost:5007", "https://localhost:5007"),
        ("http://localhost", "https://localhost"),
        ("http://localhost:443", "https://localhost"),
        ("http://[::1]:5007", "https://[0::1]:5007"),
    ],
)
def test_two_bases_of_one_authority_are_refused(one: str, other: str) -> None:
    (problem,) = problems(bases("https://another", one, other))
    assert problem == (
        "web.bases[3] has the authority of web.bases[2], must be another: requests are told apart "
        "by their Host"
    )


def test_ports_and_hosts_tell_bases_apart() -> None:
    apart = ("https://gateway1", "https://gateway1:5007", "https://gateway2", "http://localhost:80")
    assert len(read(bases(*apart)).web.bases) == 4


def test_bases_are_bounded() -> None:
    many = [f"https://gateway{number}" for number in range(MAX_BASES + 1)]
    assert len(read(bases(*many[:-1])).web.bases) == MAX_BASES
    assert problems(bases(*many)) == ["web.bases has 1001 values, must have at most 1000"]


def test_a_client_without_bases_is_refused() -> None:
    for text in (issuer() + CLIENT, issuer() + CLIENT + "[web]\n"):
        assert problems(text) == [
            "issuer[corp].web is set without web.bases, must have beside it the origins that q "
            "answers at"
        ]


def test_nobody_signs_in_at_a_plugin() -> None:
    plugged = issuer(verify="plugin", plugin="paseto", audience=None)
    assert problems(plugged + CLIENT + WEB) == [
        "issuer[corp].web is set, must not be with verify plugin: nobody signs in at one"
    ]


@pytest.mark.parametrize(
    "name",
    ["state", "redirect_uri", "Response_Mode", "code_challenge", "request", "max_age", "scope"],
)
def test_what_the_flow_sets_itself_is_nobody_elses_to_set(name: str) -> None:
    text = f'{CLIENT}parameters = {{ {name} = "x" }}\n'
    assert problems(issuer() + text + WEB) == [
        f"issuer[corp].web.parameters.{name} is set, must not be: sessiond sets or needs it itself"
    ]


def test_parameters_are_bounded() -> None:
    many = ", ".join(f'p{number} = "x"' for number in range(MAX_PARAMETERS + 1))
    assert problems(f"{issuer()}{CLIENT}parameters = {{ {many} }}\n{WEB}") == [
        "issuer[corp].web.parameters has 17, must have at most 16"
    ]


def test_an_audience_that_id_tokens_of_browsers_have_tells_no_access_tokens_apart() -> None:
    lax = {"tolerated_claims": ["nonce"], "audience": ["kdb-web"]}
    assert read(issuer(**lax)).issuers[0].web is None
    (problem,) = problems(issuer(**lax) + CLIENT + WEB)
    assert "tolerated_claims is set, must have beside it what id_tokens have not" in problem


def test_entra_is_asked_for_the_api_since_it_would_give_a_token_for_graph() -> None:
    microsofts = f"https://login.microsoftonline.com/{TENANT}/v2.0"

    def entra(scope: str, **keys: object) -> str:
        table = issuer(kind="entra", issuer=microsofts, **keys)
        return f'{table}{CLIENT}scope = "openid {scope}"\n{WEB}'

    assert problems(entra("session.login")) == [
        "issuer[corp].web.scope names no API, must have a scope of it, such as "
        '"api://ID/session.login": else Entra gives a token for Graph'
    ]
    assert read(entra("api://kdb/session.login")).web.bases
    assert read(entra("User.Read", verify="userinfo")).web.bases  # which that token is for


def test_another_host_may_play_entra_with_scopes_that_are_not_spelt_out() -> None:
    played = issuer(kind="entra", issuer=f"https://localhost:9443/{TENANT}/v2.0")
    assert read(played + CLIENT + WEB).issuers[0].web is not None
