"""What a person does on the issuers' pages."""

from tests.issuer.running import ALICE, usual_password
from tests.people.person import Tab


def sign_in_at_provider(tab: Tab, user: str = ALICE, *, agrees: bool = True) -> None:
    """Fill in the test issuer's forms: name and password, then consent."""
    enter_password_at_provider(tab, user)
    decide_at_provider(tab, agrees=agrees)


def enter_password_at_provider(tab: Tab, user: str = ALICE) -> None:
    """Fill in the first form alone."""
    tab.fill(login=user, password=usual_password(user))
    tab.click("button:has-text('Sign in')")


def decide_at_provider(tab: Tab, *, agrees: bool = True) -> None:
    """Consent, or refuse to."""
    tab.click("button:has-text('Allow')" if agrees else "button:has-text('Deny')")


def sign_in_at_keycloak(tab: Tab, user: str = "alice") -> None:
    """Fill in Keycloak's form, which asks a public client's user for no consent."""
    tab.fill(username=user, password=f"pw-{user}")
    tab.click("#kc-login")
