"""The keys of a `[[subscriber]]` table."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import pytest
from sessiond_kdb import Publisher, subscriber
from sessiond_kdb.settings import KdbSettings

from sessiond.api import ConfigError, settings_of

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({}, "port"),
        ({"port": 5010, "unix": 5010}, "port"),
        ({"port": 70000}, "port"),
        ({"port": "5010"}, "port"),
        ({"port": 5010, "hots": "tp1"}, "hots"),
        ({"port": 5010, "host": ""}, "host"),
        ({"port": 5010, "user": "a:b"}, "user"),
        ({"port": 5010, "table": "x;exit 1"}, "table"),
        ({"port": 5010, "time": "date"}, "time"),
        ({"port": 5010, "timeout": 0}, "timeout"),
        ({"port": 5010, "batch": 0}, "batch"),
        ({"port": 5010, "password_file": "password"}, "password_file"),
    ],
)
def test_a_bad_key_is_named(keys: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        subscriber(**keys)


def test_the_entry_point_makes_a_publisher_of_the_configured_batch() -> None:
    (point,) = entry_points(group="sessiond.subscribers", name="kdb")
    made = point.load()(port=5010, batch=7)
    assert isinstance(made, Publisher)
    assert made.batch == 7


def test_the_readme_has_each_key_with_its_default() -> None:
    rows = dict(
        [cell.strip().strip("`") for cell in line.split("|")[1:3]]
        for line in README.read_text().splitlines()
        if line.startswith("| `")
    )
    settings = settings_of(KdbSettings, {"port": 5010})
    defaults = {**msgspec.to_builtins(settings), "port": 0}
    assert {key: tomllib.loads(f"it = {text}")["it"] for key, text in rows.items()} == defaults
