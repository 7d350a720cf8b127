"""What findings come to together."""

import errno

import pytest

from sessiond.ctl.doctor.finding import Finding, Outcome, ok, unseen, warning, worst, wrong

FINE, ODD, BAD = ok("a", "b"), warning("a", "b", "c"), wrong("a", "b", "c")


@pytest.mark.parametrize(
    ("findings", "outcome"),
    [
        ([], Outcome.OK),
        ([FINE, FINE], Outcome.OK),
        ([FINE, ODD, FINE], Outcome.WARNING),
        ([ODD, BAD, FINE], Outcome.WRONG),
    ],
)
def test_the_worst_finding_counts(findings: list[Finding], outcome: Outcome) -> None:
    assert worst(findings) is outcome


def test_what_could_not_be_looked_at_says_so_and_what_to_do() -> None:
    found = unseen("a", PermissionError(errno.EACCES, "Permission denied"))
    assert found.outcome is Outcome.WARNING
    assert found.found == "not looked at: Permission denied"
    assert "root" in found.advice
