"""The end of a sign-in."""

import pytest
from login_fakes import MADE_FOR, FakeIssuer, FakeKeep, kept
from sessiond_login.errors import CannotKeep
from sessiond_login.kept import Kept
from sessiond_login.signing_out import AtIssuer, SignedOut, sign_out, told


def signed_out(record: Kept, issuer: FakeIssuer) -> tuple[SignedOut, FakeKeep]:
    keep = FakeKeep({"work": record})
    ended = sign_out("work", MADE_FOR, keep=keep, issuer=lambda: issuer)
    assert ended is not None
    return ended, keep


@pytest.mark.parametrize(
    ("record", "issuer", "outcome", "revoked"),
    [
        (kept(), FakeIssuer(), AtIssuer.REVOKED, ["refresh-0"]),
        (kept(handed_over=True), FakeIssuer(), AtIssuer.REVOKED, ["refresh-0"]),
        (kept(), FakeIssuer(can_revoke=False), AtIssuer.NOT_OFFERED, ["refresh-0"]),
        (kept(refresh=None), FakeIssuer(), AtIssuer.NOTHING_TO_REVOKE, []),
        (kept(made_for="another"), FakeIssuer(), AtIssuer.ANOTHER, []),
        (kept(), FakeIssuer(down=True), AtIssuer.NOT_TOLD, []),
    ],
)
def test_whatever_the_issuer_says_the_tokens_are_forgotten_here(
    record: Kept, issuer: FakeIssuer, outcome: AtIssuer, revoked: list[str]
) -> None:
    ended, keep = signed_out(record, issuer)
    assert ended.at_issuer is outcome
    assert issuer.revoked == revoked
    assert keep.records == {}
    assert (ended.trouble is not None) is issuer.down
    assert "alice" in told(ended)


def test_that_sessions_end_is_said_of_what_was_handed_over_only() -> None:
    handed, _ = signed_out(kept(handed_over=True), FakeIssuer())
    own, _ = signed_out(kept(), FakeIssuer())
    assert "Sessions" in told(handed)
    assert "Sessions" not in told(own)


def test_that_nobody_was_signed_in_is_said() -> None:
    assert "nobody" in told(sign_out("work", MADE_FOR, keep=FakeKeep(), issuer=FakeIssuer))


def test_what_cannot_be_forgotten_is_said() -> None:
    keep = FakeKeep({"work": kept()}, full=True)
    with pytest.raises(CannotKeep):
        sign_out("work", MADE_FOR, keep=keep, issuer=FakeIssuer)
