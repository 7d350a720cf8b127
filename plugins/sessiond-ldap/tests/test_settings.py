"""What the table may say: never a plain connection, nor an anonymous one."""

import sys
from pathlib import Path
from typing import Any

import pytest
from sessiond_ldap import LdapSettings, source

from sessiond.api import ConfigError, SettingsError, settings_of

GOOD: dict[str, Any] = {
    "url": "ldap://127.0.0.1",
    "bind_dn": "cn=sessiond,dc=c",
    "user_base": "ou=people,dc=c",
    "user_filter": "(uid={user})",
    "group_base": "ou=groups,dc=c",
    "roles": {"cn=traders,ou=groups,dc=c": "trading"},
}


@pytest.fixture
def good(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "password"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    return {**GOOD, "password_file": str(path)}


def problem(settings: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as raised:
        source(**settings)
    return str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://a"}, "url must be ldaps://HOST"),
        ({"url": "ldaps://"}, "url must be"),
        ({"url": "ldaps://a/dc=b"}, "url must be"),
        ({"url": "ldaps://u:p@a"}, "url must be"),
        ({"url": "ldaps://a:x"}, "url must be"),
        ({"bind_dn": ""}, "bind_dn and password_file must both"),
        ({"bind_dn": "", "password_file": ""}, "nobody is anonymous"),
        ({"bind_dn": "me"}, "bind_dn is no distinguished name"),
        ({"cert_file": "/a"}, "cert_file and key_file must both"),
        ({"user_base": "people"}, "user_base is no distinguished name"),
        ({"user_filter": "(uid={dn})"}, "user_filter has {dn}"),
        ({"group_filter": "(cn=a)"}, "group_filter names nobody"),
        ({"nested": "search", "group_filter": "(memberUid={user})"}, "group_filter must have {dn}"),
        ({"nested": "deep"}, "nested is wrong"),
        ({"roles": {}}, "roles is empty"),
        ({"group_base": ""}, "group_base is missing"),
        ({"roles": {"traders": "a"}}, "roles has a group whose name is no"),
        ({"roles": {"cn=a": "x", "CN=A": "y"}}, "roles gives one group two roles"),
        ({"attributes": {"a": "x", "b": "x"}}, "attributes has 'x' twice"),
        ({"attributes": {"a)(b=*": "x"}}, "attributes is wrong"),
        ({"pool": 0}, "pool is wrong"),
        ({"ca_file": "/none/such"}, "ca_file: cannot read /none/such"),
        ({"password_file": "/none/such"}, "password_file: cannot read /none/such"),
        ({"starttls": True}, "starttls is unknown"),
    ],
)
def test_what_is_wrong_is_named(good: dict[str, Any], change: dict[str, Any], said: str) -> None:
    assert said in problem({**good, **change})


@pytest.mark.parametrize(
    ("mode", "said"), [(0o604, "lets others read"), (0o620, "lets others write")]
)
def test_a_password_that_others_may_see_or_change_is_refused(
    good: dict[str, Any], mode: int, said: str
) -> None:
    Path(good["password_file"]).chmod(mode)
    found = problem(good)
    assert "password_file" in found
    assert said in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("url", "ca_file", "tls", "start_tls"),
    [
        ("ldaps://dir.corp.example", "", True, False),
        ("ldap://dir.corp.example", "", True, True),
        ("ldap://127.0.0.1:1389", "", False, False),
        ("ldap://localhost", "", False, False),
        ("ldap://[::1]", "", False, False),
        ("ldap://localhost.corp.example", "", True, True),
        ("ldap://127.0.0.1.corp.example", "", True, True),
        ("ldap://127.0.0.1", "/etc/ssl/certs/ca-certificates.crt", True, True),
    ],
)
def test_it_is_plain_on_this_machine_alone(
    good: dict[str, Any], url: str, ca_file: str, tls: bool, start_tls: bool
) -> None:
    settings = settings_of(LdapSettings, {**good, "url": url, "ca_file": ca_file})
    assert (settings.is_tls, settings.is_start_tls) == (tls, start_tls)


def test_without_bonsai_the_daemon_does_not_start(
    good: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["sessiond_ldap.source"], "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"bonsai is not installed, wanted it"):
        source(**good)
