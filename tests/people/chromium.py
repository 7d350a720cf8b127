"""Debian's Chromium without a window, driven by Playwright, for one worker of the tests."""

import base64
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Self, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

PROGRAM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 20_000.0  # milliseconds for whatever a page is waited for

R = TypeVar("R")


class Chromium:
    """The browser, until closed.

    Playwright keeps an event loop running in the thread that calls it, where no test that has one
    of its own could run then: so it has a thread to itself, and `do` is the way there.
    """

    def __init__(self, *, trusted: Iterable[bytes] = (), hosts: Iterable[str] = ()) -> None:
        """Launch it.

        Args:
            trusted: Certificates of servers, as PEM: it takes these keys and no others' that its
                authorities do not vouch for. None: it takes every certificate.
            hosts: Names that are this machine's, for this browser.
        """
        flags = [f"--host-resolver-rules={','.join(f'MAP {host} 127.0.0.1' for host in hosts)}"]
        keys = [_fingerprint(certificate) for certificate in trusted]
        flags += [f"--ignore-certificate-errors-spki-list={','.join(keys)}"] if keys else []
        self._is_strict = bool(keys)
        self._thread = ThreadPoolExecutor(1, "chromium")
        self._playwright, self._browser = self.do(lambda: _launched(flags))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self._browser.close)
        self.do(self._playwright.stop)
        self._thread.shutdown()

    def do(self, work: Callable[[], R]) -> R:
        """Do something with Playwright's objects, which belong to their thread."""
        return self._thread.submit(work).result()

    def fresh(self) -> BrowserContext:
        """Return a context without cookies: a person who is signed in nowhere."""
        return self.do(self._context)

    def _context(self) -> BrowserContext:
        context = self._browser.new_context(ignore_https_errors=not self._is_strict)
        context.set_default_timeout(PATIENCE)
        return context


def _fingerprint(certificate: bytes) -> str:
    """Return what the browser knows a key by: the hash of it alone (RFC 7469, 2.4)."""
    key = load_pem_x509_certificate(certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(sha256(spki).digest()).decode()


def _launched(flags: Iterable[str]) -> tuple[Playwright, Browser]:
    playwright = sync_playwright().start()
    without_proxy = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    browser = playwright.chromium.launch(
        executable_path=PROGRAM, args=[*FLAGS, *flags], env=dict(without_proxy)
    )
    return playwright, browser
