"""The keys of a `[[subscriber]]` table, and the files they name."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from receiving import SECRET, secret_file
from sessiond_webhook import Webhook, subscriber

from sessiond.api import ConfigError

URL = "https://hooks.example.com/sessiond"


@pytest.fixture
def good(tmp_path: Path) -> dict[str, object]:
    return {"url": URL, "secret_file": secret_file(tmp_path / "secret", SECRET)}


def test_the_entry_point_makes_a_webhook_of_the_configured_batch(good: dict[str, object]) -> None:
    (point,) = entry_points(group="sessiond.subscribers", name="webhook")
    made = point.load()(**good, batch=7)
    assert isinstance(made, Webhook)
    assert made.batch == 7


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"url": ""}, "url or url_file must be given"),
        ({"url_file": "/x"}, "url or url_file must be given, and not both"),
        ({"url": "hooks.example.com"}, "url must begin with https:// and a host"),
        ({"url": "https://"}, "url must begin with https:// and a host"),
        ({"url": "http://hooks.example.com/"}, "url must be https://"),
        ({"url": "http://hooks.example.com/", "insecure_http": True}, "url must be https://"),
        ({"url": "http://127.0.0.1:1/"}, "insecure_http lets http:// be"),
        ({"url": "https://me:hush@hooks.example.com/"}, "url has a user or a fragment"),
        ({"url": "https://hooks.example.com/#hush"}, "url has a user or a fragment"),
        ({"url": "https://hooks.example.com/hush hush"}, "characters that must be encoded"),
        ({"url": "https://hooks.example.com:hush/"}, "url is not a URL"),
        ({"secret_file": ""}, "secret_file or authorization_file must be given"),
        ({"secret_file": "secret"}, "secret_file must be an absolute path"),
        ({"secret_file": "/nowhere/secret"}, "secret_file: cannot read /nowhere/secret: No such"),
        ({"authorization_file": "/nowhere"}, "authorization_file: cannot read"),
        ({"ca_file": "/nowhere"}, "ca_file: cannot read /nowhere: No such file"),
        ({"ca_file": "/dev/null"}, "ca_file: /dev/null holds no certificate"),
        ({"source": ""}, "source must be a URI reference"),
        ({"source": "/a b"}, "source must be a URI reference"),
        ({"kinds": ["session.revokd"]}, "kinds has 'session.revokd', which is no event's"),
        ({"headers": {"a b": "x"}}, "headers has 'a b', which is no header's name"),
        ({"headers": {"a": "x", "A": "y"}}, "or comes twice"),
        ({"headers": {"Webhook-Id": "x"}}, "headers has 'Webhook-Id', which the plugin sets"),
        ({"headers": {"Authorization": "hush"}}, "secrets belong in authorization_file"),
        ({"headers": {"x": "hush\r\ny: z"}}, r"headers\.x must be printable ASCII on one line"),
        ({"headers": {"x": ""}}, r"headers\.x must be printable ASCII on one line"),
        ({"format": "slack"}, "format"),
        ({"batch": 0}, "batch"),
        ({"timeout": 0}, "timeout"),
        ({"patience": "long"}, "patience"),
        ({"secrets_file": "/x"}, "secrets_file is unknown; did you mean secret_file"),
    ],
)
def test_a_bad_key_is_named_and_its_secrets_are_not_shown(
    good: dict[str, object], keys: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as raised:
        subscriber(**{**good, **keys})
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/"])
def test_plain_http_is_for_this_machine_alone(good: dict[str, object], url: str) -> None:
    assert subscriber(**{**good, "url": url, "insecure_http": True}).batch == 1
    with pytest.raises(ConfigError, match="url must be https://"):
        subscriber(**{**good, "url": url})


@pytest.mark.parametrize(
    ("key", "lines", "mode", "problem"),
    [
        ("secret_file", [SECRET], 0o604, "mode 0604, which lets others read it: chmod o-rwx"),
        ("secret_file", [SECRET], 0o620, "mode 0620, which lets others write it"),
        ("secret_file", ["hush"], 0o600, "line 1 does not begin with whsec_"),
        ("authorization_file", [], 0o600, "it must have one line"),
        ("authorization_file", ["Bearer hush", "hush"], 0o600, "it must have one line"),
        ("authorization_file", ["Bearer h\u00fcsh"], 0o600, "characters other than printable"),
        ("url_file", ["http://hooks.example.com/hush"], 0o600, "line 1 must be https://"),
        ("url_file", [URL], 0o644, "lets others read it"),
    ],
)
def test_a_bad_file_is_named_and_not_shown(
    good: dict[str, object], tmp_path: Path, key: str, lines: list[str], mode: int, problem: str
) -> None:
    file = secret_file(tmp_path / "file", *lines, mode=mode)
    if key == "url_file":
        del good["url"]
    with pytest.raises(ConfigError, match=rf"{key}: {file}.*{problem}") as raised:
        subscriber(**{**good, key: file})
    assert "hush" not in str(raised.value)
