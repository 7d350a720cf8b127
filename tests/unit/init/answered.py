"""Answers to begin with, for the tests of `sessiond init`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sessiond.init.answers import Answers, Given
from sessiond.init.vendors import AUTH0, ENTRA, KEYCLOAK, OKTA, OTHER

CONFIG = Path("/etc/sessiond/config.toml")
API = "22222222-2222-2222-2222-222222222222"
_OTHER = Answers(
    vendor=OTHER,
    name="corp",
    issuer="https://login.example.com/",
    verify="jwt",
    audience=("api://kdb",),
    program="qstudio",
    scope="",
    roles={},
    client_id="sessiond",
    q_user="kdb",
    q_group="kdb",
    ca_file="",
    insecure_http=False,
    config=CONFIG,
)
ANSWERS = {
    "entra": replace(
        _OTHER,
        vendor=ENTRA,
        name="entra",
        issuer="https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0",
        audience=(API,),
        program="33333333-3333-3333-3333-333333333333",
        scope="session.login",
        roles=ENTRA.roles,
    ),
    "keycloak": replace(
        _OTHER,
        vendor=KEYCLOAK,
        name="keycloak",
        issuer="https://sso.example.com/realms/trading",
        roles=KEYCLOAK.roles,
    ),
    "okta": replace(
        _OTHER,
        vendor=OKTA,
        name="okta",
        issuer="https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9",
        program="0oa1b2c3d4e5f6g7h8i9",
        scope="session.login",
        roles=OKTA.roles,
    ),
    "auth0": replace(
        _OTHER,
        vendor=AUTH0,
        name="auth0",
        issuer="https://example.eu.auth0.com/",
        roles=AUTH0.roles,
    ),
    "corp": _OTHER,
    "corp-asked": replace(
        _OTHER, verify="introspection", ca_file="/etc/ssl/corp.pem", program="", scope="kdb"
    ),
    "corp-userinfo": replace(
        _OTHER, verify="userinfo", issuer="http://127.0.0.1:8080", insecure_http=True
    ),
}


def given(root: Path = Path("/"), **options: Any) -> Given:
    return Given(root=root, config=CONFIG, **options)


@contextmanager
def image(folder: Path, *, has_sessiond: bool = False) -> Iterator[Path]:
    """A machine to be, with q's user and perhaps the daemon's."""
    root = folder / "image"
    (root / "etc").mkdir(parents=True)
    users = "root:x:0:0::/:/bin/sh\nkdb:x:1500:1600::/:/bin/sh\n"
    users += "alone:x:1700:1700::/:/bin/sh\n"
    groups = "root:x:0:\nquants:x:1600:\nodd\nodder:x:many:\n"
    if has_sessiond:
        users += "sessiond:x:900:900::/:/bin/false\n"
        groups += "sessiond:x:900:\n"
    (root / "etc/passwd").write_text(users)
    (root / "etc/group").write_text(groups)
    yield root
