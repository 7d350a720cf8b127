"""Whose issuer one is, and that what is said of each can be said."""

import pytest

from sessiond.init.steps import at_the_issuer
from sessiond.init.vendors import AUTH0, ENTRA, KEYCLOAK, OKTA, OTHER, Vendor, vendor_of
from tests.unit.init.answered import ANSWERS


@pytest.mark.parametrize(
    ("issuer", "vendor"),
    [
        ("https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0", ENTRA),
        ("https://login.microsoftonline.us/contoso.com/v2.0", ENTRA),
        ("https://sts.windows.net/11111111-1111-1111-1111-111111111111/", ENTRA),
        ("https://sso.example.com/realms/trading", KEYCLOAK),
        ("https://sso.example.com/auth/realms/trading/", KEYCLOAK),
        ("https://example.okta.com/oauth2/default", OKTA),
        ("https://example.oktapreview.com", OKTA),
        ("https://example.eu.auth0.com/", AUTH0),
        ("https://login.example.com/", OTHER),
        ("https://okta.com.example.org/", OTHER),
        ("https://login.microsoftonline.com.example.org/x/v2.0", OTHER),
        ("https://[::1", OTHER),
    ],
)
def test_an_issuer_is_known_by_its_url_alone(issuer: str, vendor: Vendor) -> None:
    assert vendor_of(issuer) is vendor


@pytest.mark.parametrize("name", ANSWERS)
def test_every_text_is_filled_in(name: str) -> None:
    text = "\n".join(at_the_issuer(ANSWERS[name]))
    assert "{" not in text
    assert "()" not in text
    assert ANSWERS[name].vendor.title in text


def test_no_vendors_name_is_anothers() -> None:
    vendors = (ENTRA, KEYCLOAK, OKTA, AUTH0, OTHER)
    assert len({each.word for each in vendors}) == len(vendors)
