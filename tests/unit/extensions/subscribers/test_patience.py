import pytest

from sessiond.extensions.subscribers.patience import retry_in


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (100_000, 60)]
)
def test_the_pause_doubles_from_a_second_to_a_minute(failures: int, seconds: float) -> None:
    assert retry_in(failures, spread=0.0) == seconds


def test_the_draw_shortens_it_by_up_to_a_quarter() -> None:
    assert retry_in(1, spread=1.0) == 0.75
    assert 45 <= retry_in(20, spread=0.999) < 60
