"""A plugin's settings are typed, and every key that is wrong is named."""

from datetime import datetime
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from sessiond.core.plugin_settings import SettingsError, settings_of


class Settings(Struct, frozen=True, kw_only=True):
    url: Annotated[str, Meta(pattern="^https://")]
    tries: int = 3
    since: datetime | None = None

    def __post_init__(self) -> None:
        if self.tries == 13:
            raise ValueError("tries must not be 13")


def problems(keys: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        settings_of(Settings, keys)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def test_settings_come_as_the_plugins_own_struct() -> None:
    assert settings_of(Settings, {"url": "https://a"}) == Settings(url="https://a", tries=3)
    found = settings_of(Settings, {"url": "https://a", "since": "2026-01-02T03:04:05Z"})
    assert found.since is not None
    assert found.since.hour == 3


def test_every_wrong_key_is_named_and_no_value_is_shown() -> None:
    found = problems({"urll": "http://user:secret@a", "tries": "secret"})
    assert found == (
        "urll is unknown; did you mean url?",
        "url is missing",
        "tries is wrong: Expected `int`, got `str`",
    )
    assert problems({"url": "http://secret", "xyzzy": 1})[0] == "xyzzy is unknown"
    assert "secret" not in "".join(problems({"url": "http://secret"}))


def test_what_the_plugin_itself_refuses_is_told_in_its_words() -> None:
    assert problems({"url": "https://a", "tries": 13}) == ("tries must not be 13",)
