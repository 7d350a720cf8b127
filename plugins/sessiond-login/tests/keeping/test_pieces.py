"""A long text in short entries, whenever the program ends."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessiond_login.keeping import pieces
from sessiond_login.keeping.pieces import NotHeldError


class Crash(BaseException):
    """The program ends here."""


@dataclass
class Drawer:
    """Entries of some characters each, in which the program ends at a change."""

    longest: int = 4
    entries: dict[str, str] = field(default_factory=dict)
    changes_left: int | None = None
    lossy: bool = False

    def get(self, name: str) -> str | None:
        return self.entries.get(name)

    def set(self, name: str, text: str) -> None:
        self._change()
        self.entries[name] = text[:2] if self.lossy and "/" in name else text

    def delete(self, name: str) -> None:
        self._change()
        del self.entries[name]

    def _change(self) -> None:
        if self.changes_left == 0:
            raise Crash
        if self.changes_left is not None:
            self.changes_left -= 1


texts = st.text(alphabet="abcdef", max_size=60)


def attempt(drawer: Drawer, text: str | None, crash_at: int | None) -> bool:
    """Save, or forget where text is None; say whether it was done."""
    drawer.changes_left = crash_at
    try:
        if text is None:
            pieces.forget(drawer, "corp")
        else:
            pieces.save(drawer, "corp", text)
    except Crash:
        return False
    finally:
        drawer.changes_left = None
    return True


steps = st.lists(
    st.tuples(st.none() | texts, st.none() | st.integers(0, 40)), min_size=1, max_size=8
)


@given(steps, st.integers(1, 9))
def test_whenever_it_crashes_a_whole_text_is_there_or_the_one_before(
    done: list[tuple[str | None, int | None]], longest: int
) -> None:
    drawer = Drawer(longest=longest)
    stands: str | None = None
    for text, crash_at in done:
        complete = attempt(drawer, text, crash_at)
        found = pieces.load(drawer, "corp")
        assert found == text if complete else found in (text, stands)
        stands = found


@given(steps, st.integers(1, 9))
def test_forgetting_leaves_nothing_however_often_it_crashed_before(
    done: list[tuple[str | None, int | None]], longest: int
) -> None:
    drawer = Drawer(longest=longest)
    for text, crash_at in done:
        attempt(drawer, text, crash_at)
    pieces.forget(drawer, "corp")
    assert drawer.entries == {}


@given(steps, texts, st.integers(1, 9))
def test_saving_leaves_nothing_of_older_texts(
    done: list[tuple[str | None, int | None]], text: str, longest: int
) -> None:
    drawer = Drawer(longest=longest)
    for earlier, crash_at in done:
        attempt(drawer, earlier, crash_at)
    pieces.save(drawer, "corp", text)
    assert len(drawer.entries) == 1 + -(-len(text) // longest)


def test_who_reads_while_another_writes_finds_one_of_the_two() -> None:
    class Meanwhile(Drawer):
        def get(self, name: str) -> str | None:
            if name == "corp/a/0" and name in self.entries:
                pieces.save(Drawer(entries=self.entries), "corp", "the next text")
            return super().get(name)

    drawer = Meanwhile()
    pieces.save(Drawer(entries=drawer.entries), "corp", "a text")
    assert pieces.load(drawer, "corp") == "the next text"


def test_profiles_keep_out_of_each_others_way() -> None:
    drawer = Drawer()
    pieces.save(drawer, "corp", "one text")
    pieces.save(drawer, "other", "another text")
    pieces.forget(drawer, "corp")
    assert pieces.load(drawer, "other") == "another text"


@pytest.mark.parametrize(
    "head",
    ["", "{", "[]", '{"slot":"c","pieces":1,"digest":""}', '{"slot":"a","pieces":-1,"digest":""}',
     '{"slot":"a","pieces":99999,"digest":""}', '{"slot":"a","pieces":1,"digest":"0"}'],
)  # fmt: skip
def test_a_head_that_is_none_is_none_and_gives_way(head: str) -> None:
    drawer = Drawer(entries={"corp": head, "corp/a/0": "what"})
    assert pieces.load(drawer, "corp") is None
    pieces.save(drawer, "corp", "a text")
    assert pieces.load(drawer, "corp") == "a text"


def test_what_was_changed_by_others_is_not_given() -> None:
    drawer = Drawer()
    pieces.save(drawer, "corp", "a long text")
    drawer.entries["corp/a/1"] = "that"
    assert pieces.load(drawer, "corp") is None
    del drawer.entries["corp/a/1"]
    assert pieces.load(drawer, "corp") is None


def test_entries_that_lose_characters_hold_nothing() -> None:
    drawer = Drawer()
    pieces.save(drawer, "corp", "before")
    drawer.lossy = True
    with pytest.raises(NotHeldError, match="another text"):
        pieces.save(drawer, "corp", "after")
    assert pieces.load(drawer, "corp") == "before"


def test_a_text_of_too_many_pieces_is_refused() -> None:
    drawer = Drawer(longest=1)
    with pytest.raises(NotHeldError, match="257 characters are too many"):
        pieces.save(drawer, "corp", "x" * 257)
    assert drawer.entries == {}
