"""A person's browser at a q process' HTTP port, of which the test plays q.

Each request is a call `web`, as the hook makes it, and what comes back is what the browser would
see: the page of q itself where it is let in, else the response that the daemon wrote.
"""

import re
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from sessiond.testing import FakeProcess
from tests import canary
from tests.issuer.browser import walk
from tests.issuer.running import ALICE, RunningIssuer, usual_password

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
CALLBACK = "/.sessiond/callback"
ASKS_AGAIN = 30  # times that a page which refreshes itself is asked for


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser was shown."""

    answer: dict[str, Any]  # of the call, whole
    headers: list[tuple[str, str]]

    @property
    def action(self) -> str:
        """What q was told to do."""
        return str(self.answer["action"])

    @property
    def status(self) -> int:
        return int(self.answer["status"])

    def header(self, name: str) -> str:
        """Return a header's value; empty: it is not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def location(self) -> str:
        return self.header("Location")


class Gateway:
    """One browser, with its own cookies, and the q process that it asks."""

    def __init__(self, q: FakeProcess, base: str, issuer: RunningIssuer) -> None:
        """Begin with no cookie, at q or at the issuer.

        Args:
            q: It has said hello.
            base: The origin that the browser sees.
            issuer: Where the person signs in.
        """
        self.q = q
        self.base = base
        self.cookies: dict[str, str] = {}
        trusts: Any = ssl.create_default_context(cafile=issuer.ca_file) if issuer.ca_file else False
        headers = {"x-from-test": "yes"}
        self.elsewhere = httpx.Client(verify=trusts, headers=headers, timeout=10, trust_env=False)

    def get(self, target: str = "/", *, accept: str = HTML, **said: str) -> Page:
        """Ask for a page with the cookies that the browser has, and keep those that come."""
        sent = {"host": urlsplit(self.base).netloc, "cookie": self.cookie, **said}
        answer = self.q.web(target, accept=accept, **sent)
        lines = answer["headers"].split("\r\n")
        assert not answer["headers"] or lines[-1] == ""
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        for name, value in headers:
            if name.lower() == "set-cookie":
                self._keep(value)
        return Page(answer, headers)

    @property
    def cookie(self) -> str:
        """The header that the browser sends."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def begin(self, target: str = "/", user: str = ALICE) -> str:
        """Sign a person in at the issuer; return the target that the browser comes back with."""
        page = self.get(target)
        assert (page.action, page.status) == ("redirect", 302), page
        return self.returned(page.location, user)

    def returned(self, authorization_url: str, user: str = ALICE) -> str:
        """Fill in the issuer's forms; return the target that the browser comes back with."""
        form = {"login": user, "password": usual_password(user)}
        query = walk(self.elsewhere, self.elsewhere.get(authorization_url), form)
        canary.remember(query["code"], "code")
        canary.remember(query["state"], "state")
        return f"{CALLBACK}?{urlencode(query)}"

    def logged_out(self, end_session_url: str) -> str:
        """Say yes at the issuer's page; return where it sends the browser then."""
        page = self.elsewhere.get(end_session_url)
        form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        (action,) = re.findall(r'action="([^"]+)"', page.text)
        left = self.elsewhere.post(action, data={**form, "logout": "yes"})
        assert left.is_redirect, left.text
        return left.headers["location"]

    def follow(self, target: str) -> Page:
        """Ask for a page, and again when it says so, while it refreshes itself.

        Raises:
            AssertionError: It goes on for ever.
        """
        for _ in range(ASKS_AGAIN):
            page = self.get(target, site="cross-site")  # as whatever an issuer sends there
            if not page.header("Refresh"):
                return page
            time.sleep(float(page.header("Refresh")))
        raise AssertionError("the page refreshes itself for ever")

    def sign_in(self, target: str = "/", user: str = ALICE) -> Page:
        """Do all of it; return the page that was wanted at first."""
        page = self.follow(self.begin(target, user))
        assert (page.action, page.status) == ("redirect", 302), page
        assert page.location == self.base + target
        page = self.get(target, site="cross-site")  # and what follows from that
        assert page.action == "allow", page
        return page

    def _keep(self, line: str) -> None:
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value
            canary.remember(value, "cookie")
