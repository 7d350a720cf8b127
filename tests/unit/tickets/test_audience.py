"""A ticket is for a process of this host, by the name that it says."""

import pytest

from sessiond.tickets.audience import name_of


@pytest.mark.parametrize(
    ("audience", "name"),
    [
        ("rdb1", "rdb1"),
        ("rdb1@host1", "rdb1"),
        ("rdb1@HOST1", "rdb1"),
        ("a@b@host1", "a@b"),
        ("@host1", ""),
        ("rdb1@", None),
        ("rdb1@host2", None),
        ("rdb1@host1.corp.example", None),
        ("a@b", None),
        ("", ""),
    ],
)
def test_an_audience_means_a_name_of_this_host_or_nobody(audience: str, name: str | None) -> None:
    assert name_of(audience, "host1") == name
