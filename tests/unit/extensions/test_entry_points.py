"""Plugins are found by name, and only the one that is named is imported."""

from importlib.metadata import EntryPoint

import pytest

from sessiond.core.errors import ConfigError
from sessiond.extensions import entry_points
from sessiond.extensions.entry_points import SUBSCRIBERS, installed, load, named


@pytest.fixture(autouse=True)
def _two_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        SUBSCRIBERS: [
            EntryPoint("good", "collections:OrderedDict", SUBSCRIBERS),
            EntryPoint("bad", "no_such_module:thing", SUBSCRIBERS),
        ]
    }
    monkeypatch.setattr(entry_points, "entry_points", lambda *, group: found.get(group, []))


def test_what_is_installed_is_known_by_its_names() -> None:
    assert installed(SUBSCRIBERS).keys() == {"good", "bad"}
    assert installed(entry_points.VERIFIERS) == {}


def test_a_plugin_is_loaded_by_its_name() -> None:
    assert load(SUBSCRIBERS, "good").__name__ == "OrderedDict"


def test_one_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"'gone' in sessiond\.subscribers.*installed, bad, good"):
        named(SUBSCRIBERS, "gone")
    with pytest.raises(ConfigError, match="installed, none"):
        load(entry_points.ROLE_SOURCES, "gone")


def test_one_that_cannot_be_imported_says_why() -> None:
    assert named(SUBSCRIBERS, "bad").value == "no_such_module:thing"  # nothing is imported
    with pytest.raises(ConfigError, match="cannot be imported: ModuleNotFoundError"):
        load(SUBSCRIBERS, "bad")
