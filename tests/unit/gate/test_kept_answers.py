"""Which answers are used again, and for how long."""

from sessiond.gate.kept_answers import KeptAnswers


def test_a_kept_answer_is_found_until_its_moment() -> None:
    kept = KeptAnswers[str, str](100)
    kept.keep("question", "answer", until=100.0)
    assert kept.find("question", monotonic=99.9) == "answer"
    assert kept.find("another", monotonic=99.9) is None
    assert kept.find("question", monotonic=100.0) is None
    assert kept.find("question", monotonic=99.9) is None


def test_one_answer_can_be_forgotten_or_all() -> None:
    kept = KeptAnswers[str, str](100)
    for key in ("a", "b", "c"):
        kept.keep(key, "answer", until=100.0)

    def found() -> list[str]:
        return [each for each in "abc" if kept.find(each, monotonic=0.0)]

    kept.drop("b")
    kept.drop("b")
    assert found() == ["a", "c"]
    kept.clear()
    assert found() == []


def test_when_it_is_full_the_oldest_goes() -> None:
    kept = KeptAnswers[str, str](2)
    for key in ("a", "b", "a", "c"):
        kept.keep(key, "answer", until=100.0)
    assert [each for each in "abc" if kept.find(each, monotonic=0.0)] == ["a", "c"]
