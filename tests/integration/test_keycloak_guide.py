"""What the guide says of Keycloak is so: the names of its console, and that each step is done."""

import re
import zipfile
from functools import cache

import pytest

from tests.keycloak import guide
from tests.keycloak.install import home

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("keycloak"),
    pytest.mark.timeout(400),
]
# Names that the console does not take from its messages: those of mappers, which the server has.
OF_THE_SERVER = {"Audience", "Nonce backwards compatible"}


@cache
def messages() -> frozenset[str]:
    """Return every text of Keycloak's admin console in English."""
    found = set[str]()
    for part in ("admin-ui", "themes"):
        (jar,) = (home() / "lib/lib/main").glob(f"org.keycloak.keycloak-{part}-[0-9]*.jar")
        with zipfile.ZipFile(jar) as packed:
            for name in packed.namelist():
                if name.endswith("/admin/messages/messages_en.properties"):
                    lines = packed.read(name).decode().splitlines()
                    found |= {line.partition("=")[2].strip() for line in lines}
    return frozenset(found)


def test_each_name_is_one_that_the_console_shows() -> None:
    text = guide.section().partition("- *Tried: ")[0]
    prose = re.sub(r"^```.*?^```$|`[^`]*`|\*\*", "", text, flags=re.M | re.S)
    named = {re.sub(r"\s+", " ", each) for each in re.findall(r"\*([^*]+)\*", prose)}
    assert len(named) > 8
    assert named - OF_THE_SERVER - messages() == set()


def test_each_step_of_the_guide_is_done_here() -> None:
    steps = re.findall(r"^(\d)\. ", guide.section(), re.M)
    assert [f"step_{number}" for number in steps] == [
        name for name in vars(guide) if name.startswith("step_")
    ]
