"""Names are values in a filter, whatever is in them (RFC 4515)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessiond_ldap.filters import can_chain, escaped, filled, in_chain, problem_of

HOSTILE = (
    "*",
    "*)(uid=*",
    ")(|(cn=*",
    "\\",
    "\\2a",
    "\x00",
    "a\x00b",
    "(",
    "é",
    "\U0001f600",
    " a ",
)
PLAIN_OR_ESCAPED = re.compile(r"([A-Za-z0-9.@_-]|\\[0-9a-f]{2})*")


def unescaped(text: str) -> str:
    found = re.sub(rb"\\([0-9a-f]{2})", lambda at: bytes.fromhex(at[1].decode()), text.encode())
    return found.decode()


@given(value=st.text())
def test_a_value_is_itself_again_and_has_no_character_that_a_filter_knows(value: str) -> None:
    text = escaped(value)
    assert PLAIN_OR_ESCAPED.fullmatch(text)
    assert unescaped(text) == value


@given(value=st.one_of(st.sampled_from(HOSTILE), st.text()), other=st.text())
def test_whatever_a_name_is_the_filter_keeps_its_form(value: str, other: str) -> None:
    text = filled(
        "(&(uid={user})(|(mail={user}@c.example)(id={subject})))", {"user": value, "subject": other}
    )
    form = re.sub(r"\\[0-9a-f]{2}", "", text)
    assert [each for each in form if each in "()&|=*\\"] == list("(&(=)(|(=)(=)))")


def test_a_name_with_braces_stands_for_nothing() -> None:
    assert filled("(uid={user})", {"user": "{dn}", "dn": "x"}) == r"(uid=\7bdn\7d)"


def test_active_directory_is_asked_for_members_of_members() -> None:
    assert in_chain("(&(objectClass=group)(member={dn}))") == (
        "(&(objectClass=group)(member:1.2.840.113556.1.4.1941:={dn}))"
    )


@pytest.mark.parametrize(
    ("template", "can"),
    [
        ("(member={dn})", True),
        ("(|(member={dn})(uniqueMember={dn}))", True),
        ("(memberUid={user})", False),
        ("(member=*{dn})", False),
        ("(|(member={dn})(x=a{dn}))", False),
    ],
)
def test_only_an_attribute_that_is_the_name_can_be_followed(template: str, can: bool) -> None:
    assert can_chain(template) is can


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("(uid={user})", None),
        ("(&(a=b)(uid={user}))", None),
        ("(uid={name})", "has {name}, which nothing stands for"),
        ("(uid=ann)", "names nobody"),
        ("uid={user}", "is no filter"),
        ("(uid={user}", "is no filter"),
        ("(uid={user}))(", "is no filter"),
        ("(uid={user})(a=b)", "is no filter"),
    ],
)
def test_a_template_must_be_one_filter_that_names_somebody(
    template: str, problem: str | None
) -> None:
    found = problem_of(template, known=frozenset({"user"}), wanted="{user}")
    assert found == problem or (problem is not None and str(found).startswith(problem))
