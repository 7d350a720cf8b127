"""What is given by the name of a process is given only where no stranger can say that name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.config.access_tables import AccessConfig, ProcessConfig
from sessiond.config.guarded import problems_of_unguarded
from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.patterns import Patterns

KDB = ("kdb",)


def problems(pattern: str, *tables: ProcessConfig) -> list[str]:
    return [*problems_of_unguarded("tickets.audiences", (pattern,), AccessConfig(process=tables))]


@pytest.mark.parametrize(
    ("pattern", "tables"),
    [
        ("rdb1", (ProcessConfig(name="rdb*", peers=KDB),)),
        ("RDB*", (ProcessConfig(name="rdb*", peers=KDB),)),
        ("rdb*", (ProcessConfig(name="*", peers=KDB),)),
        ("rdb*", (ProcessConfig(name="gateway*"), ProcessConfig(name="rdb*", peers=KDB))),
        ("rdb*", (ProcessConfig(name="rdb1", peers=KDB), ProcessConfig(name="r*", peers=KDB))),
        ("rdb*", (ProcessConfig(name="rdb*", peers=KDB), ProcessConfig())),
        (
            "rdb*",
            (ProcessConfig(name="rdb*", type="hdb", peers=KDB), ProcessConfig(peers=KDB)),
        ),
        ("rdb*", (ProcessConfig(name="rdb*", type="**", peers=KDB),)),
    ],
)
def test_names_that_only_named_users_can_say_are_in_order(
    pattern: str, tables: tuple[ProcessConfig, ...]
) -> None:
    assert problems(pattern, *tables) == []


@pytest.mark.parametrize(
    ("pattern", "number", "tables"),
    [
        ("rdb1", 1, (ProcessConfig(),)),
        ("rdb*", 1, (ProcessConfig(name="rdb1"), ProcessConfig(peers=KDB))),
        ("rdb*", 2, (ProcessConfig(name="rdb1", peers=KDB), ProcessConfig())),
        ("*", 2, (ProcessConfig(name="a*", peers=KDB), ProcessConfig(name="b*"))),
        ("rdb1", 1, (ProcessConfig(type="hdb"), ProcessConfig(peers=KDB))),
        ("rdb1", 2, (ProcessConfig(type="hdb", peers=KDB), ProcessConfig())),
    ],
)
def test_a_table_without_peers_is_named(
    pattern: str, number: int, tables: tuple[ProcessConfig, ...]
) -> None:
    assert problems(pattern, *tables) == [
        f"tickets.audiences[1] is {pattern!r}, which access.process[{number}] matches without "
        "peers, so that any process could say such a name, must have there the users that these "
        "processes run as"
    ]


@pytest.mark.parametrize(
    ("pattern", "tables"),
    [
        ("rdb1", ()),
        ("rdb1", (ProcessConfig(name="hdb*", peers=KDB),)),
        ("*", (ProcessConfig(name="rdb*", peers=KDB),)),
        ("rdb?", (ProcessConfig(name="rdb[ -~]", peers=KDB),)),  # some names are beyond ASCII
        ("rdb1", (ProcessConfig(name="rdb1", type="rdb", peers=KDB),)),
        ("[b-a]", (ProcessConfig(peers=KDB),)),  # matches nothing: whoever wrote it meant something
    ],
)
def test_names_that_no_table_has_are_told(pattern: str, tables: tuple[ProcessConfig, ...]) -> None:
    (problem,) = problems(pattern, *tables)

    assert "must have a table for all" in problem


def test_each_pattern_is_told_by_its_number() -> None:
    access = AccessConfig(process=(ProcessConfig(name="rdb*", peers=KDB),))

    found = [*problems_of_unguarded("source[x].processes", ("rdb1", "hdb1", "feed*"), access)]

    assert [line.split(" is ")[0] for line in found] == [
        "source[x].processes[2]",
        "source[x].processes[3]",
    ]


patterns = st.text("ab*?[]!-", min_size=1, max_size=5)
tables = st.lists(
    st.builds(
        ProcessConfig,
        name=patterns,
        type=st.sampled_from(["*", "a"]),
        peers=st.sampled_from([KDB, ()]),
    ),
    max_size=4,
).map(tuple)


@given(
    pattern=patterns, tables=tables, name=st.text("ab]!-é", max_size=5), kind=st.sampled_from("ab")
)
def test_what_is_in_order_leaves_no_name_to_strangers(
    pattern: str, tables: tuple[ProcessConfig, ...], name: str, kind: str
) -> None:
    """Not by the walk over patterns, but by what decides at `hello`."""
    rules = AccessRules(ceilings=tuple(Ceiling(name=t.name, type=t.type) for t in tables))

    if not problems(pattern, *tables) and Patterns((pattern,)).match(name):
        number = rules.ceilings and rules.number_of(name, kind)
        assert isinstance(number, int)
        assert tables[number].peers
