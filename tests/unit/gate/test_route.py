"""Which issuer is asked."""

import pytest

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import read_password
from sessiond.gate import IssuerRoute
from sessiond.gate.route import find_issuer
from tests.unit.gate.fakes import jwt, opaque

CORP = IssuerRoute(
    name="corp",
    stated=frozenset({"https://corp.example.com/", "https://old.example.com/"}),
    users=("*@corp.example.com", "svc_?"),
)
PARTNER = IssuerRoute(
    name="partner", stated=frozenset({"https://partner.example.com/"}), users=("*@partner.*",)
)
ANYBODY = IssuerRoute(name="only", stated=frozenset({"https://only.example.com/"}), users=())


@pytest.mark.parametrize(
    ("iss", "name"),
    [
        ("https://corp.example.com/", "corp"),
        ("https://old.example.com/", "corp"),
        ("https://partner.example.com/", "partner"),
    ],
)
def test_a_jwt_goes_to_the_issuer_that_lists_its_iss_whatever_the_name(iss: str, name: str) -> None:
    presented = read_password(jwt(iss))
    assert find_issuer([CORP, PARTNER], presented, user="anybody") == name


@pytest.mark.parametrize(
    "iss", ["https://corp.example.com", "https://CORP.example.com/", "", None, 7, ["corp"]]
)
def test_a_jwt_of_any_other_iss_goes_nowhere(iss: object) -> None:
    presented = read_password(jwt(iss))
    with pytest.raises(TokenRejected) as caught:
        find_issuer([CORP, PARTNER], presented, user="alice@corp.example.com")
    assert caught.value.reason is Refusal.WRONGISSUER


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("alice@corp.example.com", "corp"),
        ("ALICE@Corp.Example.COM", "corp"),
        ("svc_1", "corp"),
        ("bob@partner.example.com", "partner"),
    ],
)
def test_an_opaque_token_goes_where_the_typed_name_belongs(user: str, name: str) -> None:
    assert find_issuer([CORP, PARTNER], read_password(opaque()), user=user) == name


@pytest.mark.parametrize("user", ["carol", "svc_10", "alice@corp.example.com.evil.example"])
def test_an_opaque_token_of_a_name_that_belongs_nowhere_goes_nowhere(user: str) -> None:
    with pytest.raises(TokenRejected) as caught:
        find_issuer([CORP, PARTNER], read_password(opaque()), user=user)
    assert caught.value.reason is Refusal.WRONGISSUER


def test_without_patterns_the_only_issuer_answers_for_everybody() -> None:
    assert find_issuer([ANYBODY], read_password(opaque()), user="anybody at all") == "only"


def test_an_opaque_token_that_two_issuers_could_answer_for_goes_to_neither() -> None:
    with pytest.raises(TokenRejected) as caught:
        find_issuer([ANYBODY, CORP], read_password(opaque()), user="svc_1")
    assert caught.value.reason is Refusal.WRONGISSUER


def test_a_pattern_with_capitals_admits_all_spellings() -> None:
    route = IssuerRoute(name="x", stated=frozenset(), users=("ADM-*",))
    assert route.admits("adm-alice")
    assert route.admits("Adm-Alice")
    assert not route.admits("alice")
