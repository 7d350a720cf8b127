"""The test issuer as a running process, with what a test asks of it."""

import ssl
import tempfile
from pathlib import Path
from typing import Any, Self

import httpx
import trustme

from tests import canary
from tests.issuer.browser import enter_device_code, login_by_code
from tests.issuer.control import IssuerControl
from tests.issuer.process import IssuerError, NodeProcess

ALICE, BOB = "alice@contoso.test", "bob@contoso.test"
API = "api://kdb"
USUAL_SCOPE = "openid profile offline_access session.login"
SERVICE = ("sessiond", "sessiond-secret")  # the client that may introspect


class RunningIssuer:
    """The issuer in a process of its own on a loopback port, until stopped.

    Paths are Entra's, below /contoso. Its own requests (tokens, refresh, introspect) are a test's
    preparations: neither counted nor struck by faults.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        rotation: str = "strict",
        scopeless: str = "api",
        typ: str = "at+jwt",
        port: int = 0,
    ) -> None:
        """Start it and wait until it is ready.

        Args:
            tls: https under a certificate authority of its own (`ca_file`), else plain http.
            rotation: strict, entra or none; settings.mjs says what they mean, and of the next two.
            scopeless: api or graph.
            typ: Of the header of JWT access tokens.
            port: 0 takes a free one.

        Raises:
            IssuerError: It ended or was not ready in time.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="issuer-")
        certificates = _Certificates(Path(self._folder.name))
        self.ca_file = certificates.ca_file if tls else None
        self.client_key_file = certificates.client_key_file  # of the client sessiond-cert
        self.client_certificate_file = certificates.client_file
        settings = {
            "PORT": str(port),
            "CERTS": self._folder.name if tls else "",
            "CLIENT_CERT": str(certificates.client_file),
            "ROTATION": rotation,
            "SCOPELESS": scopeless,
            "TYP": typ,
            "DEBUG": "yes",
        }
        try:
            self._process = NodeProcess(settings)
        except IssuerError:
            self._folder.cleanup()
            raise
        self.issuer = self._process.issuer
        self.origin = self.issuer.removesuffix("/contoso/v2.0")
        self._http = self._client()
        self.control = IssuerControl(self._http, self.origin)

        oauth = f"{self.origin}/contoso/oauth2/v2.0"
        self.authority = f"{self.origin}/contoso"  # as MSAL calls it
        self.token_endpoint = f"{oauth}/token"
        self.authorization_endpoint = f"{oauth}/authorize"
        self.introspection_endpoint = f"{oauth}/introspect"
        self.revocation_endpoint = f"{oauth}/revoke"
        self.userinfo_endpoint = f"{self.origin}/oidc/userinfo"
        self.graph_me_endpoint = f"{self.origin}/v1.0/me"
        self.jwks_uri = f"{self.origin}/contoso/discovery/v2.0/keys"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has printed so far."""
        return self._process.log

    def tokens(
        self,
        user: str = ALICE,
        client: str = "qstudio",
        scope: str = USUAL_SCOPE,
        resource: str | None = None,
        password: str | None = None,
        secret: str | None = None,
    ) -> dict[str, Any]:
        """Return a token answer by the password grant: one request, the cheapest way.

        Args:
            client: qstudio gets a JWT access token, qstudio-opaque an opaque one.
            resource: api://kdb (RS256, the default), api://kdb-ec (ES256) or api://kdb-ed (EdDSA).
            password: Left out, `pw-` and the name before the @.
            secret: The client's, where it has one: `webapp` does.
        """
        form = {
            "grant_type": "password",
            "client_id": client,
            "username": user,
            "password": password or usual_password(user),
            "scope": scope,
        }
        target = {} if resource is None else {"resource": resource}
        auth = httpx.USE_CLIENT_DEFAULT if secret is None else (client, secret)
        return self._answer(self._http.post(self.token_endpoint, data=form | target, auth=auth))

    def tokens_by_code(
        self,
        user: str = ALICE,
        client: str = "qstudio",
        scope: str = USUAL_SCOPE,
        resource: str | None = None,
    ) -> dict[str, Any]:
        """Return a token answer by the login that a desktop program does: code and PKCE."""
        with self._client() as browser:
            return remembered(
                login_by_code(
                    browser,
                    authorize=self.authorization_endpoint,
                    token=self.token_endpoint,
                    user=user,
                    password=usual_password(user),
                    client=client,
                    scope=scope,
                    resource=resource,
                )
            )

    def enter_device_code(self, url: str, user: str = ALICE, *, agrees: bool = True) -> None:
        """Sign a user in, or refuse, on the pages that a device code leads to."""
        with self._client() as browser:
            enter_device_code(browser, url, user=user, password=usual_password(user), agrees=agrees)

    def app_token(self) -> str:
        """Return an access token of the client sessiond itself: no user in it."""
        form = {"grant_type": "client_credentials", "scope": "session.login", "resource": API}
        answer = self._answer(self._http.post(self.token_endpoint, data=form, auth=SERVICE))
        token: str = answer["access_token"]
        return token

    def refresh(
        self, refresh_token: str, client: str = "qstudio", scope: str | None = None
    ) -> httpx.Response:
        """Return the token endpoint's response to a refresh, whatever it is."""
        form = {
            "grant_type": "refresh_token",
            "client_id": client,
            "refresh_token": refresh_token,
        }
        return self._http.post(
            self.token_endpoint, data=form if scope is None else form | {"scope": scope}
        )

    def introspect(self, token: str) -> dict[str, Any]:
        """Return what introspection says (RFC 7662); JWT access tokens it does not take."""
        return self._answer(
            self._http.post(self.introspection_endpoint, data={"token": token}, auth=SERVICE)
        )

    def stop(self) -> None:
        """End it; again is harmless."""
        self._end(by_force=False)

    def kill(self) -> None:
        """End it as a crash would: connections break, all that it issued is forgotten."""
        self._end(by_force=True)

    def _end(self, *, by_force: bool) -> None:
        self._process.end(by_force=by_force)
        self._http.close()
        self._folder.cleanup()

    def _client(self) -> httpx.Client:
        """Return a client that the issuer recognises as the test's own."""
        verify = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else False
        headers = {"x-from-test": "yes"}
        return httpx.Client(verify=verify, headers=headers, timeout=10.0, trust_env=False)

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        if response.status_code != 200:
            raise IssuerError(f"{response.status_code} {response.text}\n{self.log}")
        answer: dict[str, Any] = response.json()
        return remembered(answer)


def remembered(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a token answer whose tokens the canary knows from now on."""
    for name in ("access_token", "refresh_token", "id_token"):
        if name in answer:
            canary.remember(answer[name], name)
    return answer


class _Certificates:
    """The test authority's files in one folder: the server's own, and the client's for PS256."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        server = authority.issue_cert("localhost", "127.0.0.1")
        server.private_key_pem.write_to_path(folder / "server.key")
        for link in server.cert_chain_pems:
            link.write_to_path(folder / "server.pem", append=True)
        client = authority.issue_cert("sessiond", key_type=trustme.KeyType.RSA)
        self.client_key_file = folder / "client.key"
        self.client_file = folder / "client.pem"
        client.private_key_pem.write_to_path(self.client_key_file)
        client.cert_chain_pems[0].write_to_path(self.client_file)


def usual_password(user: str) -> str:
    """Return the password that the issuer gives each user."""
    return "pw-" + user.split("@")[0].lower()
