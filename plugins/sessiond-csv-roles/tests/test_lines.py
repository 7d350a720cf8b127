import pytest
from sessiond_csv_roles.lines import read_lines

GOOD = """\
# who may what
alice@corp.com, trading
Alice@Corp.com, support, desk=rates, "floor=2, north"

bob,,desk=fx
carol,trading
"o'hara, \u0064an",trading,note=a=b,empty=
"""


def test_lines_of_one_user_add_up_whatever_the_case_of_the_name() -> None:
    alice = read_lines(GOOD)["alice@corp.com"]
    assert set(alice.roles) == {"trading", "support"}
    assert dict(alice.attributes) == {"desk": "rates", "floor": "2, north"}


def test_a_user_may_have_attributes_alone_or_a_role_alone() -> None:
    found = read_lines(GOOD)
    assert (set(found["bob"].roles), dict(found["bob"].attributes)) == (set(), {"desk": "fx"})
    assert (set(found["carol"].roles), dict(found["carol"].attributes)) == ({"trading"}, {})


def test_quoted_fields_and_equals_signs_are_taken_as_they_are() -> None:
    assert dict(read_lines(GOOD)["o'hara, dan"].attributes) == {"note": "a=b", "empty": ""}


def test_only_a_to_z_are_folded() -> None:
    assert set(read_lines("ALICE[X],r\nalice{x},s\n")) == {"alice[x]", "alice{x}"}


def test_a_file_without_lines_gives_nobody_anything() -> None:
    assert read_lines("\n# none\n") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alice", "line 1 has no comma: user,role"),
        ("a,b\n,trading", "line 2: the user is not"),
        ("\u0430lice,trading", "line 1: the user is not"),
        ("alice,tr\u00e4ding", "line 1: the role is not"),
        ("alice,trading,desk", "line 1: what follows the role must be attribute=value"),
        ("alice,trading,=rates", "line 1: what follows the role must be attribute=value"),
        ("alice,trading,desk=a\x07", "line 1: what follows the role must be attribute=value"),
        ("alice,a,desk=fx\nalice,b,desk=rates", "line 2 gives desk another value"),
        ('alice,"trading', "line 1 is not CSV"),
        ('alice,"trading"x', "line 1 is not CSV"),
    ],
)
def test_a_wrong_line_is_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_lines(text)
