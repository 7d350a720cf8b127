import grp
import os
import pwd

import pytest

from sessiond.core.errors import NotNowError
from sessiond.system.accounts import group_number, user_number


@pytest.mark.parametrize("number", [4711, "4711"])
def test_a_number_is_taken_whether_or_not_anybody_has_it(number: str | int) -> None:
    assert user_number("key", number) == group_number("key", number) == 4711


def test_a_name_is_looked_up() -> None:
    user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(os.getegid())
    assert user_number("key", user.pw_name) == user.pw_uid
    assert group_number("key", group.gr_name) == group.gr_gid


def test_a_name_that_nobody_has_is_refused_with_the_configurations_key() -> None:
    with pytest.raises(NotNowError, match=r"listen\.one: no user 'no such' is found here now"):
        user_number("listen.one", "no such")
    with pytest.raises(NotNowError, match=r"listen\.one: no group 'no such' is found here now"):
        group_number("listen.one", "no such")
