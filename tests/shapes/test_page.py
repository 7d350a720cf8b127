"""docs/issuers.md says of each issuer what its shape says, and where that was read."""

import pytest

from tests.shapes import page
from tests.shapes.shape import shapes

SHAPES = shapes()
TABLES = page.tables()


def test_each_table_has_a_shape_and_each_shape_a_table() -> None:
    assert set(TABLES) == set(SHAPES)


def test_the_table_for_any_other_is_a_good_one_too() -> None:
    assert set(page.names()) - set(TABLES) == {"corp"}


@pytest.mark.parametrize("name", SHAPES)
def test_each_section_names_the_sources_of_its_shape_and_what_was_tried(name: str) -> None:
    section, shape = page.sections()[name], SHAPES[name]
    assert [source for source in shape.sources if source not in section] == []
    assert f"Tried: {shape.tried}" in section


def test_the_overview_has_a_row_for_each_section_in_their_order() -> None:
    linked = [row[0].partition("]")[0].removeprefix("[") for row in page.rows()]
    assert linked == list(dict.fromkeys(page.headings()))


def test_the_overview_says_how_each_table_verifies_and_what_was_tried() -> None:
    rows = {row[0].partition("]")[0].removeprefix("["): row for row in page.rows()}
    for name, section in page.sections().items():
        row = rows[section.partition("\n")[0]]
        assert TABLES[name].verify in row[1]
        assert row[-1] == SHAPES[name].tried


def test_a_table_says_tolerant_where_old_refresh_tokens_are_always_good() -> None:
    told = {row[0].partition("]")[0].removeprefix("["): row[2] for row in page.rows()}
    always = ("yes; old tokens stay good", "yes, the same one again")
    for name, section in page.sections().items():
        is_always = told[section.partition("\n")[0]] in always
        assert (TABLES[name].rotation == "tolerant") == is_always, name


def test_where_userinfo_is_asked_a_refresh_proves_the_program() -> None:
    asked = [table for table in TABLES.values() if table.verify == "userinfo"]
    assert asked
    assert all(table.prove_by_refresh for table in asked)


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_has_a_users_token_and_others_that_are_refused(name: str) -> None:
    user, *others = SHAPES[name].tokens
    assert user.accepted is not None
    assert any(token.refused for token in others)
    assert all(bool(token.refused) != bool(token.accepted) for token in others)
