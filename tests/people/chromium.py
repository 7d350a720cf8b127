"""Debian's Chromium without a window, driven by Playwright, for one worker of the tests."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

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

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "chromium")
        self._playwright, self._browser = self.do(_launched)

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
        context = self._browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PATIENCE)
        return context


def _launched() -> tuple[Playwright, Browser]:
    playwright = sync_playwright().start()
    without_proxy = {name: text for name, text in os.environ.items() if "proxy" not in name.lower()}
    browser = playwright.chromium.launch(
        executable_path=PROGRAM, args=list(FLAGS), env=dict(without_proxy)
    )
    return playwright, browser
