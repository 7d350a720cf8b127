"""Every setting of the hook is in its guide and in the example, with the default that it has."""

import re

from tests.q.interpreter import HOOK

SETTING = re.compile(r"^(\w+):@\[value;`\.sessiond\.\w+;(.*?)\] +//", re.MULTILINE)
NOT_SETTINGS = {"arguments", "address"}  # for tests; follows from the port


def defaults() -> dict[str, str]:
    return dict(SETTING.findall((HOOK / "sessiond.q").read_text()))


def test_there_are_settings_to_look_at() -> None:
    assert {"port", "proof", "passwords", "fallback"} < defaults().keys()


def test_the_guide_has_every_setting_with_its_default() -> None:
    guide = (HOOK / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `+ ?(.*?) ?`+ \|", guide, re.MULTILINE))
    expected = defaults()
    assert rows.keys() == expected.keys() - {"arguments"}
    assert "| `directory` |" in guide
    for name in expected.keys() - NOT_SETTINGS:
        assert rows[name] == expected[name], name


def test_the_example_has_every_setting_with_its_default() -> None:
    example = (HOOK / "settings.q").read_text()
    rows = dict(re.findall(r"^(\w+):(\S+) +//", example, re.MULTILINE))
    expected = defaults()
    assert rows.keys() == expected.keys() - NOT_SETTINGS
    for name in expected.keys() - NOT_SETTINGS - {"proofkey"}:
        assert rows[name] == expected[name], name
