"""What people do at a gateway's pages: sign in, and be asked to again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import canary
from tests.issuer.running import ALICE
from tests.people.chromium import Chromium
from tests.people.forms import sign_in_at_provider
from tests.people.person import Person, Tab
from tests.web.stage import GatewayStage

SIGN_INS_AT_ONCE = 4  # of one browser
SIGN_IN = "Sign in to Contoso"
CALLBACK = "/.sessiond/callback"
SAYS_HELLO = """() => new Promise((resolve, reject) => {
    window.socket = new WebSocket(`wss://${location.host}/`);
    window.over = new Promise(told => { socket.onclose = () => told('closed') });
    socket.onopen = () => socket.send('hello');
    socket.onmessage = (event) => resolve(event.data);
    window.over.then(reject);
})"""


@contextmanager
def two_people(stage: GatewayStage, chromium: Chromium, folder: Path) -> Iterator[list[Person]]:
    """Yield two people, each with a browser of his own, and nobody else signed in."""
    stage.sign_everybody_out()
    with ExitStack() as there:
        folders = [folder / name for name in ("one", "other")]
        for each in folders:
            each.mkdir()
        yield [there.enter_context(Person(chromium, each)) for each in folders]


def signed_in(person: Person, stage: GatewayStage, path: str = "/", user: str = ALICE) -> Tab:
    """Return a tab in which somebody has signed in and sees a page."""
    tab = person.visits(stage.base + path)
    sign_in_at_provider(tab, user)
    tab.wait_until_reads(user)
    for name, value in person.cookies(stage.base).items():
        canary.remember(value, name)
    return tab


def is_asked_to_sign_in(person: Person, tab: Tab, address: str) -> None:
    """Open a page, in a browser that the issuer has forgotten."""
    person.forgets("localhost")
    tab.goes_to(address)
    tab.wait_until_reads(SIGN_IN)


def says_hello_by_websocket(tab: Tab) -> str:
    """Return what a page's websocket hears; `window.over` is its end from then on."""
    said: str = tab.runs(SAYS_HELLO)
    return said
