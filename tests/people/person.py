"""A person before a browser: sees what a program opens there, reads, types and clicks."""

import os
import select
from functools import partial
from pathlib import Path
from typing import Self

from playwright.sync_api import Error, Page

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
        self._chromium.do(lambda: self._page.click(what))

    def wait_until_reads(self, words: str) -> str:
        """Wait until the words stand on the page; return all that does."""
        try:
            self._chromium.do(lambda: self._page.get_by_text(words).first.wait_for())
        except Error as error:
            raise AssertionError(f"{self.address} reads:\n{self.text}") from error
        return self.text

    def wait_until_at(self, start: str) -> None:
        """Wait until the tab has arrived at an address that begins so."""
        self._chromium.do(lambda: self._page.wait_for_url(f"{start}**"))

    def photograph(self, file: Path) -> None:
        """Keep a picture of the page."""
        self._chromium.do(lambda: self._page.screenshot(path=file))

    def close(self) -> None:
        self._chromium.do(self._page.close)


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

    def forgets(self) -> None:
        """Lose all cookies, as with the browser's session."""
        self._chromium.do(self._context.clear_cookies)
