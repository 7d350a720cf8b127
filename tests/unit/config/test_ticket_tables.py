"""The table of tickets: what is read of it, and what is refused because it could not be safe."""

import tomllib

import pytest

from sessiond.config import TicketsConfig, read
from sessiond.config.ticket_checks import MAX_AUDIENCES, MAX_EXCHANGERS
from tests.unit.config.test_config import EXAMPLE, problems
from tests.unit.config.test_issuers import in_toml, issuer

GUARDED = '[[access.process]]\nname = "rdb*"\npeers = ["kdb"]\n'
FOR_RDBS = 'audiences = ["rdb*"]\n'


def tickets(text: str) -> str:
    return f"{issuer()}[tickets]\n{text}\n{GUARDED}"


def test_the_table_is_read() -> None:
    text = (
        'issuer = "https://kdb1.corp.example"\nlifetime = 60\ndepth = 2\nexchangers = ["api", 7]\n'
    )
    assert read(tickets(text + FOR_RDBS)).tickets == TicketsConfig(
        issuer="https://kdb1.corp.example",
        lifetime=60.0,
        depth=2,
        audiences=("rdb*",),
        exchangers=("api", 7),
    )


def test_without_the_table_there_are_no_tickets() -> None:
    assert read(issuer()).tickets is None


def test_what_is_left_out_is_as_published() -> None:
    assert read(tickets(FOR_RDBS)).tickets == TicketsConfig(
        issuer="", lifetime=30.0, depth=1, audiences=("rdb*",), exchangers=()
    )


def test_the_example_has_every_key_with_its_default() -> None:
    lines = EXAMPLE.read_text().splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("# [tickets]"))
    text = "\n".join(line.removeprefix("# ") for line in lines[begin : lines.index("", begin)])
    assert read(f"{issuer()}{text}\n{GUARDED}").tickets == TicketsConfig(audiences=("rdb*",))
    assert list(tomllib.loads(text)["tickets"]) == list(TicketsConfig.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "",
            "tickets.audiences is empty, must match the names of the processes that tickets are "
            "for: shell patterns",
        ),
        (f"{FOR_RDBS}lifetime = 0.5", "tickets.lifetime is 0.5, must be between 1 and 300 seconds"),
        (f"{FOR_RDBS}lifetime = 301", "tickets.lifetime is 301, must be between 1 and 300 seconds"),
        (f"{FOR_RDBS}depth = 0", "tickets.depth is 0, must be between 1 and 16"),
        (f"{FOR_RDBS}depth = 17", "tickets.depth is 17, must be between 1 and 16"),
        ('audiences = ["[b-a]"]', "tickets.audiences[1] matches nothing, must match some"),
        (
            f"audiences = {in_toml(['rdb1'] * (MAX_AUDIENCES + 1))}",
            f"tickets.audiences has {MAX_AUDIENCES + 1} values, must have at most {MAX_AUDIENCES}",
        ),
        (
            f"{FOR_RDBS}exchangers = {[*range(MAX_EXCHANGERS + 1)]}",
            f"tickets.exchangers has {MAX_EXCHANGERS + 1} values, must have at most "
            f"{MAX_EXCHANGERS}",
        ),
        ("audience = []", "tickets.audience is unknown; did you mean tickets.audiences?"),
        (
            f'{FOR_RDBS}issuer = "not a: uri"',
            "tickets.issuer is 'not a: uri', must be printable ASCII without blanks, a URI where "
            "it has a colon (RFC 7519, 2), or empty, at most 256 characters",
        ),
        (
            f'{FOR_RDBS}issuer = "https://login.example.com/"',
            "tickets.issuer belongs to issuer[corp] already, must be another: it is sessiond's own",
        ),
    ],
)
def test_what_could_not_work_is_refused_by_its_key(text: str, told: str) -> None:
    assert problems(tickets(text))[0] == told


def test_a_process_that_anybody_could_be_is_no_audience() -> None:
    found = problems(tickets('audiences = ["rdb*", "hdb1"]'))
    assert len(found) == 1
    assert found[0].startswith("tickets.audiences[2] is 'hdb1', some of whose names no")
