"""The tables of tokens for others: what is read, and what is refused as it could never work."""

import re
import tomllib
from typing import Any

import msgspec
import pytest

from sessiond.config import SourceConfig, read
from sessiond.config.source_checks import MAX_NAMES, MAX_SOURCES, problems_of_sources
from tests.unit.config.test_config import EXAMPLE
from tests.unit.config.test_issuers import TENANT, in_toml, issuer, problems

GUARD = '[[access.process]]\nname = "feed*"\npeers = ["root"]\n'
URL = "https://sts.example.com/token"


def source(**keys: Any) -> str:
    table = {"name": "quotes", "issuer": "corp", "client_id": "feeds", **keys}
    lines = [f"{key} = {in_toml(value)}" for key, value in table.items() if value is not None]
    return "\n".join(["[[source]]", *lines, ""])


def test_a_table_is_read() -> None:
    text = source(
        grant="refresh_token",
        client_auth="post",
        client_secret_file="/etc/sessiond/feeds",
        refresh_token_file="/etc/sessiond/seed",
        scope="quotes.read offline_access",
        resource="https://quotes.example.com/",
        audience="quotes",
        min_validity=30,
        processes=["feed*"],
        readers=["app", "@apps", 1000],
    )
    assert read(issuer() + text + GUARD).sources == (
        SourceConfig(
            name="quotes",
            issuer="corp",
            grant="refresh_token",
            client_id="feeds",
            client_auth="post",
            client_secret_file="/etc/sessiond/feeds",
            refresh_token_file="/etc/sessiond/seed",
            scope="quotes.read offline_access",
            resource="https://quotes.example.com/",
            audience="quotes",
            min_validity=30.0,
            processes=("feed*",),
            readers=("app", "@apps", 1000),
        ),
    )


def test_a_table_may_stand_alone_with_its_own_endpoint() -> None:
    text = source(issuer=None, token_endpoint=URL, ca_file="/etc/ssl/own.pem")
    (found,) = read(issuer() + text).sources
    assert (found.token_endpoint, found.ca_file) == (URL, "/etc/ssl/own.pem")
    local = source(issuer=None, token_endpoint="http://127.0.0.1:1/token", insecure_http=True)
    assert read(issuer() + local).sources[0].insecure_http


def test_without_a_table_there_is_no_source() -> None:
    assert read(issuer()).sources == ()


def test_the_example_has_every_key_with_its_default() -> None:
    lines = EXAMPLE.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("# [[source]]"))
    block = lines[start : lines.index("", start)]
    assert [line for line in block if not re.search(r" # \S.{5,}", line)] == []
    (table,) = tomllib.loads("\n".join(line.removeprefix("# ") for line in block))["source"]
    assert list(table) == [field.name for field in msgspec.structs.fields(SourceConfig)]
    named = SourceConfig(name="market-data", issuer="corp", client_id="kdb-feeds")
    assert msgspec.convert(table, SourceConfig) == named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[source]\n", "source is a table, must be an array of tables: [[source]]"),
        (source(name=None), "source[#1].name is missing, must be what those who ask for its "),
        (source(client_id=None), "source[quotes].client_id is missing, must be the client that "),
        (source(name="a b"), "source[a b].name is 'a b', must be 1 to 64 letters, digits"),
        (source(grant="implicit"), "source[quotes].grant is 'implicit', must be client_credentia"),
        (source(min_validity=-1), "source[quotes].min_validity is -1, must be between 0 and 1e9"),
        (source(scope="a  b"), "source[quotes].scope is 'a  b', must be scopes with one blank"),
        (source(refresh=1), "source[quotes].refresh is unknown"),
        (source() + source(), "source[quotes].name is there twice, must be its own"),
        (
            source(grant="refresh_token", refresh_token_file="/r")
            + source(name="other", grant="refresh_token", refresh_token_file="/r"),
            "source[other].refresh_token_file is that of source[quotes], must be its own: a ref",
        ),
        (source(issuer=None), "source[quotes].issuer is missing, must be an issuer's name; or els"),
        (source(issuer="crop"), "source[quotes].issuer is 'crop', must be an issuer's name"),
        (source(token_endpoint=URL), "source[quotes].token_endpoint is set beside issuer, must no"),
        (
            source(issuer=None, token_endpoint="http://sts.example.com/"),
            "source[quotes].token_endpoint is http://, which needs insecure_http and a loopback",
        ),
        (source(ca_file="/a"), "source[quotes].ca_file is set, must not be beside issuer: the is"),
        (source(insecure_http=True), "source[quotes].insecure_http is set, must not be beside is"),
        (
            source(refresh_token_file="/a"),
            "source[quotes].refresh_token_file is set, must not be with grant client_credentials: "
            "refresh_token only",
        ),
        (source(username="a"), "source[quotes].username is set, must not be with grant client_cr"),
        (source(password_file="/a"), "source[quotes].password_file is set, must not be with grant"),
        (source(grant="password"), "source[quotes].username is missing, must be who signs in wit"),
        (
            source(client_auth="none", client_secret_file="/a", grant="refresh_token"),
            "source[quotes].client_auth is none, must not be where client_secret_file is set",
        ),
        (source(client_auth="none"), "source[quotes].client_auth is none, must be another for gra"),
        (
            source(client_auth="none", grant="on_behalf_of"),
            "source[quotes].client_auth is none, must be another for grant on_behalf_of",
        ),
        (source(resource="https://a/#b"), "source[quotes].resource must be a URI without fragment"),
        (
            source(issuer=None, token_endpoint=URL, grant="on_behalf_of"),
            "source[quotes].issuer is missing, must be there with grant on_behalf_of: users' toke",
        ),
        (
            source(issuer=None, token_endpoint=URL, grant="refresh_token"),
            "source[quotes].refresh_token_file is missing, must be the first refresh token's wher",
        ),
        (
            source(grant="on_behalf_of", readers=["app"]),
            "source[quotes].readers is set, must not be with grant on_behalf_of: nobody there has",
        ),
        (source(processes=["[z-a]"]), "source[quotes].processes: '[z-a]' matches nothing, must m"),
        (source(processes=["gw*"]), "source[quotes].processes[1] is 'gw*', some of whose names no"),
        (source(readers=["a"] * (MAX_NAMES + 1)), "source[quotes].readers has 1001 values, must h"),
    ],
)
def test_a_wrong_table_is_named(text: str, message: str) -> None:
    found = problems(issuer() + text)
    assert any(line.startswith(message) for line in found), found


def test_very_many_tables_are_refused_before_they_are_looked_at() -> None:
    one = SourceConfig(name="quotes", client_id="feeds")
    config = read(issuer())
    found = [*problems_of_sources([one] * (MAX_SOURCES + 1), config.issuers, config.access)]
    assert found == ["source has 1001 tables, must have at most 1000"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "source[quotes].scope is missing, must be there at Entra: an API's, or API/.default"),
        ({"scope": "User.Read"}, "source[quotes].scope must be API/.default with grant client_cr"),
        ({"resource": "urn:a"}, "source[quotes].resource is set, must not be at Entra, where sco"),
        ({"audience": "a"}, "source[quotes].audience is set, must not be at Entra, where scope s"),
    ],
)
def test_what_entra_refuses_is_refused_here(keys: dict[str, str], message: str) -> None:
    entra = issuer(kind="entra", issuer=f"https://login.microsoftonline.com/{TENANT}/v2.0")
    assert any(line.startswith(message) for line in problems(entra + source(**keys)))


def test_a_plugins_issuer_has_tokens_only_at_an_endpoint() -> None:
    plugin = issuer(verify="plugin", plugin="own", issuer="anything", audience=None)
    assert problems(plugin + source()) == [
        "source[quotes].issuer is 'corp', a plugin's without token_endpoint, must be one that has "
        "tokens"
    ]
