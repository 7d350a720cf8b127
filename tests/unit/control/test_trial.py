"""The checks of a login that is tried are noted in their order, each once."""

from sessiond.control.trial import Failed, Trial
from sessiond.core.errors import Refusal


def test_after_a_failed_check_no_other_is_made() -> None:
    trial = Trial(("token", "name", "route", "match"))
    trial.passed("a JWT")
    trial.skipped("not asked")
    trial.failed(Failed(Refusal.WRONGISSUER, "another"))
    assert [(each.check, each.outcome) for each in trial.checks] == [
        ("token", "passed"),
        ("name", "skipped"),
        ("route", "failed"),
        ("match", "skipped"),
    ]
    assert (trial.checks[2].reason, trial.checks[2].detail) == ("wrongissuer", "another")
