"""Who may read and who may administer."""

import grp
import os
import pwd
from typing import Any

import pytest
import structlog

from sessiond.control.access import Access, Right, admit
from sessiond.control.problem import Problem
from sessiond.core.errors import ConfigError
from sessiond.system.peer import AllowList, Peer

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
    connect = Right.CONNECT  # whoever gets this far
    assert rights == {64001: [connect, Right.READ], 64002: [*Right], 64003: [connect]}


def test_where_programs_come_for_tokens_nobody_reads_who_is_not_named() -> None:
    access = Access.of(readers=(), admins=[64002], must_name_readers=True)
    assert [uid for uid in (0, 64001, 64002) if access.permits(peer(uid), Right.READ)] == [0, 64002]
    named = Access.of(readers=[64001], admins=(), must_name_readers=True)
    assert named.permits(peer(64001), Right.READ)


def test_a_list_of_an_operation_s_own_admits_whom_it_names_and_logs_others() -> None:
    allowed = AllowList.listed("stores.users", [64001])
    admit(peer(64001), allowed, key="stores.users", path="/v1/stores/token")
    with structlog.testing.capture_logs() as logs, pytest.raises(Problem) as told:
        admit(peer(64003), allowed, key="stores.users", path="/v1/stores/token")
    assert told.value.status == 403
    assert told.value.detail == "user 64003 is not among stores.users, who may do that"
    assert [(each["uid"], each["path"]) for each in logs] == [(64003, "/v1/stores/token")]


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
def test_an_unknown_name_is_refused_with_its_key(lists: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Access.of(**lists)
