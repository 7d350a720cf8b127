"""The map at the door is true: what it names is there, and no room is left out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ("docs/design.md", "CONTRIBUTING.md")
QUOTED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
TARGET = re.compile(r"make ([a-z-]+)")
LINK = re.compile(r"\]\(([^)#:]+)\)")
DEFINED = re.compile(r"`(\w+)`\s+in\s+`([\w/.]+\.py)`")
LOGIN = ROOT / "plugins/sessiond-login"
BASES = (ROOT, ROOT / "sessiond", ROOT / "docs", LOGIN, LOGIN / "sessiond_login")


def prose(document: str) -> str:
    return re.sub(r"(?s)```.*?```", "", (ROOT / document).read_text())


def paths(document: str) -> Iterator[str]:
    """Yield what is quoted and looks like a file or a folder."""
    for quoted in QUOTED.findall(prose(document)):
        for word in quoted.split():
            is_file = word.endswith((".py", ".md", ".q", ".toml", ".5", "/")) or "/" in word
            if is_file and PATH.fullmatch(word.rstrip(",")):
                yield word.rstrip(",")


@pytest.mark.parametrize("document", MAP)
def test_every_file_that_it_names_is_there(document: str) -> None:
    named = set(paths(document))
    assert len(named) > 10
    made = {".venv/bin/python"}  # by make
    missing = {each for each in named - made if not any((base / each).exists() for base in BASES)}
    assert missing == set()


@pytest.mark.parametrize("document", MAP)
def test_every_link_leads_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    links = LINK.findall(prose(document))
    assert links
    assert [link for link in links if not (folder / link).exists()] == []


def test_every_target_of_the_makefile_is_explained_and_no_other() -> None:
    (listed,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(TARGET.findall(" ".join(QUOTED.findall(prose("CONTRIBUTING.md")))))
    assert named == set(listed.split()) - {"clean"}


def test_every_room_is_on_the_map() -> None:
    rooms = {
        each.name
        for each in (ROOT / "sessiond").iterdir()
        if not each.name.startswith("_")
        and (each.suffix == ".py" or (each / "__init__.py").exists())
    }
    named = {each.removeprefix("sessiond/").strip("/") for each in paths("docs/design.md")}
    assert rooms - named == set()


def test_every_room_of_sessiond_login_and_of_the_tests_is_on_the_map() -> None:
    named = {each.strip("/") for each in paths("docs/design.md")}
    for folder in (LOGIN / "sessiond_login", ROOT / "tests"):
        rooms = {
            f"{folder.name}/{each.name}"
            for each in folder.iterdir()
            if each.is_dir() and not each.name.startswith("_")
        }
        assert rooms - named == set()


@pytest.mark.parametrize("document", MAP)
def test_what_a_file_is_said_to_define_is_in_it(document: str) -> None:
    for name, file in DEFINED.findall(prose(document)):
        (found,) = [base / file for base in BASES if (base / file).exists()]
        assert re.search(
            rf"^\s*(class|(async )?def|[A-Z_]+ =).*\b{name}\b", found.read_text(), re.MULTILINE
        ), name
