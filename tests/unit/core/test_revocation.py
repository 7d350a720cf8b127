from datetime import datetime
from uuid import UUID

import pytest

from sessiond.core.principal import Principal
from sessiond.core.revocation import Revocation, Scope, covering, superseded
from tests.fakes import HOUR, START, principal


def revocation(number: int, scope: Scope, value: str = "", at: datetime = START) -> Revocation:
    return Revocation(id=UUID(int=number), scope=scope, value=value, at=at, reason="")


@pytest.mark.parametrize(
    ("scope", "value", "who", "covered"),
    [
        (Scope.USER, "alice", principal("Alice"), True),
        (Scope.USER, "alice", principal("alice", issuer="partner"), True),
        (Scope.USER, "alice", principal("alice2"), False),
        (Scope.ISSUER, "corp", principal("bob"), True),
        (Scope.ISSUER, "corp", principal("bob", issuer="partner"), False),
        (Scope.ALL, "", principal("bob", issuer="partner"), True),
    ],
)
def test_a_principal_is_covered_by_a_revocation_that_was_made_for_it(
    scope: Scope, value: str, who: Principal, covered: bool
) -> None:
    assert ((scope, value) in covering(who.issuer, who.name)) is covered


def test_of_several_revocations_of_the_same_only_the_newest_is_needed() -> None:
    old, newest = (
        revocation(1, Scope.USER, "alice"),
        revocation(2, Scope.USER, "alice", START + HOUR),
    )
    between = revocation(3, Scope.USER, "alice", START + HOUR / 2)
    others = [
        revocation(4, Scope.USER, "bob"),
        revocation(5, Scope.ALL),
        revocation(6, Scope.ISSUER),
    ]
    assert list(superseded([old, newest, *others, between])) == [old, between]
    assert list(superseded(others)) == []
