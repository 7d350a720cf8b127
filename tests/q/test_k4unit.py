"""The k4unit files of the hook, for people with kdb+ and TorQ: run here line by line."""

import csv
from pathlib import Path

import pytest

from tests.q.conftest import Start
from tests.q.interpreter import HOOK

pytestmark = pytest.mark.needs("q")


@pytest.mark.parametrize("file", sorted((HOOK / "tests").glob("*.csv")), ids=lambda file: file.stem)
def test_a_k4unit_file_passes(start_q: Start, file: Path) -> None:
    q = start_q()
    with file.open(newline="") as table:
        lines = list(csv.DictReader(table))
    assert [line for line in lines if line["action"] == "true"]
    for line in lines:
        match line["action"]:
            case "true":
                assert q.evaluate(line["code"]) == "1b", line["code"]
            case "run" | "before" | "after":
                q.run(line["code"] + ";")
                assert not any(each.startswith(("'", "q)'")) for each in q.output[-3:]), line
            case other:
                assert other == "comment"


def test_every_k4unit_file_has_the_columns_that_k4unit_reads() -> None:
    for file in (HOOK / "tests").glob("*.csv"):
        header = file.read_text().partition("\n")[0]
        assert header == "action,ms,bytes,lang,code,repeat,minver,comment"
