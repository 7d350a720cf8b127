"""A person before a browser: sees what a program opens there, reads, types and clicks."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Error, Page, Route

from tests.people.chromium import PATIENCE as PAGE_PATIENCE
from tests.people.chromium import Chromium

PATIENCE = 30.0  # seconds for a program to open a page
# What the program runs: it tells the test the address, and the test opens it in its own browser.
OPENER = """#!/bin/sh
env >> '{folder}/browser.env'
printf '%s\\n' "$1" > '{pipe}'
"""


class Tab:
    """One tab of the person's browser."""

    def __init__(self, chromium: Chromium, page: Page, asked: str) -> None:
        self._chromium, self._page = chromium, page
        self.asked = asked  # the address that the program opened

    @property
    def address(self) -> str:
        """What stands in the address bar."""
        return self._chromium.do(lambda: self._page.url)

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return self._chromium.do(lambda: self._page.inner_text("body"))

    @property
    def source(self) -> str:
        """The page's whole text, with what nobody sees."""
        return self._chromium.do(self._page.content)

    def fill(self, **fields: str) -> None:
        """Type into the form's fields, by their names."""
        for name, text in fields.items():
            self._chromium.do(partial(self._page.fill, f"[name={name}]", text))

    def click(self, what: str) -> None:
        """Click on what a CSS selector finds, and wait for what comes of it."""
        with self._telling():
            self._chromium.do(lambda: self._page.click(what))

    def wait_until_reads(self, words: str) -> str:
        """Wait until the words stand on the page; return all that does."""
        with self._telling():
            self._chromium.do(lambda: self._page.get_by_text(words).first.wait_for())
        return self.text

    def wait_for_one_of(self, *what: str) -> str:
        """Wait until something is shown that one of the CSS selectors finds; return that one."""

        def shown() -> str:
            self._page.wait_for_selector(", ".join(what))
            return next(each for each in what if self._page.is_visible(each))

        with self._telling():
            return self._chromium.do(shown)

    def wait_until_at(self, start: str) -> None:
        """Wait until the tab has arrived at an address that begins so."""
        self._chromium.do(lambda: self._page.wait_for_url(f"{start}**"))

    def goes_to(self, address: str) -> int:
        """Type an address in; return the status of the page that it leads to."""
        response = self._chromium.do(lambda: self._page.goto(address))
        assert response is not None
        return self._chromium.do(lambda: response.status)

    def reloads(self) -> None:
        self._chromium.do(self._page.reload)

    def goes_back(self) -> None:
        self._chromium.do(self._page.go_back)

    def runs(self, script: str) -> Any:
        """Return what a function in the page's own script gives, waited for as pages are."""
        bounded = f"""() => Promise.race([({script})(), new Promise((_, fail) => setTimeout(
            () => fail(new Error('the script is not done')), {PAGE_PATIENCE}))])"""
        return self._chromium.do(lambda: self._page.evaluate(bounded))

    def frames(self) -> list[str]:
        """Return what can be read in each frame of the page."""
        return self._chromium.do(lambda: [each.inner_text("body") for each in self._page.frames])

    def photograph(self, file: Path) -> None:
        """Keep a picture of the page."""
        self._chromium.do(lambda: self._page.screenshot(path=file))

    def close(self) -> None:
        self._chromium.do(self._page.close)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say what the page was where something is not found on it."""
        try:
            yield
        except Error as error:
            raise AssertionError(f"{self.address} reads:\n{self.text}") from error


class Person:
    """One person, signed in nowhere at first; whatever a program opens is opened for him alone."""

    def __init__(self, chromium: Chromium, folder: Path) -> None:
        """Sit down.

        Args:
            chromium: The browser.
            folder: A place for what the program is to run as `BROWSER`.
        """
        self._chromium = chromium
        self._context = chromium.fresh()
        pipe = folder / "opened"
        os.mkfifo(pipe)
        self._opened = os.open(pipe, os.O_RDWR)  # so that nobody waits who writes
        self._addresses: list[str] = []
        self.browser = folder / "browser"  # for the environment's `BROWSER`
        self.browser.write_text(OPENER.format(folder=folder, pipe=pipe))
        self.browser.chmod(0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._chromium.do(self._context.close)
        os.close(self._opened)

    def sees(self) -> Tab:
        """Wait until a program opens a page, and look at it."""
        assert self.is_shown(within=PATIENCE), "no page was opened"
        return self.visits(self._addresses.pop(0))

    def is_shown(self, *, within: float) -> bool:
        """Say whether a program has opened a page that was not looked at, at the latest then."""
        if not self._addresses and select.select([self._opened], [], [], within)[0]:
            self._addresses += os.read(self._opened, 65536).decode().splitlines()
        return bool(self._addresses)

    def visits(self, address: str) -> Tab:
        """Open a page in a tab of its own."""
        page = self._chromium.do(self._context.new_page)
        try:
            self._chromium.do(lambda: page.goto(address))
        except Error as error:
            if "net::ERR_" not in error.message:  # of which the browser has a page of its own
                raise
        return Tab(self._chromium, page, address)

    def forgets(self, host: str | None = None) -> None:
        """Lose all cookies, or those of a host, as with the browser's session."""
        self._chromium.do(lambda: self._context.clear_cookies(domain=host))

    def cookies(self, address: str) -> dict[str, str]:
        """Return the cookies that would be sent there, by name."""
        found = self._chromium.do(lambda: self._context.cookies(address))
        return {each["name"]: each["value"] for each in found}

    def knows_page(self, address: str, html: str) -> None:
        """Have a page at an address of somebody else's, where nobody listens."""

        def fulfil(route: Route) -> None:
            route.fulfill(content_type="text/html", body=html)

        self._chromium.do(lambda: self._context.route(address, fulfil))
