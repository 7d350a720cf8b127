"""The documents name the tests that prove their promises; each of them is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(test_\w+)`")


@pytest.fixture(scope="module")
def written() -> set[str]:
    """Every test of the project."""
    files = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/test_*.py")]
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}


@pytest.mark.parametrize("document", ["docs/security.md", "docs/issuer-faults.md"])
def test_every_test_that_a_document_names_is_there(document: str, written: set[str]) -> None:
    named = set(NAMED.findall((ROOT / document).read_text()))
    assert len(named) > 10
    assert named - written == set()
