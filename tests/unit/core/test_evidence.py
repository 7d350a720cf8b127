"""Why roles are given, bounded and printable."""

from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.evidence import (
    DEFAULT,
    MAX_SAID,
    MAX_WHY,
    MAX_WHYS,
    Evidence,
    bounded,
    given_by,
    merged,
    short,
)

evidences: st.SearchStrategy[Evidence] = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.sampled_from("12345"), min_size=1, unique=True).map(tuple)
)


@given(one=evidences, other=evidences)
def test_roles_of_two_are_those_of_both_each_with_what_either_says(
    one: Evidence, other: Evidence
) -> None:
    both = merged(one, other)
    assert both.keys() == one.keys() | other.keys()
    for role, whys in both.items():
        said = dict.fromkeys((*one.get(role, ()), *other.get(role, ())))
        assert whys == tuple(said)[: max(MAX_WHYS, len(one.get(role, ())))][: len(whys)]
        assert len(whys) == len(set(whys))


def test_a_reason_is_short_and_on_one_line() -> None:
    assert short("claim roles: a\nb") == "claim roles: a\\nb"
    assert short("x" * MAX_WHY) == "x" * MAX_WHY
    assert short("x" * (MAX_WHY + 1)) == "x" * (MAX_WHY - 3) + "..."
    assert short("\u202e" * MAX_WHY).isascii()


def test_what_is_said_of_all_roles_is_bounded_and_no_role_is_left_out() -> None:
    few = given_by("because", ["a", "b"])
    assert bounded(few) is few
    many = {str(number): ("x" * 200,) for number in range(200)}
    kept = bounded(many)
    assert kept.keys() == many.keys()
    assert sum(len(why) for whys in kept.values() for why in whys) <= MAX_SAID


def test_of_however_much_is_said_a_role_that_is_everybodys_is_known_from_one_that_was_given() -> (
    None
):
    many = {f"a{number}": ("x" * 200,) for number in range(200)}
    last = given_by(DEFAULT, ["z"])
    assert bounded({**many, **last})["z"] == (DEFAULT,)
    assert merged(bounded(many), given_by(DEFAULT, many))["a199"] != (DEFAULT,)
