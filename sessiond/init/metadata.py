"""What an issuer says of itself (OpenID Connect Discovery 1.0), asked as the daemon asks."""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sessiond.clock import SystemClock
from sessiond.core.errors import ConfigError, IssuerUnavailable
from sessiond.init.answers import Given
from sessiond.init.vendors import ENTRA, TENANT, Vendor, vendor_of
from sessiond.issuers.discovery import SUFFIX, Endpoint, metadata_at
from sessiond.issuers.http import IssuerHttp, trust
from sessiond.issuers.url import url_fault

TIMEOUT = 10.0  # seconds; a person waits
ENTRA_ISSUER = "https://login.microsoftonline.com/{tenant}/v2.0"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The issuer as it calls itself, and where it can be asked what."""

    issuer: str
    members: Mapping[str, object]

    def has(self, name: str) -> bool:
        return isinstance(self.members.get(name), str)

    @property
    def verify(self) -> str:
        """The strictest way of verifying that it leaves open."""
        if self.has(Endpoint.KEYS):
            return "jwt"
        return "introspection" if self.has(Endpoint.INTROSPECTION) else "userinfo"


def spelled(issuer: str) -> str:
    """Return what a person typed as an issuer's URL: the host alone, its metadata's, a tenant."""
    text = issuer.strip().removesuffix(SUFFIX)
    if TENANT.fullmatch(text):
        return ENTRA_ISSUER.format(tenant=text.lower())
    return text if "://" in text else f"https://{text}"


async def look_up(issuer: str, given: Given) -> Metadata:
    """Ask the issuer, as it was typed, what it calls itself.

    Raises:
        ConfigError: The URL, or the file of authorities, is wrong; or somebody else answers there.
        IssuerUnavailable: It does not answer with its metadata.
    """
    fault = url_fault(issuer, insecure_http=given.insecure_http)
    if fault is not None:
        raise ConfigError(f"the issuer's URL {fault}, must be https:// with a host, and no more")
    url = issuer.rstrip("/") + SUFFIX
    async with IssuerHttp(
        timeout=TIMEOUT,
        concurrency=1,
        clock=SystemClock(),
        tls=_trust(given.ca_file),
        insecure_http=given.insecure_http,
    ) as http:
        try:
            members = await metadata_at(http, url)
        except IssuerUnavailable as error:
            raise IssuerUnavailable(
                f"{url}: {error}\ntry: curl -v {url}; --ca-file names a private authority; "
                "--offline does without the issuer"
            ) from error
    return Metadata(_own_name(issuer, members), members)


def found(typed: str, metadata: Metadata, vendor: Vendor) -> Iterator[str]:
    """Yield what was learned, a line each."""
    yield f"{metadata.issuer} answers: {vendor.title}"
    if metadata.issuer != typed:
        yield f"  typed as {typed}"
        yield "  its own spelling counts, since its tokens have that"
    for name, what in {
        Endpoint.KEYS: "keys, so that tokens can be checked here (verify = jwt)",
        Endpoint.INTROSPECTION: "introspection",
        Endpoint.REVOCATION: "revocation of refresh tokens",
        "device_authorization_endpoint": "device codes, for `sessionctl test`",
    }.items():
        yield f"  {'has' if metadata.has(name) else 'has no'} {what}"


def _own_name(typed: str, members: Mapping[str, object]) -> str:
    """Return what the issuer calls itself; a slash more or less is only a slip of who typed it."""
    issuer = members.get("issuer")
    if not isinstance(issuer, str):
        raise ConfigError(
            f"what {typed} answers has no `issuer`, wanted an issuer's metadata: see its URL"
        )
    if issuer.rstrip("/") == typed.rstrip("/"):
        return issuer
    is_entra = vendor_of(typed) is ENTRA and vendor_of(issuer) is ENTRA
    if is_entra and "{" not in issuer and issuer.isprintable():
        return issuer  # a tenant by one of its domains: its tokens have the id
    shown = issuer if issuer.isprintable() else ascii(issuer)
    raise ConfigError(
        f"{typed} answers as another issuer, {shown[:200]}, wanted the one typed: give --issuer "
        "with that, if it is meant"
    )


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return trust(ca_file)
    except OSError as error:
        raise ConfigError(
            f"--ca-file: {ca_file} is no file of certificates ({error}), wanted PEM: name another"
        ) from error
