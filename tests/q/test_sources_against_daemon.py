"""A token that the daemon gets from a real issuer, used by a q process at an HTTPS source."""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from sessiond.qipc import call, long, string
from tests.issuer.running import ALICE, API, BOB, RunningIssuer
from tests.q.conftest import Start, asking_daemon, keep_secrets, reaching
from tests.q.exchange_endpoint import exchange_endpoint
from tests.q.interpreter import HOOK, Interpreter
from tests.q.quote_source import QuoteSource, quote_source
from tests.running_daemon import RunningDaemon
from tests.web.authority import Authority

pytestmark = [pytest.mark.needs("q"), pytest.mark.needs("real")]

SOURCE = f"""
verify = "introspection"
client_secret_file = "{{folder}}/secret"
[[access.process]]
name = "feed*"
peers = ["{os.getuid()}"]
[[source]]
name = "market-data"
issuer = "corp"
client_id = "sessiond"
client_secret_file = "{{folder}}/secret"
scope = "session.login"
resource = "{API}"
processes = ["feed*"]
"""


class Feed:
    """A q process with the example quotes.q, the source that it reads, and the daemon."""

    def __init__(self, q: Interpreter, source: QuoteSource) -> None:
        self.q, self.source = q, source

    def tried(self, expression: str) -> str:
        """Return what an expression is, or the text of its error, as q shows a string."""
        return self.q.evaluate(f"@[{{[x] {expression}}};0;{{[e] e}}]")


@pytest.fixture
def folder(folder: Path) -> Path:
    """The same with the files that the daemon reads."""
    keep_secrets(folder)
    return folder


@pytest.fixture
def daemon(strict_issuer: RunningIssuer, folder: Path) -> Iterator[RunningDaemon]:
    """A daemon that has a source."""
    with asking_daemon(strict_issuer, folder, SOURCE) as running:
        yield running


@pytest.fixture
def source(strict_issuer: RunningIssuer) -> Iterator[QuoteSource]:
    """A source that takes this issuer's tokens, by their signature, audience and `exp`."""
    keys = KeySet.import_key_set(httpx.get(strict_issuer.jwks_uri, trust_env=False).json())

    def takes(token: str) -> bool:
        claims = jwt.decode(token, keys).claims
        return bool(claims["aud"] == API and claims["exp"] > time.time())

    with quote_source(Authority()) as running:
        running.takes = takes
        yield running


def started(
    start_q: Start, shim: str, daemon: RunningDaemon, source: QuoteSource, name: str
) -> Feed:
    environment = reaching(daemon, shim) | {
        "KX_SSL_CA_CERT_FILE": str(source.authority.written(daemon.folder))
    }
    q = start_q(
        f".sessiond.name:`{name}",
        f'.quotes.server:`$":{source.base}"\n\\l {HOOK}/quotes.q',
        port=daemon.port,
        environment=environment,
    )
    q.wait_until(".sessiond.ready[]")
    return Feed(q, source)


@pytest.fixture
def feed(start_q: Start, unix_shim: str, daemon: RunningDaemon, source: QuoteSource) -> Feed:
    return started(start_q, unix_shim, daemon, source, "feed1")


def test_a_feed_reads_an_https_source_with_a_token_that_the_issuer_gave(feed: Feed) -> None:
    assert feed.tried(".quotes.fetch[]`sym") == '("VOD";"BP")'
    assert feed.tried(".quotes.fetch[]`bid") == "70.5 401"
    (first, second) = feed.source.asked
    assert first == second  # from memory


def test_another_process_gets_none(
    start_q: Start, unix_shim: str, daemon: RunningDaemon, source: QuoteSource
) -> None:
    other = started(start_q, unix_shim, daemon, source, "rdb1")
    refused = '"sessiond: no token of market-data: notallowed"'
    assert other.tried(".quotes.fetch[]") == refused
    assert source.asked == []


def exchanging(issuer: RunningIssuer, token: str) -> str | None:
    said = issuer.introspect(token)
    return str(said["preferred_username"]) if said["active"] else None


def test_a_user_reads_with_a_token_of_his_own_that_his_access_token_was_exchanged_for(
    strict_issuer: RunningIssuer, start_q: Start, unix_shim: str, source: QuoteSource, folder: Path
) -> None:
    with exchange_endpoint(partial(exchanging, strict_issuer)) as endpoint:
        settings = SOURCE.replace("[[access", f'token_endpoint = "{endpoint.url}"\n[[access', 1)
        settings = settings.replace("resource", 'grant = "on_behalf_of"\nresource')
        source.takes = endpoint.issued.__contains__
        with asking_daemon(strict_issuer, folder, settings) as daemon:
            feed = started(start_q, unix_shim, daemon, source, "feed1")
            assert "notallowed" in feed.tried(".quotes.fetch[]")
            feed.q.run("quotes:{[x] count .quotes.fetchfor .z.w};")
            for user in (ALICE, BOB):
                token = strict_issuer.tokens(user, client="qstudio-opaque")["access_token"]
                client = feed.q.login(user, "bearer:" + token)
                assert client is not None, feed.q.said
                feed.q.run(".sessiond.ask(`sessions;::);")  # by its answer the opening is recorded
                for _ in range(2):
                    assert client.ask(call("quotes", string("now"))) == long(2)
            assert list(endpoint.issued.values()) == [ALICE, BOB]
            assert not any(token in feed.q.logged for token in endpoint.issued)


def test_a_source_that_is_not_configured_gives_none(feed: Feed) -> None:
    assert feed.tried('.sessiond.token "files"') == '"sessiond: no token of files: notallowed"'


def test_no_token_of_a_source_is_in_what_q_or_the_daemon_print(
    feed: Feed, daemon: RunningDaemon
) -> None:
    token = feed.tried('.sessiond.token "market-data"').strip('"')
    assert token.startswith("eyJ")
    feed.tried(".quotes.fetch[]")
    assert token not in feed.q.logged
    assert token not in "".join(daemon.lines)
