"""The file that is written: a good configuration, each key with its reason, as the guides say."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from sessiond import config as configuration
from sessiond.core.errors import ConfigError
from sessiond.init.document import document
from sessiond.init.written import WIDTH
from tests.unit.init.answered import ANSWERS

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "config.example.toml").read_text()


@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_letter_by_letter_what_is_kept_here(name: str) -> None:
    assert document(ANSWERS[name]) == (GOLDEN / f"{name}.toml").read_text()


@pytest.mark.parametrize("name", ANSWERS)
def test_check_config_takes_it(name: str) -> None:
    (issuer,) = configuration.read(document(ANSWERS[name])).issuers
    assert (issuer.name, issuer.issuer) == (ANSWERS[name].name, ANSWERS[name].issuer)


@pytest.mark.parametrize("name", ANSWERS)
def test_each_key_has_its_reason_before_it_in_80_columns(name: str) -> None:
    lines = document(ANSWERS[name]).splitlines()
    keys = [number for number, line in enumerate(lines) if " = " in line and line[0] != "#"]
    assert len(keys) > 5
    assert all(lines[number - 1].startswith("# ") for number in keys)
    assert all(len(line) <= WIDTH for line in lines if line.startswith("#"))


@pytest.mark.parametrize("name", ANSWERS)
def test_every_key_is_one_of_the_reference(name: str) -> None:
    for key in re.findall(r"^(\w+) = ", document(ANSWERS[name]), re.MULTILINE):
        assert re.search(rf"^{key} ", REFERENCE, re.MULTILINE)


def shown(name: str) -> dict[str, object]:
    """Return the guides' table for a vendor."""
    texts = [each.read_text() for each in sorted((ROOT / "docs").glob("*.md"))]
    blocks = (each for text in texts for each in re.findall(r"(?ms)^```toml\n(.*?)^```$", text))
    (found,) = (
        table
        for block in blocks
        for table in tomllib.loads(block).get("issuer", [])
        if table["name"] == name
    )
    return dict(found)


@pytest.mark.parametrize("name", ["entra", "keycloak", "okta", "auth0"])
def test_it_is_the_table_that_the_guide_has_but_for_what_is_asked(name: str) -> None:
    (made,) = tomllib.loads(document(ANSWERS[name]))["issuer"]
    table = shown(name)
    # Both of Keycloak's, since only who has clicked through its console knows which it is.
    assert set(table.get("typ", [])) <= set(made.get("typ", []))  # type: ignore[call-overload]
    asked = {"typ": 0, "refresh_client_id": 0}
    assert made | asked == table | asked


def test_what_would_end_a_text_does_not() -> None:
    hostile = document(replace(ANSWERS["corp"], program='a"\nb = "c'))
    assert tomllib.loads(hostile)["issuer"][0]["refresh_client_id"] == 'a"\nb = "c'


@pytest.mark.parametrize(
    "text",
    [
        'a"\n[store]\npath = "/x',
        "back\\slash",
        "\x7f\x1b[2J\x00\u202e",
        "\N{FIRE} \N{CJK UNIFIED IDEOGRAPH-20000}",
        "ž\u2028",
    ],
)
def test_whatever_is_answered_stays_one_text(text: str) -> None:
    answers = replace(
        ANSWERS["okta"], audience=(text,), program=text, scope=text, roles={text: "reader"}
    )
    (issuer,) = tomllib.loads(document(answers))["issuer"]
    assert issuer["audience"] == [text]
    assert issuer["refresh_client_id"] == issuer["required_scope"] == text
    assert issuer["roles"] == {text: "reader"}


def test_an_option_that_is_no_text_is_said_to_be_none() -> None:
    answers = replace(ANSWERS["okta"], program="a\udcff")
    with pytest.raises(ConfigError, match=r"a\\udcff is an answer, wanted UTF-8"):
        document(answers)
