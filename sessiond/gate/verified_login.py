"""What the gate makes of a login that it lets through."""

from dataclasses import dataclass

from sessiond.core.password import Presented
from sessiond.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class VerifiedLogin:
    """An accepted login: what was verified, and the tokens it came with."""

    verdict: Verdict
    presented: Presented
    client: str
