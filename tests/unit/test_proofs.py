"""The documents name the tests that prove their promises; each of them is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(test_\w+)`")
NAMED_JAVA = re.compile(r"`(\w+(?:Test|IT)\.\w+)`")
FILE = re.compile(r"(?<![\w/.-])[\w.-]+(?:/[\w.-]+)*\.(?:py|q)\b")


@pytest.fixture(scope="module")
def written() -> set[str]:
    """Every test of the project."""
    files = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/**/test_*.py")]
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}


@pytest.fixture(scope="module")
def written_in_java() -> set[str]:
    """Every test of the project's Java, under its class."""
    files = ROOT.glob("plugins/**/src/test/**/*.java")
    return {
        f"{file.stem}.{name}"
        for file in files
        for name in re.findall(r"^ +void (\w+)", file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("document", ["docs/security.md", "docs/issuer-faults.md"])
def test_every_test_that_a_document_names_is_there(document: str, written: set[str]) -> None:
    named = set(NAMED.findall((ROOT / document).read_text()))
    assert len(named) > 10
    assert named - written == set()


def test_every_java_test_that_a_document_names_is_there(written_in_java: set[str]) -> None:
    named = set(NAMED_JAVA.findall((ROOT / "docs/security.md").read_text()))
    assert len(named) > 5
    assert named - written_in_java == set()


@pytest.mark.parametrize("document", ["docs/security.md", "docs/issuer-faults.md"])
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    named = set(FILE.findall((ROOT / document).read_text()))
    inside = [each for name in ("tests", "plugins") for each in (ROOT / name).iterdir()]
    bases = [ROOT, ROOT / "sessiond", ROOT / "tests", ROOT / "plugins", *inside]
    assert named
    assert {each for each in named if not any((base / each).exists() for base in bases)} == set()
