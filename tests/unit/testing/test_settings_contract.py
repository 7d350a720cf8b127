"""Settings that are refused as they should be pass, and others are found."""

from typing import Any

import pytest
from msgspec import Struct

from sessiond.api import ConfigError, Event, settings_of
from sessiond.testing import check_settings


class Settings(Struct, frozen=True, kw_only=True):
    word: str
    number: int = 1


class Plain:
    def __init__(self, **keys: Any) -> None:
        settings_of(Settings, keys)

    def receive(self, event: Event) -> None:
        pass


def test_settings_that_are_refused_by_name_pass() -> None:
    made = check_settings(Plain, {"word": "x", "number": 2})
    assert all(isinstance(each, Plain) for each in made)
    assert len(made) == 2  # from all, and without the number


def takes_all(**keys: Any) -> object:
    return object()


def names_nothing(**keys: Any) -> object:
    if keys == {"word": "x"}:
        return object()
    raise ConfigError("something is wrong")


def shows_values(**keys: Any) -> object:
    if keys == {"word": "x"}:
        return object()
    raise ConfigError(f"wrong: {keys}")


def plain_python(word: str) -> object:
    return object()


@pytest.mark.parametrize(
    ("entry", "broken"),
    [
        (takes_all, "no_such_key is taken, whatever it is"),
        (names_nothing, "no_such_key is refused without being named"),
        (shows_values, "value is shown"),
        (plain_python, "the entry point raises TypeError"),
    ],
)
def test_settings_that_are_not_refused_as_they_should_be_are_found(entry: Any, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_settings(entry, {"word": "x"})
