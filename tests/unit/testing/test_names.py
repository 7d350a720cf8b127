"""What plugin authors import is there, and nothing else."""

import pytest

from sessiond import testing


def test_every_name_is_there() -> None:
    assert testing.__all__ == sorted(testing.__all__, key=lambda name: (not name.isupper(), name))
    for name in testing.__all__:
        assert getattr(testing, name) is not None


def test_another_name_is_no_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Mock'"):
        testing.Mock  # type: ignore[attr-defined]  # noqa: B018
