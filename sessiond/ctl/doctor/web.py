"""The browser's side: what an issuer must have registered, and what the pages need.

No base is asked from here: whether q answers there, and with which certificate, a browser shows.
"""

from collections.abc import Iterator
from importlib.util import find_spec

from sessiond.config import Config
from sessiond.ctl.doctor.finding import Finding, ok, warning, wrong
from sessiond.web.base import CALLBACK


def web(config: Config) -> Iterator[Finding]:
    """Say what each client's registration must have, letter by letter."""
    clients = [(each.name, each.web) for each in config.issuers if each.web is not None]
    if clients and find_spec("jinja2") is None:
        advice = "install the extra `web`: .ci/pins/web.txt, as step 2 of docs/web.md shows"
        yield wrong("web pages", "jinja2 is not installed here", advice)
    if config.web.bases and not clients:
        found = "web.bases is set, and no issuer has a client for browsers"
        yield warning("web pages", found, "give one [issuer.web], or take the bases out")
    for name, client in clients:
        for base in config.web.bases:
            uri = f"redirect and post-logout URI {base}{CALLBACK}"
            yield ok(f"web {name}", f"client {client.client_id} there needs the {uri}")
