"""The keys of a `[[subscriber]]` table."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import pytest
from sessiond_audit import AuditLog, subscriber
from sessiond_audit.settings import AuditSettings

from sessiond.api import ConfigError, settings_of

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({}, "path"),
        ({"path": "audit.jsonl"}, "path"),
        ({"path": "/"}, "path"),
        ({"path": "/a/b", "fsync": "sometimes"}, "fsync"),
        ({"path": "/a/b", "interval": 0}, "interval"),
        ({"path": "/a/b", "max_size": -1}, "max_size"),
        ({"path": "/a/b", "max_age": "1d"}, "max_age"),
        ({"path": "/a/b", "keep": 1.5}, "keep"),
        ({"path": "/a/b", "batch": 0}, "batch"),
        ({"path": "/a/b", "mode": "0600"}, "mode"),
    ],
)
def test_a_bad_key_is_named(keys: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        subscriber(**keys)


def test_the_entry_point_makes_a_log_and_touches_nothing(path: Path) -> None:
    (point,) = entry_points(group="sessiond.subscribers", name="audit")
    made = point.load()(path=str(path), batch=7)
    assert isinstance(made, AuditLog)
    assert made.batch == 7
    assert not path.exists()


def test_the_readme_has_each_key_with_its_default() -> None:
    rows = dict(
        [cell.strip().strip("`") for cell in line.split("|")[1:3]]
        for line in README.read_text().splitlines()
        if line.startswith("| `")
    )
    settings = settings_of(AuditSettings, {"path": "/a/b"})
    assert rows.pop("path") == ""
    defaults = msgspec.to_builtins(settings)
    del defaults["path"]
    assert {key: tomllib.loads(f"it = {text}")["it"] for key, text in rows.items()} == defaults
