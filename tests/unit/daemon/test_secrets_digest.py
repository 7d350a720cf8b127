"""Secrets are compared by what stands for them, and none is taken for another."""

from sessiond.core.secret import Secret
from sessiond.daemon.secrets_digest import digest_of


def test_the_same_secrets_in_the_same_order_are_the_same() -> None:
    assert digest_of(Secret("a"), None) == digest_of(Secret("a"), None)


def test_no_two_others_are() -> None:
    a, b, empty = Secret("a"), Secret("b"), Secret("")
    others = [(), (None,), (empty,), (a,), (b,), (a, b), (b, a), (a, None), (None, a), (a, empty)]
    assert len({digest_of(*each) for each in others}) == len(others)
