"""What `status` shows."""

import json

import pytest
from login_fakes import kept, profile
from sessiond_login.kept import Kept
from sessiond_login.profile import Profile
from sessiond_login.status import ProfileStatus, as_lines, as_object, until

NOW = 1_000_000.0


def status(kept: Kept | None, profile: Profile, *limits: str) -> ProfileStatus:
    return ProfileStatus(name="work", profile=profile, kept=kept, place="a file", limits=limits)


def test_who_is_signed_in_until_when_and_what_clients_send_stands_there() -> None:
    record = kept(expires=NOW + 3000, handed_over=True)
    lines = as_lines(status(record, profile(), "too long for VS Code"), NOW)
    text = "\n".join(lines)
    assert lines[0] == "work"
    assert "as alice" in text
    assert "(in 50 min)" in text
    assert "ACCESS;REFRESH, 18 characters" in text
    assert "too long for VS Code" in text
    assert "a file" in text


def test_an_access_token_that_has_run_out_is_over() -> None:
    text = "\n".join(as_lines(status(kept(expires=NOW - 7200), profile()), NOW))
    assert "access      over since " in text
    assert "(2 h ago)" in text


def test_no_token_stands_there() -> None:
    shown = "\n".join(as_lines(status(kept(), profile()), NOW))
    shown += json.dumps(as_object(status(kept(), profile()), NOW))
    assert "access-0" not in shown
    assert "refresh-0" not in shown


def test_who_is_signed_out_is_said_to_be() -> None:
    assert "  signed in   no" in as_lines(status(None, profile()), NOW)
    members = as_object(status(None, profile()), NOW)
    assert (members["user"], members["good"], members["expires"]) == ("", False, None)


@pytest.mark.parametrize(
    ("record", "configured", "afterwards"),
    [
        (kept(), profile(send="access"), "refreshed by sessiond-login"),
        (kept(handed_over=True), profile(), "handed over, and is the daemon's"),
        (kept(), profile(), "  afterwards  signed in anew"),
        (kept(refresh=None), profile(send="access"), "  afterwards  signed in anew"),
        (kept(handed_over=True), profile(rotation="tolerant"), "refreshed by sessiond-login"),
    ],
)
def test_what_comes_after_the_access_token_is_what_the_rule_does(
    record: Kept, configured: Profile, afterwards: str
) -> None:
    assert afterwards in "\n".join(as_lines(status(record, configured), NOW))


def test_a_program_reads_whether_tokens_are_good_enough_to_be_given() -> None:
    good = as_object(status(kept(expires=NOW + 61.5), profile()), NOW)
    short = as_object(status(kept(expires=NOW + 59), profile()), NOW)
    assert (good["good"], good["expires"], good["password_length"]) == (True, int(NOW + 61), 18)
    assert short["good"] is False


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (30, "(in 30 s)"),
        (7000, "(in 116 min)"),
        (7300, "(in 2 h)"),
        (200_000, "(in 2 d)"),
        (-90, "(90 s ago)"),
        (0, "(0 s ago)"),
    ],
)
def test_a_moment_is_told_with_how_far_it_is(left: float, words: str) -> None:
    assert until(NOW + left, NOW).endswith(words)
