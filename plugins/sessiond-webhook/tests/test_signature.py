"""What signs, and what a secret file may hold."""

import base64

import pytest
from sessiond_webhook.signature import signature_headers, signing_keys

SHORT, LONG = (base64.b64encode(bytes(size)).decode() for size in (23, 65))


def test_a_signature_is_that_of_the_standards_own_example() -> None:
    """What the libraries of github.com/standard-webhooks/standard-webhooks test with."""
    headers = signature_headers(
        signing_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_key_there_is_no_signature() -> None:
    assert set(signature_headers((), message_id="x", timestamp=1, body=b"")) == {
        "webhook-id",
        "webhook-timestamp",
    }


def test_comments_and_empty_lines_do_not_count() -> None:
    line = f"whsec_{'A' * 32}"
    assert len(signing_keys(f"# new\n{line}\n\n  {line}\n")) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has 0 secrets, must have 1 to 8"),
        ("# none\n", "it has 0 secrets"),
        (f"whsec_{'A' * 32}\n" * 9, "it has 9 secrets"),
        (f"#\n{'A' * 32}", "line 2 does not begin with whsec_"),
        (f"whsec_{'A' * 31}", "line 1 is not base64"),
        (f"whsec_{'A' * 31}ä", "line 1 is not base64"),
        (f"whsec_{SHORT}", "line 1 is a key of 23 bytes, must be 24 to 64"),
        (f"whsec_{LONG}", "line 1 is a key of 65 bytes"),
    ],
)
def test_a_wrong_line_is_named_and_not_shown(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as raised:
        signing_keys(text)
    assert "AAA" not in str(raised.value)


def test_a_key_does_not_show_itself() -> None:
    (key,) = signing_keys(f"whsec_{'A' * 32}")
    assert repr(key) == str(key) == "SigningKey(***)"
