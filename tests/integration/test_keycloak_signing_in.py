"""What `sessiond init` and `sessionctl test` make of a real Keycloak."""

import html
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.integration.conftest import Start
from tests.integration.test_init import init
from tests.integration.test_sessionctl_test import signing
from tests.keycloak.admin import Realm
from tests.keycloak.guide import AUDIENCE, PROGRAM
from tests.keycloak.server import KeycloakError

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.xdist_group("keycloak"),
    pytest.mark.timeout(400),
]


def enter_device_code(realm: Realm, url: str) -> None:
    """Do what alice does with a device code: sign in, and consent."""
    with realm.browser() as browser:
        page = browser.get(url)
        for _ in range(12):
            if page.is_redirect:
                page = browser.get(urljoin(str(page.url), page.headers["location"]))
                continue
            action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
            if action is None:
                return
            form = dict(re.findall(r'<input[^>]*name="([\w.-]+)"[^>]*value="([^"]*)"', page.text))
            form.pop("cancel", None)
            if 'name="password"' in page.text:
                form |= {"username": "alice", "password": "pw-alice"}
            page = browser.post(urljoin(str(page.url), html.unescape(action[1])), data=form)
    raise KeycloakError(f"no end of pages: {page.status_code} {page.url}")


def test_what_init_writes_lets_a_user_in_who_signs_in_with_a_device_code(
    realm: Realm, folder: Path, start: Start
) -> None:
    daemon = start(
        init(
            folder / "image",
            *("--issuer", f"{realm.issuer}/", "--ca-file", str(realm.ca_file)),
            *("--audience", AUDIENCE, "--program", PROGRAM),
        )
    )
    with signing(daemon) as program:
        code, out, err = program.end()
    assert (code, out) == (78, "")
    assert "Capability config, OAuth 2.0 Device Authorization Grant on" in err

    realm.change(
        "clients", PROGRAM, attributes={"oauth2.device.authorization.grant.enabled": "true"}
    )
    with signing(daemon) as program:
        enter_device_code(realm, program.url())
        code, out, err = program.end()
    assert code == 0, err
    assert "would be let in as alice with reader" in out
