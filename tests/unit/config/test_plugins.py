"""What the configuration says of verifier plugins and role sources."""

import tomllib

import msgspec
import pytest

from sessiond.config import RoleSourceConfig, read
from tests.unit.config.test_config import EXAMPLE
from tests.unit.config.test_issuers import issuer, problems

PLUGGED = issuer(verify="plugin", plugin="paseto", issuer="paseto corp", audience=None)
SOURCE = '[[role_source]]\nplugin = "csv-roles"\n'


def test_a_plugins_settings_are_its_own() -> None:
    text = PLUGGED + '[issuer.settings]\nkey_file = "/k"\nlimits = [1, 2.5]\nsince = 2026-03-02\n'
    config = read(text).issuers[0]
    assert (config.verify, config.plugin) == ("plugin", "paseto")
    assert config.settings.keys() == {"key_file", "limits", "since"}


def test_a_plugins_issuer_may_be_called_anything_where_nothing_is_discovered() -> None:
    assert read(PLUGGED).issuers[0].issuer == "paseto corp"
    refreshed = issuer(
        verify="plugin",
        plugin="paseto",
        issuer="paseto?corp",
        token_endpoint="https://login.example.com/token",
    )
    assert problems(refreshed) == [
        (
            "issuer[corp].issuer is no https:// URL, must be a URL: https:// with a host, and "
            "neither user nor fragment"
        ),
        "issuer[corp].issuer must have neither query nor fragment",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            issuer(verify="plugin"),
            "issuer[corp].plugin is missing, must name a sessiond.verifiers entry point",
        ),
        (
            issuer(plugin="paseto"),
            "issuer[corp].plugin is set, must not be with verify jwt: plugin only",
        ),
        (
            issuer() + "[issuer.settings]\na = 1\n",
            "issuer[corp].settings is set, must not be with verify jwt: plugin only",
        ),
        (issuer(settings=5), "issuer[corp].settings is an integer, must be a table"),
        (
            issuer(
                kind="entra",
                verify="plugin",
                plugin="paseto",
                issuer="https://localhost/contoso/v2.0",
            ),
            "issuer[corp].verify is plugin, must be jwt or userinfo for kind entra",
        ),
    ],
)
def test_what_does_not_go_with_a_plugin_is_named(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_a_role_source_is_called_as_its_plugin_unless_it_has_a_name() -> None:
    text = f'{issuer()}{SOURCE}path = "/a"\n{SOURCE}name = "more"\ncache = 0\nissuers = ["corp"]\n'
    assert read(text).role_sources == (
        RoleSourceConfig(plugin="csv-roles", name="csv-roles", settings={"path": "/a"}),
        RoleSourceConfig(plugin="csv-roles", name="more", cache=0.0, issuers=("corp",)),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[[role_source]]\n",
            (
                "role_source[#1].plugin is missing, must be the name of a sessiond.role_sources "
                "entry point"
            ),
        ),
        (
            f"{SOURCE}deadline = 0\n",
            "role_source[csv-roles].deadline is 0, must be above 0 and at most 600 seconds",
        ),
        (
            f"{SOURCE}cache = -1\n",
            "role_source[csv-roles].cache is -1, must be between 0 and 1e9 seconds",
        ),
        (
            f'{SOURCE}name = "a b"\n',
            "role_source[a b].name is 'a b', must be 1 to 64 letters, digits, dots, underscores "
            "or hyphens",
        ),
        (
            f'{SOURCE}issuers = ["crop"]\n',
            "role_source[csv-roles].issuers[1] is 'crop', must be an issuer's name",
        ),
        (SOURCE + SOURCE, "role_source[csv-roles].name is there twice, must be its own"),
        (
            '[role_source]\nplugin = "a"\n',
            "role_source is a table, must be an array of tables: [[role_source]]",
        ),
    ],
)
def test_a_wrong_role_source_is_named(text: str, problem: str) -> None:
    assert problems(issuer() + text) == [problem]


def test_the_example_file_shows_every_key_of_a_role_source_with_its_default() -> None:
    lines = EXAMPLE.read_text().splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("# [[role_source]]"))
    shown = []
    for line in lines[begin:]:
        if not line.startswith("# "):
            break
        shown.append(line.removeprefix("# "))
    (table,) = tomllib.loads("\n".join(shown))["role_source"]
    fields = [each for each in msgspec.structs.fields(RoleSourceConfig) if each.name != "settings"]
    assert list(table)[: len(fields)] == [each.name for each in fields]
    for each in fields:
        if each.name not in ("plugin", "name"):
            default = each.default_factory() if each.default is msgspec.NODEFAULT else each.default
            assert table[each.name] == msgspec.json.decode(msgspec.json.encode(default))
