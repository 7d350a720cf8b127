"""The file that is written: a good configuration, each key with its reason, as the guides say."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from sessiond import config as configuration
from sessiond.init.document import WIDTH, document
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


def test_for_entra_it_is_the_table_that_the_guide_has() -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    blocks = re.findall(r"^```toml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (shown,) = (tomllib.loads(block) for block in blocks if 'kind = "entra"' in block)
    assert tomllib.loads(document(ANSWERS["entra"]))["issuer"] == shown["issuer"]


@pytest.mark.parametrize("name", ["keycloak", "okta"])
def test_for_others_it_differs_from_the_guides_table_only_in_what_is_asked(name: str) -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    blocks = re.findall(r"^```toml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (shown,) = (
        table
        for block in blocks
        for table in tomllib.loads(block).get("issuer", [])
        if table["name"] == name
    )
    (made,) = tomllib.loads(document(ANSWERS[name]))["issuer"]
    assert set(shown["typ"]) <= set(made["typ"])
    asked = {"typ": 0, "refresh_client_id": 0}
    assert made | asked == shown | asked


def test_what_would_end_a_text_does_not() -> None:
    hostile = document(replace(ANSWERS["corp"], program='a"\nb = "c'))
    assert tomllib.loads(hostile)["issuer"][0]["refresh_client_id"] == 'a"\nb = "c'
