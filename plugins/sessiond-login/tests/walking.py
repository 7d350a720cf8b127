"""Persons of the tests: one walks the pages that he is shown, in a browser without a screen."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Self
from urllib.parse import urljoin

import httpx
from sessiond_login.clock import SystemClock
from sessiond_login.issuer import Granted
from sessiond_login.profile import Profile
from sessiond_login.secret import Secret

from tests import canary
from tests.issuer.running import ALICE, RunningIssuer, usual_password

REDIRECTS = (301, 302, 303)


class Hasty(SystemClock):
    """A clock for those who do not want to wait: what is slept is over at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return super().monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Teller:
    """Somebody without a browser."""

    def __init__(self, user: str = ALICE, *, heard: Callable[[str], object] | None = None) -> None:
        self.told: list[str] = []
        self.user = user
        self._heard = heard

    def open(self, url: str) -> bool:
        return False

    def tell(self, words: str) -> None:
        self.told.append(words)
        if self._heard is not None:
            self._heard(words)

    def ask_password(self, user: str) -> tuple[str, Secret]:
        return user or self.user, Secret(usual_password(self.user))


class Walker(Teller):
    """Somebody who signs in on the pages that open, until none leads on."""

    def __init__(self, user: str = ALICE, ca_file: Path | None = None) -> None:
        super().__init__(user)
        verify = ssl.create_default_context(cafile=ca_file) if ca_file else False
        self.http = httpx.Client(verify=verify, timeout=20.0, trust_env=False)
        self.seen: list[httpx.Response] = []  # each page and redirect, in order
        self.opened = 0
        self._walks: list[Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self.http.close()

    def open(self, url: str) -> bool:
        self.opened += 1
        walk = Thread(target=self.walk, args=(url,), daemon=True)
        self._walks.append(walk)
        walk.start()
        return True

    def wait(self) -> None:
        for walk in self._walks:
            walk.join(20.0)

    def last_page(self) -> httpx.Response:
        self.wait()
        return self.seen[-1]

    def prompts(self) -> list[str]:
        """What was filled in on the way."""
        self.wait()
        return re.findall(r'name="prompt" value="(\w+)"', " ".join(page.text for page in self.seen))

    def forget_pages(self) -> None:
        self.wait()
        self.seen.clear()

    def walk(self, url: str) -> None:
        """Go where redirects lead, and fill in each form."""
        page = self._see(self.http.get(url))
        for _ in range(30):
            if page.status_code in REDIRECTS:
                page = self._see(self.http.get(urljoin(str(page.url), page.headers["location"])))
                continue
            prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
            action = re.search(r'action="([^"]+)"', page.text)
            if prompt is None or action is None:
                return
            form = {
                "prompt": prompt[1],
                "login": self.user,
                "password": usual_password(self.user),
            }
            page = self._see(self.http.post(urljoin(str(page.url), action[1]), data=form))

    def _see(self, page: httpx.Response) -> httpx.Response:
        self.seen.append(page)
        return page


def remembered(granted: Granted) -> Granted:
    """Have the suite's canary look for the tokens from now on."""
    canary.remember(granted.access.reveal(), "access_token")
    if granted.refresh is not None:
        canary.remember(granted.refresh.reveal(), "refresh_token")
    return granted


def profile_of(running: RunningIssuer, /, **keys: object) -> Profile:
    """Return the profile of the test issuer's usual client."""
    usual = {
        "issuer": running.issuer,
        "client_id": "qstudio",
        "scopes": ("openid", "profile", "offline_access", "session.login"),
        "insecure_http": running.ca_file is None,
        "ca_file": str(running.ca_file or ""),
    }
    return Profile(**(usual | keys))  # type: ignore[arg-type]
