"""Where an issuer's endpoints are: its metadata, unless the configuration says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sessiond.clock import Clock
from sessiond.core.errors import UnusableAnswer
from sessiond.core.printable import seen
from sessiond.issuers.cached_document import Kept
from sessiond.issuers.http import IssuerHttp
from sessiond.issuers.url import url_fault

MAX_AGE = 3600.0  # seconds; endpoints hardly ever move
MAX_SHOWN = 200  # characters of what the metadata calls its issuer
SUFFIX = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, 4
_SIGNING = "_auth_signing_alg_values_supported"  # RFC 8414, 2
_STATES_ISS = "authorization_response_iss_parameter_supported"  # RFC 9207, 3


class Endpoint(StrEnum):
    """The members of the metadata that sessiond uses (RFC 8414, 2; OIDC Discovery 1.0, 3)."""

    KEYS = "jwks_uri"
    INTROSPECTION = "introspection_endpoint"
    TOKEN = "token_endpoint"  # noqa: S105 - a member's name
    USERINFO = "userinfo_endpoint"
    REVOCATION = "revocation_endpoint"


class Page(StrEnum):
    """The members that name pages of the issuer's, where a browser is sent and no token."""

    AUTHORIZATION = "authorization_endpoint"  # RFC 8414, 2
    END_SESSION = "end_session_endpoint"  # OpenID Connect RP-Initiated Logout 1.0, 2.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where an endpoint is, and how a client may sign there."""

    url: str
    signing: tuple[str, ...] = ()  # JWS algorithms for private_key_jwt; none stated where empty


@dataclass(frozen=True, slots=True)
class _Metadata:
    places: Mapping[Endpoint, Place]
    pages: Mapping[Page, object]  # as stated: judged when a browser is sent there, no earlier
    states_iss: bool


class Discovery:
    """One issuer's endpoints, learned when first needed.

    An issuer that cannot be reached therefore never keeps the daemon from starting.
    """

    def __init__(
        self,
        *,
        http: IssuerHttp,
        clock: Clock,
        issuer: str,
        url: str = "",
        fixed: Mapping[Endpoint, str] | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            http: Asks the issuer.
            clock: Measures the copy's age.
            issuer: What the metadata must call itself, letter by letter (4.3).
            url: Where the metadata is; empty means below `issuer`.
            fixed: Endpoints that override the metadata; empty text overrides nothing.
        """
        self._http = http
        self._issuer = issuer
        self._url = url or issuer.rstrip("/") + SUFFIX
        self._fixed = {name: Place(place) for name, place in (fixed or {}).items() if place}
        self._metadata = Kept(self._fetch, max_age=MAX_AGE, clock=clock)

    async def find(self, name: Endpoint) -> Place | None:
        """Return an endpoint, or None where the issuer has no such endpoint.

        Raises:
            IssuerUnavailable: The metadata is needed and cannot be had.
            UnusableAnswer: It is not the issuer's, or not in order.
        """
        if name in self._fixed:
            return self._fixed[name]
        return (await self._metadata.get()).places.get(name)

    async def page(self, name: Page) -> str:
        """Return where a browser is to be sent; empty where the issuer has no such page.

        Raises:
            IssuerUnavailable, UnusableAnswer: As `find`.
        """
        stated = (await self._metadata.get()).pages.get(name)
        return "" if stated is None else self._checked(name, stated)

    async def states_iss(self) -> bool:
        """Say whether every answer to an authorization request has `iss` (RFC 9207, 3).

        Raises:
            IssuerUnavailable, UnusableAnswer: As `find`.
        """
        return (await self._metadata.get()).states_iss

    async def need(self, name: Endpoint) -> Place:
        """Return an endpoint; raise UnusableAnswer also where the issuer has none."""
        place = await self.find(name)
        if place is None:
            raise UnusableAnswer(
                f"the issuer's metadata has no {name}, wanted its URL: set it for this issuer"
            )
        return place

    async def _fetch(self) -> _Metadata:
        metadata = await metadata_at(self._http, self._url)
        if metadata.get("issuer") != self._issuer:
            raise UnusableAnswer(_mismatch(metadata.get("issuer"), self._issuer))
        return _Metadata(
            places={name: self._place(name, metadata) for name in Endpoint if name in metadata},
            pages={name: metadata[name] for name in Page if name in metadata},
            states_iss=metadata.get(_STATES_ISS) is True,
        )

    def _place(self, name: Endpoint, metadata: Mapping[str, object]) -> Place:
        signing = metadata.get(f"{name}{_SIGNING}", metadata.get(f"{Endpoint.TOKEN}{_SIGNING}"))
        return Place(self._checked(name, metadata[name]), _texts(signing))

    def _checked(self, name: Endpoint | Page, url: object) -> str:
        do = "see the issuer" if isinstance(name, Page) else "set it for this issuer"
        if not isinstance(url, str):
            raise UnusableAnswer(f"the metadata's {name} is {seen(url)}, wanted a URL: {do}")
        fault = url_fault(url, insecure_http=self._http.insecure_http)
        if fault is not None:
            raise UnusableAnswer(
                f"the metadata's {name} {fault}, wanted where a token may be sent: {do}"
            )
        return url


def _mismatch(stated: object, wanted: str) -> str:
    """Say what the metadata calls its issuer, and what it was to."""
    if stated is None:
        return f"the metadata names no issuer, wanted {wanted!r}: see discovery and issuer"
    is_slash = isinstance(stated, str) and stated.rstrip("/") == wanted.rstrip("/")
    return (
        f"the metadata's issuer is {ascii(stated)[:MAX_SHOWN]}, wanted {wanted!r}"
        f"{' (they differ by a slash at the end)' if is_slash else ''}: if it is the right one, "
        "write issuer exactly so"
    )


async def metadata_at(http: IssuerHttp, url: str) -> dict[str, object]:
    """Return an issuer's metadata as it says it.

    Raises:
        IssuerUnavailable: It cannot be had.
        UnusableAnswer: What is there is none.
    """
    reply = await http.get(url)
    if not reply.is_success:
        raise reply.trouble(
            f"the issuer's metadata: {reply.status}, wanted 200: see issuer and discovery"
        )
    return reply.read()


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()
