"""Every setting of the hook is in its guide and in the example, with the default that it has."""

import re
from pathlib import Path

import pytest

from tests.q.conftest import Start
from tests.q.interpreter import HOOK, Interpreter

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


def loaded(executable: str, folder: Path, settings: str) -> Interpreter:
    """Start q, and load the hook as a process does that goes on after an error."""
    script = f"""
.sessiond.directory:"{HOOK}"
.sessiond.address:`::1
{settings}
.test.error:@[{{system "l ",x;""}};"{HOOK}/sessiond.q";{{[e] e}}]
"""
    return Interpreter.start(executable, folder, script)


@pytest.mark.needs("q")
@pytest.mark.parametrize(
    ("setting", "must"),
    [
        ('proofkey:"/etc/sessiond/proof"', "a file symbol, such as `:/etc/sessiond/proof"),
        ("proofkey:`proof", "a file symbol"),
        ('passwords:"/etc/kdb/passwords"', "a file symbol, such as `:/etc/kdb/passwords"),
        ('port:"5099"', "a number"),
        ("port:0", "a number"),
        ("timeout:0.5", "a number of milliseconds"),
        ("retry:1000", "a timespan, such as 0D00:00:01"),
        ("maxretry:0D", "a timespan"),
        ("unopened:10", "a timespan, such as 0D00:00:10"),
        ("pace:0Nn", "a timespan"),
        ("proof:1", "1b or 0b"),
        ("web:`yes", "1b or 0b"),
        ("webcache:60", "a timespan, such as 0D00:01:00"),
        ("fallback:1", "1b or 0b"),
        ('name:"gateway1"', "a symbol, such as `gateway1"),
        ("assign:`roles", "`role or `group"),
        ("audiences:`rdb1", "addresses!names, such as (enlist`:rdbhost:5010)!enlist`rdb1"),
        ("audiences:(enlist`:rdbhost:5010:alice:pw)!enlist`rdb1", "addresses!names"),
        ("earlier:1b", "`detect, `trust or `ignore"),
    ],
)
def test_with_a_wrong_setting_the_hook_says_what_it_must_be_and_lets_nobody_in(
    q_executable: str, tmp_path: Path, setting: str, must: str
) -> None:
    with loaded(q_executable, tmp_path, f".sessiond.{setting}\n.z.pw:{{[u;p] 1b}}") as q:
        name = setting.partition(":")[0]
        assert f"mend .sessiond.{name} and start q anew" in q.evaluate(".test.error")
        assert q.prints(f".sessiond.{name} is of type ")
        assert q.prints(f"must be {must}")
        assert q.login("alice", "her password") is None


@pytest.mark.needs("q")
def test_all_wrong_settings_are_told_at_once_and_their_values_never(
    q_executable: str, tmp_path: Path
) -> None:
    wrong = '.sessiond.proofkey:"swordfish"\n.sessiond.proof:1'
    with loaded(q_executable, tmp_path, wrong) as q:
        assert "mend .sessiond.proof, .sessiond.proofkey and" in q.evaluate(".test.error")
        assert "swordfish" not in q.said


@pytest.mark.needs("q")
def test_a_name_that_is_no_setting_is_told(start_q: Start) -> None:
    q = start_q(".sessiond.pasword:`:/etc/kdb/passwords")
    assert q.prints("no settings of the hook: .sessiond.pasword")


def test_every_setting_is_checked() -> None:
    text = (HOOK / "sessiond.q").read_text()
    checked = re.findall(r"^  \(`(\w+);", text, re.MULTILINE)
    assert set(checked) == defaults().keys() - {"arguments"}
