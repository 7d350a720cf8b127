"""A person signs in at a real Keycloak in a real browser, sees a page, and signs out.

What plays q is Python: it is about Keycloak.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.keycloak import guide
from tests.keycloak.admin import Realm
from tests.people.chromium import Chromium
from tests.people.forms import sign_in_at_keycloak
from tests.people.person import Person
from tests.web.authority import HOST, Authority
from tests.web.https_server import https_server
from tests.web.python_stage import PythonStage, python_stage

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.needs("browser"),
    pytest.mark.xdist_group("keycloak"),
    pytest.mark.timeout(400),
]
ASKS, SIGNED_OUT = "#kc-logout", "h1:has-text('You are signed out')"
WEB = """
[issuer.web]
client_id = "{client}"
client_secret_file = "{secret}"
scope = "openid profile"
[web]
bases = {bases}
"""


@contextmanager
def gateway(
    realm: Realm, client: str, folder: Path, home: Path
) -> Iterator[tuple[PythonStage, Person]]:
    """Yield a gateway whose pages are behind a client of the realm, and somebody before it."""
    authority = Authority()
    keycloak = realm.ca_file.with_name("server.pem").read_bytes()
    with ExitStack() as running:
        server = running.enter_context(https_server(HOST, authority.serving))
        secret = folder / "web"
        secret.write_text(guide.add_web_client(realm, server.base, name=client))
        secret.chmod(0o600)
        settings = guide.configuration(realm) + WEB.format(
            client=client,
            secret="" if client == guide.WEB_PUBLIC else secret,
            bases=[server.base],
        )
        stage = running.enter_context(python_stage(settings, folder, server, authority))
        trusted = [authority.certificate, keycloak]
        chromium = running.enter_context(Chromium(trusted=trusted, hosts=[HOST]))
        yield stage, running.enter_context(Person(chromium, home))


@pytest.mark.parametrize("client", [guide.WEB, guide.WEB_PUBLIC])
def test_a_person_signs_in_is_seen_by_name_signs_out_and_is_asked_again(
    realm: Realm, folder: Path, tmp_path: Path, client: str
) -> None:
    with gateway(realm, client, folder, tmp_path) as (stage, person):
        tab = person.visits(f"{stage.base}/desk")
        sign_in_at_keycloak(tab)
        assert "Page desk for alice" in tab.wait_until_reads("alice")
        tab.goes_to(f"{stage.base}/")
        assert "Roles: reader" in tab.text

        realm.sign_out("alice")  # its sessions there: what q asks next is asked at Keycloak
        (session,) = stage.sessions("alice")
        stage.operator.revoke(session=session)
        stage.wait_until_q_knows_none()
        tab.reloads()
        sign_in_at_keycloak(tab)
        tab.wait_until_reads("reader")

        tab.click("text=Sign out")
        # It asks whether its own session ends too, where that has not ended with the grant that the
        # daemon gave back meanwhile.
        if tab.wait_for_one_of(ASKS, SIGNED_OUT) == ASKS:
            tab.click(ASKS)
        assert "signed out" in tab.wait_until_reads("signed out").lower()
        assert stage.sessions("alice") == []
        tab.goes_to(f"{stage.base}/desk")
        sign_in_at_keycloak(tab)
        tab.wait_until_reads("Page desk for alice")
