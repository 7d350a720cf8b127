"""Names are the same however they are written, and none is the same as another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessiond_ldap.names import normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a,dc=b", "CN = A , DC=B"),
        ("cn=a b,dc=c", "cn=A  b,dc=c"),
        (r"cn=a\,b,dc=c", r"cn=a\2cb,dc=c"),
        (r"cn=\20a,dc=c", "cn=a,dc=c"),
        (r"cn=a\\b", r"cn=a\5Cb"),
        ("cn=a+sn=b,dc=c", "sn=b+cn=a,dc=c"),
        ("2.5.4.3=a", "commonName=a"),
        ("cn=\u00e9", r"cn=\c3\a9"),
        ("cn=a;dc=b", "cn=a,dc=b"),
        (r"cn=\#a", r"cn=\23a"),
    ],
)
def test_they_are_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"cn=a\,dc=b", "cn=a,dc=b"),
        (r"cn=a\\2Cdc=b", r"cn=a\2Cdc=b"),
        (r"cn=a\+sn\=b", "cn=a+sn=b"),
        ("cn=#0401", r"cn=\#0401"),
        ("cn=\u212a", "cn=k"),  # a sign that looks like K
        ("cn=stra\u00dfe", "cn=strasse"),
        ("cn=ab", "cn=a b"),
        ("cn=a,dc=b", "cn=a,dc=b,dc=c"),
    ],
)
def test_they_are_not(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize(
    "text", ["a", "=a", "cn=a,", ",cn=a", 'cn="a"', "cn=a\\", "cn=a\\zz", "c n=a", "cn=a\x00"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="character"):
        normalised(text)


def escaped(value: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in value.encode())


values = st.lists(st.text(min_size=1).filter(lambda text: text.strip(" ")), min_size=1, max_size=4)


@given(parts=values)
def test_a_value_never_reaches_out_of_its_part(parts: list[str]) -> None:
    name = ",".join(f"cn={escaped(part)}" for part in parts)
    assert len(normalised(name)) == len(parts)


@given(
    one=st.text(alphabet="ab\\,+= #2Cc", max_size=6),
    other=st.text(alphabet="ab\\,+= #2Cc", max_size=6),
)
def test_two_values_are_one_only_by_case_and_blanks(one: str, other: str) -> None:
    same = " ".join(one.lower().split()) == " ".join(other.lower().split())
    assert (normalised(f"cn={escaped(one)}") == normalised(f"cn={escaped(other)}")) is same


@given(text=st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        normalised(text)
    except ValueError:
        return
