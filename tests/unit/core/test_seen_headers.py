"""What is remembered of headers: bounded in number and size, whoever writes them."""

from hypothesis import given
from hypothesis import strategies as st

from sessiond.core.seen_headers import MOST, MOST_TEXT, SeenHeaders


def test_what_was_kept_is_found_by_the_same_text_alone() -> None:
    headers = SeenHeaders[str]()
    headers.keep("one", "judged")
    assert (headers.find("one"), headers.find("two")) == ("judged", None)


def test_what_was_kept_first_counts() -> None:
    headers = SeenHeaders[str]()
    headers.keep("one", "judged")
    headers.keep("one", "otherwise")
    assert headers.find("one") == "judged"


def test_what_was_not_looked_for_longest_goes_when_it_is_full() -> None:
    headers = SeenHeaders[int]()
    for number in range(MOST):
        headers.keep(f"{number}", number)
    assert headers.find("0") == 0
    headers.keep("new", -1)
    assert (headers.find("0"), headers.find("1"), headers.find("new")) == (0, None, -1)


def test_one_that_is_longer_than_all_may_be_pushes_out_none() -> None:
    headers = SeenHeaders[int]()
    headers.keep("one", 1)
    headers.keep("x" * (MOST_TEXT + 1), 2)
    assert headers.find("one") == 1
    assert headers.find("x" * (MOST_TEXT + 1)) is None


@given(st.lists(st.integers(1, 40_000), max_size=60))
def test_a_flood_of_large_headers_takes_no_more_room_than_there_is(sizes: list[int]) -> None:
    headers = SeenHeaders[int]()
    parts = [f"{number:05}".ljust(size, "x") for number, size in enumerate(sizes)]
    for number, part in enumerate(parts):
        headers.keep(part, number)
    kept = [part for part in parts if headers.find(part) is not None]
    assert sum(map(len, kept)) <= MOST_TEXT
    assert kept == parts[len(parts) - len(kept) :]
    assert headers._size == sum(map(len, headers._found))
