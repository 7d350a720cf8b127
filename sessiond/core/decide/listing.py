"""What is asked of the table in its turn. Nothing here writes or tells anything."""

from sessiond.core.changes import CheckAdmission, KnownNames
from sessiond.core.decide.draft import Draft
from sessiond.core.decide.tokens import refusal_of
from sessiond.core.errors import Refusal


def known_names(draft: Draft, change: KnownNames) -> frozenset[str]:
    """Return the names that have an owner."""
    return change.names & draft.rows.names.keys()


def check_admission(draft: Draft, change: CheckAdmission) -> Refusal | None:
    """Return why the tokens would be refused, if they would."""
    return refusal_of(draft, change.presented, is_proof_due=change.is_proof_due)
