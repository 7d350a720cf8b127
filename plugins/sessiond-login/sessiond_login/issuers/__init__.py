"""Everything that speaks to issuers, and to the browser on their behalf."""

from sessiond_login.clock import Clock
from sessiond_login.issuer import Issuer
from sessiond_login.issuers.client import Client
from sessiond_login.issuers.flows import Flows
from sessiond_login.issuers.http import TIMEOUT, IssuerHttp
from sessiond_login.issuers.metadata import Metadata
from sessiond_login.profile import Profile


def issuer_of(profile: Profile, clock: Clock, *, timeout: float = TIMEOUT) -> Issuer:
    """Return a profile's issuer. Nothing is asked before it is first called.

    Args:
        profile: Which, and as which client.
        clock: Dates ID tokens, and times the person.
        timeout: Seconds for each request to it.

    Raises:
        ProfileRefused: The profile's ca_file cannot be used.
        IssuerUnavailable: The proxy that the environment names cannot be used.
    """
    http = IssuerHttp(ca_file=profile.ca_file, insecure_http=profile.insecure_http, timeout=timeout)

    def client(metadata: Metadata) -> Client:
        """Import what is needed alone: each library takes a tenth of a second and more."""
        if profile.kind == "entra":
            from sessiond_login.issuers.entra import EntraClient

            return EntraClient(profile=profile, http=http, metadata=metadata)
        from sessiond_login.issuers.oidc import OidcClient

        return OidcClient(profile=profile, http=http, metadata=metadata)

    return Flows(profile=profile, http=http, clock=clock, make_client=client)
