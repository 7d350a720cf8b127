"""How far a login that is tried for an operator has come, check by check."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sessiond.control.bodies import Check, CheckName
from sessiond.core.errors import Refusal


class Failed(Exception):  # noqa: N818 - an outcome
    """The login would be refused here."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class Trial:
    """The checks of one login, in their order; each is noted once."""

    names: Sequence[CheckName]
    checks: list[Check] = field(default_factory=list)

    def passed(self, detail: str = "") -> None:
        """Note that the next check is passed."""
        self.checks.append(Check(check=self._next, outcome="passed", detail=detail))

    def skipped(self, detail: str = "") -> None:
        """Note that the next check is not made."""
        self.checks.append(Check(check=self._next, outcome="skipped", detail=detail))

    def failed(self, failed: Failed) -> None:
        """Note that the next check failed, so that no other is made."""
        reason, detail = failed.reason.value, failed.detail
        self.checks.append(Check(check=self._next, outcome="failed", reason=reason, detail=detail))
        while len(self.checks) < len(self.names):
            self.skipped()

    @property
    def _next(self) -> CheckName:
        return self.names[len(self.checks)]
