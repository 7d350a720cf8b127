"""Why the table refuses, in words that name the next step or the key."""

import re
from pathlib import Path

from sessiond import core
from sessiond.core.errors import Refusal
from sessiond.core.refusal_words import WORDS, denied

CORE = Path(core.__file__).parent


def test_a_throttled_login_names_the_key_that_bounds_sessions() -> None:
    assert "login.max_sessions" in denied(Refusal.THROTTLED).detail


def test_the_table_has_words_for_whatever_it_may_say() -> None:
    places = [*(CORE / "decide").glob("*.py"), CORE / "admission.py"]
    sources = "\n".join(each.read_text() for each in places)
    found = re.findall(r"return (?:denied\()?Refusal\.(\w+)\)?\n", sources)
    said = {Refusal[name] for name in found}
    said |= {Refusal.WRONGISSUER, Refusal.UNAVAILABLE}  # of one line
    assert len(said) > 5
    assert said == WORDS.keys()
