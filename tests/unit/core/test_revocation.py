from uuid import UUID

import pytest

from sessiond.core.principal import Principal
from sessiond.core.revocation import Revocation, Scope
from tests.fakes import START, principal


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
def test_a_revocation_covers_those_it_was_made_for(
    scope: Scope, value: str, who: Principal, covered: bool
) -> None:
    revocation = Revocation(id=UUID(int=1), scope=scope, value=value, at=START, reason="")
    assert revocation.covers(who) is covered
