from sessiond.core.granted import Granted


def test_a_user_whom_a_source_does_not_know_has_nothing() -> None:
    assert (tuple(Granted().roles), dict(Granted().attributes)) == ((), {})
