"""What an issuer says of itself (OpenID Connect Discovery 1.0; RFC 8414)."""

from dataclasses import dataclass

from sessiond_login.errors import ProfileRefused
from sessiond_login.issuers.http import IssuerHttp, url_fault
from sessiond_login.issuers.words import printable
from sessiond_login.profile import Profile

_ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "device_authorization_endpoint",
    "revocation_endpoint",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Where an issuer is asked for what. Each endpoint is one that tokens may be sent to."""

    issuer: str
    endpoints: dict[str, str]  # by name; those that are there
    names_itself: bool  # in each authorization response (RFC 9207, 3)
    does_pkce: bool  # by its own word (RFC 8414, 2); others may do it and not say so

    def endpoint(self, name: str) -> str:
        """Return an endpoint that is needed.

        Raises:
            ProfileRefused: The issuer has none.
        """
        if name not in self.endpoints:
            raise ProfileRefused(
                f"the issuer names no {name}, wanted one: see the profile's flow, or ask who runs "
                "the issuer"
            )
        return self.endpoints[name]


def read_metadata(http: IssuerHttp, profile: Profile) -> Metadata:
    """Return what the profile's issuer says of itself.

    Raises:
        ProfileRefused: There is no such issuer, it names itself otherwise, or cannot do S256.
        IssuerUnavailable: It does not answer, or with nothing of use.
    """
    reply = http.get(profile.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if reply.status in (400, 404):
        raise ProfileRefused(
            f"{reply.host} knows no issuer {printable(profile.issuer)}: see the profile's issuer"
        )
    members = reply.members() if reply.is_success else None
    if members is None:
        raise reply.unusable("the issuer's metadata")
    if members.get("issuer") != profile.issuer:
        raise ProfileRefused(
            f"the issuer calls itself {printable(members.get('issuer')) or 'nothing'}, wanted "
            f"{printable(profile.issuer)} letter by letter: see the profile's issuer"
        )
    methods = members.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise ProfileRefused(
            "the issuer offers no PKCE with S256 (RFC 7636), wanted it: ask who runs the issuer"
        )
    return Metadata(
        issuer=profile.issuer,
        endpoints=_endpoints(members, profile),
        does_pkce=isinstance(methods, list),
        names_itself=members.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoints(members: dict[str, object], profile: Profile) -> dict[str, str]:
    found = {}
    for name in _ENDPOINTS:
        url = members.get(name)
        if url is None:
            continue
        fault = (
            url_fault(url, insecure_http=profile.insecure_http)
            if isinstance(url, str)
            else "is not a URL"
        )
        if fault is not None:
            raise ProfileRefused(
                f"the issuer's {name} {fault}, wanted https://: ask who runs the issuer"
            )
        found[name] = str(url)
    return found
