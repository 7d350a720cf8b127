"""Who vouches for the certificate of a gateway under test."""

import ssl
from pathlib import Path

import trustme

HOST = "gateway"


class Authority:
    """Who vouches for the gateway's certificate, in one test alone."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._leaf = self._authority.issue_cert(HOST, "localhost")

    @property
    def certificate(self) -> bytes:
        """The gateway's own, as PEM."""
        return self._leaf.cert_chain_pems[0].bytes()

    @property
    def serving(self) -> ssl.SSLContext:
        """What the gateway serves with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._leaf.configure_cert(context)
        return context

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a program takes the gateway with."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def written(self, folder: Path) -> Path:
        """Return a file with the authority's certificate, for programs that take one."""
        path = folder / "gateway-ca.pem"
        self._authority.cert_pem.write_to_path(path)
        return path
