"""What is installed from the package index: one version each, with its hashes, none forgotten."""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.clients import install as clients
from tests.keycloak import install as keycloak

ROOT = Path(__file__).parents[2]
PINS = ROOT / ".ci/pins"
FILES = sorted(each.stem for each in PINS.glob("*.txt"))
_PIN = re.compile(
    r"^([a-z0-9-]+)==([^ ]+) (?:; [^\\]+)?\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


def pins(name: str) -> dict[str, str]:
    """Return the versions that a file pins, by name."""
    return {found[1]: found[2] for found in _PIN.finditer((PINS / f"{name}.txt").read_text())}


def project(file: Path = ROOT / "pyproject.toml") -> dict[str, Any]:
    return tomllib.loads(file.read_text())


def unmet(requirements: list[str], *files: str) -> list[str]:
    """Return the requirements that no pin of these files satisfies."""
    pinned = {name: version for file in files for name, version in pins(file).items()}
    return [
        str(each)
        for each in map(Requirement, requirements)
        if each.name != "sessiond"
        and not each.specifier.contains(pinned.get(canonicalize_name(each.name), "0"))
    ]


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_a_version_with_its_hashes_and_only_wheels_are_taken(name: str) -> None:
    text = (PINS / f"{name}.txt").read_text()
    rest = [line for line in _PIN.sub("", text).splitlines() if line and line[0] != "#"]
    assert rest == ([] if name == "ldap" else ["--only-binary :all:"])  # bonsai is compiled
    assert pins(name)


@pytest.mark.parametrize("name", FILES)
def test_a_package_has_one_version_in_all_files(name: str) -> None:
    others = {other: pins(other) for other in FILES if other not in (name, "tools")}
    for package, version in pins(name).items() if name != "tools" else ():
        assert {pinned.get(package, version) for pinned in others.values()} == {version}


def test_what_the_daemon_runs_with_is_pinned() -> None:
    assert unmet(project()["project"]["dependencies"], "run") == []


def test_what_it_is_built_and_tested_with_is_pinned() -> None:
    optional = project()["project"]["optional-dependencies"]
    assert unmet(optional["dev"] + optional["real"], "dev") == []
    assert unmet(optional["fuzz"], "fuzz") == []
    assert unmet(optional["web"], "web") == []


def test_what_asks_directories_is_pinned() -> None:
    extra = project(ROOT / "plugins/sessiond-ldap/pyproject.toml")["project"]
    assert unmet(extra["optional-dependencies"]["bonsai"], "ldap") == []


@pytest.mark.parametrize(
    "file",
    [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))],
    ids=lambda file: file.parent.name,
)
def test_what_this_tree_is_built_with_is_pinned_and_its_plugins_need_no_more(file: Path) -> None:
    read = project(file)
    is_for_people = file.parent.name == "sessiond-login"  # their machines have no daemon
    assert unmet(read["build-system"]["requires"], "build") == []
    assert unmet(read["build-system"]["requires"], "dev") == []
    assert unmet(read["project"]["dependencies"], "login" if is_for_people else "run") == []
    assert unmet(read["project"]["dependencies"], "dev") == []


def test_the_debian_package_has_what_each_program_in_it_needs() -> None:
    named = re.findall(r"\.ci/pins/(\w+)\.txt", (ROOT / "debian/venv").read_text())
    needed = [
        each
        for file in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml"))
        for each in project(file)["project"]["dependencies"]
    ]
    assert unmet(needed, *set(named) - {"build"}) == []


@pytest.mark.parametrize("folder", ["issuer", "clients"])
def test_npm_packages_are_pinned_with_their_hashes_too(folder: str) -> None:
    lock = json.loads((ROOT / f"tests/{folder}/package-lock.json").read_text())
    fetched = [package for place, package in lock["packages"].items() if place]
    assert fetched
    assert all(package["integrity"].startswith("sha512-") for package in fetched)


def test_keycloak_is_one_version_with_its_digest() -> None:
    version, digest = keycloak.pinned()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert re.fullmatch("[0-9a-f]{128}", digest)


def test_javakdb_is_one_version_with_its_digest() -> None:
    version, digest = clients.pinned()
    assert re.fullmatch(r"\d+\.\d+", version)
    assert re.fullmatch("[0-9a-f]{128}", digest)


def test_a_keycloak_that_is_not_what_was_pinned_is_not_kept(tmp_path: Path) -> None:
    served, kept = tmp_path / "served.zip", tmp_path / "kept.zip"
    served.write_bytes(b"not Keycloak")
    with pytest.raises(SystemExit, match="pinned is"):
        keycloak.fetch(served.as_uri(), keycloak.pinned()[1], kept)
    assert not kept.exists()
    keycloak.fetch(served.as_uri(), hashlib.sha512(b"not Keycloak").hexdigest(), kept)
    assert kept.read_bytes() == b"not Keycloak"
