"""The rule for tokens in q, by the table that the daemon's is run against."""

import csv
from itertools import accumulate
from pathlib import Path
from random import Random

import pytest

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import is_almost_token, read_password
from tests.q.conftest import Start
from tests.unit.jwt.forge import b64

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


# What tokens and their neighbours are made of.
HEADERS = [
    '{"alg":"RS256"}',
    '{"alg" : 1} ',
    '{"typ":"JWT"}',
    '{"x":"\xff","alg":2}',
    '{"alg":3}\n\t',
]
PIECES = [
    *(b64(header).encode() for header in HEADERS),
    *(b"eyJ", b"eyJhbGciOiJub25lIn0.e30.c2ln", b"AAAA", b"A", b"_-", b"null"),
    *(b".", b".", b".", b";", b";", b"=", b"~", b"+/", b"!", b"\x7f", b"\0", b"\xc3\xa9", b"\xff"),
    *(b"bearer:", b"Bearer ", b"BEARER:", b"bearer\t", b"bearer", b"a" * 20, b"b" * 19, b"c" * 21),
    *(b" ", b"\n", b"\r", b"\t", b"\x0b", b"\xa0", b'"', b"'", b"`"),
]


def daemons_kind(password: bytes) -> str:
    """Return what the daemon takes a password for, as q would call it."""
    text = password.decode("utf-8", "surrogateescape")
    try:
        read_password(text)
    except TokenRejected as rejected:
        if rejected.reason is Refusal.NOTTOKEN:
            return "almost" if is_almost_token(text) else "plain"
    return "token"


def test_made_up_passwords_are_judged_as_the_daemon_does(start_q: Start, tmp_path: Path) -> None:
    draw, q = Random(12), start_q()
    for _ in range(30):
        made = [b"".join(draw.choices(PIECES, k=draw.randint(1, 8))) for _ in range(100)]
        (tmp_path / "made").write_bytes(b"".join(made))
        ends = " ".join(str(end) for end in accumulate(map(len, made[:-1]), initial=0))
        cut = f'({ends}) cut "c"$read1 hsym`$"{tmp_path}/made"'
        judged = q.evaluate(f"`plain`almost`token?.sessiond.kind each {cut}").split()
        names = [("plain", "almost", "token")[int(number)] for number in judged]
        assert dict(zip(made, names, strict=True)) == {each: daemons_kind(each) for each in made}


def test_what_is_no_string_is_a_plain_password(start_q: Start) -> None:
    q = start_q()
    for odd in ("`bearer", "(::)", "0x6265", '"b"', "()", "1 2"):
        assert q.evaluate(f".sessiond.kind {odd}") == "`plain"
