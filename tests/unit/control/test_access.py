"""Who may read and who may administer."""

import grp
import os
import pwd

import pytest

from sessiond.control.access import Access, Right
from sessiond.core.errors import ConfigError
from sessiond.system.peer import Peer

USER, GROUP = pwd.getpwuid(2), grp.getgrgid(2)  # bin or daemon: on every Linux


def peer(uid: int = 64999, *groups: int) -> Peer:
    return Peer(uid=uid, groups=frozenset(groups), pid=1, started=1)


@pytest.mark.parametrize("uid", [0, os.geteuid()])
def test_root_and_the_daemons_own_user_may_all(uid: int) -> None:
    access = Access.of(readers=[64000], admins=[64001])
    assert access.permits(peer(uid), Right.READ)
    assert access.permits(peer(uid), Right.ADMINISTER)


def test_without_lists_everybody_whom_the_mode_lets_in_reads_and_nobody_else_administers() -> None:
    access = Access.of(readers=(), admins=())
    assert access.permits(peer(), Right.READ)
    assert not access.permits(peer(), Right.ADMINISTER)


def test_readers_read_and_administrators_do_both() -> None:
    access = Access.of(readers=[64001], admins=[64002])
    rights = {
        uid: [right for right in Right if access.permits(peer(uid), right)]
        for uid in (64001, 64002, 64003)
    }
    assert rights == {64001: [Right.READ], 64002: [Right.READ, Right.ADMINISTER], 64003: []}


@pytest.mark.parametrize("name", [USER.pw_name, str(USER.pw_uid), USER.pw_uid])
def test_users_go_by_name_or_number(name: str | int) -> None:
    assert Access.of(readers=[name], admins=()).permits(peer(USER.pw_uid), Right.READ)


@pytest.mark.parametrize("name", [f"@{GROUP.gr_name}", f"@{GROUP.gr_gid}"])
def test_groups_go_by_name_or_number_after_an_at(name: str) -> None:
    access = Access.of(readers=[64000], admins=[name])
    assert access.permits(peer(64999, GROUP.gr_gid), Right.ADMINISTER)
    assert not access.permits(peer(GROUP.gr_gid), Right.ADMINISTER)  # no user's number


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ({"readers": ["no-such-user"], "admins": ()}, "listen.control_readers: no user"),
        ({"readers": (), "admins": ["@no-such"]}, "listen.control_admins: no group"),
    ],
)
def test_an_unknown_name_is_refused_with_its_key(
    lists: dict[str, list[str | int]], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        Access.of(**lists)
