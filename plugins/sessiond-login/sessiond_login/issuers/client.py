"""What the two kinds of issuer do in their own ways; all else is the same for both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sessiond_login.issuers.answers import Answer
from sessiond_login.issuers.device import DeviceCode
from sessiond_login.secret import Secret

Prompt = Literal["", "none", "consent"]  # OpenID Connect Core, 3.1.2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One authorization request: its address, what its answer must have, and what redeems that."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    redeem: Callable[[Mapping[str, str]], Answer]  # the parameters of the answer that has a code


class Client(Protocol):
    """One public client at one issuer. Each raises Refused where the issuer says no by an error
    of OAuth's, IssuerUnavailable and ProfileRefused as `Issuer` has them."""

    def ask(self, redirect_uri: str, prompt: Prompt) -> Asked:
        """Return a new authorization request, with a state, nonce and verifier of its own."""
        ...

    def needs_consent(self, answer: Answer) -> bool:
        """Say whether a refresh token is missing that would come if the person were asked."""
        ...

    def device_code(self) -> DeviceCode:
        """Return a new code to be entered elsewhere."""
        ...

    def poll(self, code: DeviceCode) -> Answer:
        """Return the tokens, once the code was entered and agreed to."""
        ...

    def by_password(self, user: str, password: Secret) -> Answer:
        """Return the tokens for a name and password."""
        ...

    def refresh(self, refresh: Secret) -> Answer:
        """Spend a refresh token."""
        ...

    def revoke(self, refresh: Secret) -> bool:
        """Take a grant back; False: there is no way to."""
        ...
