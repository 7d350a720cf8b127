"""The rule for tokens in q, by the table that the daemon's is run against."""

import csv
from pathlib import Path

import pytest

from tests.q.conftest import Start

pytestmark = pytest.mark.needs("q")

VECTORS = Path(__file__).parents[1] / "vectors" / "passwords.csv"


def spelled(cell: str) -> bytes:
    """Return the password that a cell stands for; the daemon's tests of the table say how."""
    if cell.startswith("escaped|"):
        cell = cell.removeprefix("escaped|")
        cell = cell.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")
    if cell.startswith("repeat|"):
        _, before, piece, count, after = cell.split("|")
        cell = before + piece * int(count) + after
    return cell.encode()


def rows() -> list[tuple[bytes, str]]:
    """Return the passwords and what q makes of each; what is malformed is sessiond's to say."""
    with VECTORS.open(newline="") as table:
        return [
            (
                spelled(row["password"]),
                row["kind"]
                if row["kind"] in {"toolarge", "almost"}
                else "token"
                if row["is_token"] == "1"
                else "plain",
            )
            for row in csv.DictReader(table, quoting=csv.QUOTE_NONE)
        ]


def test_every_example_of_the_shared_table_is_judged_as_the_daemon_does(
    start_q: Start, tmp_path: Path
) -> None:
    examples = rows()
    for number, (password, _) in enumerate(examples):
        (tmp_path / f"password{number}").write_bytes(password)
    q = start_q()
    judged = [
        q.evaluate(f'.sessiond.kind "c"$read1 hsym`$"{tmp_path}/password{number}"')
        for number in range(len(examples))
    ]
    assert judged == [f"`{kind}" for _, kind in examples]
    assert len(judged) > 50


def test_what_is_no_string_is_a_plain_password(start_q: Start) -> None:
    q = start_q()
    for odd in ("`bearer", "(::)", "0x6265", '"b"', "()", "1 2"):
        assert q.evaluate(f".sessiond.kind {odd}") == "`plain"
