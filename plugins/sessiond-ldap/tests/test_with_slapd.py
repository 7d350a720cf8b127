"""A real directory: who gets which roles, and what becomes of it when the directory is unwell."""

import os
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from ldap_server import BASE, GROUPS, PEOPLE, LdapServer
from sessiond_ldap import LdapRoles, source

from sessiond.api import Granted, Principal
from sessiond.testing import check_role_source

pytestmark = [pytest.mark.anyio, pytest.mark.needs("ldap")]
Make = Callable[..., LdapRoles]
Ask = Callable[..., Coroutine[Any, Any, Any]]
TRADING = Granted(roles=["trading"], attributes={})
NOTHING = Granted(roles=[], attributes={})


@pytest.fixture
def ann(server: LdapServer) -> str:
    """Ann, who is a trader."""
    name = server.add_user("ann", employeeType="fx", description="b")
    server.add_group("traders", name)
    return name


async def test_it_keeps_the_contract_of_a_role_source(server: LdapServer, ann: str) -> None:
    settings = server.settings(attributes={"employeeType": "desk"}, pool=2)
    principal = Principal(issuer="corp", subject="s-1", name="ann")
    await check_role_source(source, settings, principal=principal)


async def test_roles_are_those_of_the_groups_and_attributes_those_of_the_entry(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    server.add_group("unmapped", ann)
    server.add_user("bob")
    made = make(
        roles={f"CN = Traders , {GROUPS.upper()}": "trading"},
        attributes={"EMPLOYEETYPE": "desk", "mail": "mail", "objectClass": "classes"},
    )
    granted = await ask(made, "ann")
    assert granted.roles == ["trading"]
    assert granted.attributes == {"desk": "fx", "classes": "inetOrgPerson"}
    assert (await ask(made, "bob")).roles == []
    assert await ask(made, "carol") == NOTHING


async def test_several_values_are_one_text_in_order(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    server.modify(f"dn: {ann}\nchangetype: modify\nadd: employeeType\nemployeeType: eq\n")
    made = make(attributes={"employeeType": "desks"})
    assert (await ask(made, "ann")).attributes == {"desks": "eq fx"}


@pytest.mark.parametrize("how", ["ldaps", "start_tls", "plain", "unix", "certificate"])
async def test_each_way_to_connect_and_to_say_who_we_are(
    server: LdapServer, make: Make, ask: Ask, ann: str, how: str
) -> None:
    folder = server.folder
    ways: dict[str, dict[str, Any]] = {
        "ldaps": {},
        "start_tls": {"url": server.url},
        "plain": {"url": server.url, "ca_file": None},
        "unix": {"url": server.unix_url, "ca_file": None, "bind_dn": None, "password_file": None},
        "certificate": {
            "cert_file": str(folder / "client.pem"),
            "key_file": str(folder / "client.key"),
            "bind_dn": None,
            "password_file": None,
        },
    }
    assert await ask(make(**ways[how]), "ann") == TRADING


@pytest.mark.parametrize("scheme", ["ldaps", "start_tls"])
async def test_another_authoritys_certificate_is_refused(
    server: LdapServer,
    make: Make,
    ask: Ask,
    ann: str,
    scheme: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("LDAPTLS_REQCERT", "never")  # is not obeyed
    url = server.tls_url if scheme == "ldaps" else server.url
    said = await ask(make(url=url, ca_file=str(tmp_path / "other.pem")), "ann")
    assert said.startswith("IssuerUnavailable")
    assert "other.pem vouches for" in said


@pytest.mark.parametrize("scheme", ["ldaps", "start_tls"])
async def test_a_certificate_for_another_host_is_refused(
    server: LdapServer, make: Make, ask: Ask, ann: str, scheme: str
) -> None:
    server.kill()
    server.certify("server", "other.corp.example")
    server.start()
    url = server.tls_url if scheme == "ldaps" else server.url
    said = await ask(make(url=url), "ann")
    assert said.startswith("IssuerUnavailable")
    assert "with a certificate for that host" in said


async def test_a_wrong_password_is_told_and_never_shown(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    server.password_file.write_text("hunter2-wrong\n")
    made = make()
    said = await ask(made, "ann")
    assert "does not take us for bind_dn" in said
    assert "hunter2" not in said
    server.password_file.unlink()
    server.settings()  # makes it anew, with the right one
    assert await ask(made, "ann") == TRADING


async def test_the_password_is_in_no_command_line_and_no_environment(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    made = make()
    await ask(made, "ann")
    (pid,) = made.pids
    for name in ("cmdline", "environ"):
        assert b"s3cret" not in await anyio.Path(f"/proc/{pid}/{name}").read_bytes()


@pytest.mark.parametrize("nested", ["none", "search"])
async def test_groups_in_groups_count_where_that_is_wanted(
    server: LdapServer, make: Make, ask: Ask, ann: str, nested: str
) -> None:
    below = f"cn=traders,{GROUPS}"
    for number in range(5):
        below = server.add_group(f"level{number}", below)
    roles = {f"cn=traders,{GROUPS}": "trading", f"cn=level4,{GROUPS}": "all"}
    granted = await ask(make(nested=nested, roles=roles), "ann")
    assert granted.roles == (["all", "trading"] if nested == "search" else ["trading"])


async def test_a_circle_of_groups_comes_to_an_end(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    one, two = f"cn=one,{GROUPS}", f"cn=two,{GROUPS}"
    server.add_group("one", ann, two)
    server.add_group("two", one)
    roles = {two: "second", f"cn=never,{GROUPS}": "never"}
    assert (await ask(make(nested="search", roles=roles), "ann")).roles == ["second"]


async def test_groups_deeper_than_that_leave_no_verdict(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    below = ann
    for number in range(12):
        below = server.add_group(f"level{number}", below)
    roles = {f"cn=never,{GROUPS}": "never"}
    said = await ask(make(nested="search", roles=roles), "ann")
    assert "in groups deeper than 10" in said


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "*)(uid=*",
        "ann)(objectClass=*",
        "a*",
        "\\61nn",
        "(ann",
        "ann)",
        "|(uid=ann)",
        " ann",
        "ann ",
        "a  nn",
        "ann\\00",
        "uid=ann",
        "{user}",
        "ANN,ou=people",
    ],
)
async def test_no_name_is_more_than_a_name(
    server: LdapServer, make: Make, ask: Ask, ann: str, name: str
) -> None:
    server.add_user("ann smith")
    assert await ask(make(), name) == NOTHING


async def test_whoever_is_called_so_is_found_all_the_same(
    server: LdapServer, make: Make, ask: Ask
) -> None:
    names = ["a*)(uid=b", "o'brien, dan", "back\\slash", "\\2Cou=x", "c# dev", "a(b)", "x=y+z"]
    server.add_group("traders", *[server.add_user(name) for name in names])
    made = make()
    assert [await ask(made, name) for name in names] == [TRADING] * len(names)


async def test_a_group_whose_name_reads_like_another_gives_nothing(
    server: LdapServer, make: Make, ask: Ask
) -> None:
    ann = server.add_user("ann")
    for cn in ("traders\\", "traders\\2Cou=groups", "traders,ou=groups", "traders\\2C", "traders#"):
        server.add_group(cn, ann)
    made = make(roles={f"cn=traders,{GROUPS}": "a", rf"cn=traders\,ou=groups,{GROUPS}": "b"})
    assert (await ask(made, "ann")).roles == ["b"]


async def test_what_a_user_writes_of_himself_gives_him_nothing(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    mallory = server.add_user("mallory", description=f"cn=traders,{GROUPS}", ou="traders")
    server.add_group("mallorys", mallory)
    server.modify(
        f"dn: {mallory}\nchangetype: modify\nadd: seeAlso\nseeAlso: cn=traders,{GROUPS}\n"
    )
    assert await ask(make(), "mallory") == NOTHING
    server.modify(f"dn: {mallory}\nchangetype: modify\nadd: uid\nuid: ann\n")
    said = await ask(make(), "ann")  # who is ann now?
    assert "UnusableAnswer: no verdict of the directory (several entries are this user's" in said


async def test_referrals_are_never_followed(
    server: LdapServer, make: Make, ask: Ask, ann: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"ldap://127.0.0.1:{elsewhere.getsockname()[1]}/{GROUPS}"
        server.add(
            f"dn: ou=far,{GROUPS}\nobjectClass: referral\nobjectClass: extensibleObject\n"
            f"ou: far\nref: {url}\n"
        )
        assert "elsewhere (a referral)" in await ask(make(), "ann")
        said = await ask(make(group_base=f"ou=x,ou=far,{GROUPS}"), "ann")
        assert "nothing is at ou=x,ou=far" in said
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


async def test_where_the_server_gives_up_counting_there_is_no_verdict(
    make: Make, ask: Ask, server: LdapServer, ann: str
) -> None:
    server.kill()
    conf = server.folder / "slapd.conf"
    conf.write_text(conf.read_text().replace("sizelimit 5000", "sizelimit 2"))
    server.start()
    for number in range(3):
        server.add_group(f"g{number}", ann)
    said = await ask(make(), "ann")
    assert "UnusableAnswer: no verdict of the directory (the search was given up" in said


async def test_a_base_that_is_not_there_is_told(
    make: Make, ask: Ask, server: LdapServer, ann: str
) -> None:
    said = await ask(make(user_base=f"ou=nobody,{BASE}"), "ann")
    assert f"nothing is at ou=nobody,{BASE}" in said


async def test_a_server_that_was_killed_is_away_and_is_used_again_once_it_is_back(
    make: Make, ask: Ask, server: LdapServer, ann: str
) -> None:
    made = make()
    assert await ask(made, "ann") == TRADING
    server.kill()
    assert (await ask(made, "ann")).startswith("IssuerUnavailable")
    server.start()
    assert await ask(made, "ann") == TRADING
    server.kill()
    server.start()  # the connection is dead, and nobody has noticed
    assert await ask(made, "ann") == TRADING


async def test_a_server_that_was_killed_while_it_was_asked_is_away(
    make: Make, ask: Ask, server: LdapServer, ann: str
) -> None:
    made = make()
    await ask(made, "ann")
    server.hold()
    answers: list[Any] = []

    async def asking() -> None:
        answers.append(await ask(made, "ann"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asking)
        while not answers and not server.connections():
            await anyio.lowlevel.checkpoint()
        server.kill()
    assert answers[0].startswith("IssuerUnavailable")


async def test_a_server_that_says_nothing_holds_nobody_longer_than_he_waits(
    make: Make, ask: Ask, server: LdapServer, ann: str
) -> None:
    made = make(pool=2)
    assert await ask(made, "ann") == TRADING
    pids = made.pids
    server.hold()
    for _ in range(4):
        with anyio.move_on_after(1.0) as patience:
            await ask(made, "ann")
        assert patience.cancelled_caught
    await made.stop()
    assert not [pid for pid in pids if await anyio.Path(f"/proc/{pid}").exists()]
    assert children_asking() == 0
    server.go_on()


async def test_a_server_that_accepts_and_says_nothing_uses_up_no_process_and_holds_no_stop(
    server: LdapServer, make: Make, ask: Ask
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        made = make(url=f"ldaps://127.0.0.1:{silent.getsockname()[1]}", pool=3)
        for _ in range(3):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(ask, made, "ann")
                with anyio.CancelScope():
                    await anyio.sleep(0.7)
                assert children_asking() <= 3
                tasks.cancel_scope.cancel()
        await made.stop()
        assert children_asking() == 0


async def test_two_hundred_at_once_share_the_pool(make: Make, ask: Ask, server: LdapServer) -> None:
    names = [f"user{number}" for number in range(200)]
    server.add_group("traders", *[f"uid={name},{PEOPLE}" for name in names])
    server.add(
        "\n".join(
            f"dn: uid={name},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: x\nsn: x\n"
            for name in names
        )
    )
    made = make(pool=3)
    answers: list[Any] = []
    most = 0

    async def asking(name: str) -> None:
        nonlocal most
        answers.append(await ask(made, name))
        most = max(most, server.connections())

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(asking, name)
    assert answers == [TRADING] * 200
    assert 1 <= most <= 3
    assert len(made.pids) == 3


async def test_a_process_that_was_killed_is_replaced(
    make: Make, ask: Ask, server: LdapServer, ann: str
) -> None:
    made = make(pool=1)
    await ask(made, "ann")
    os.kill(made.pids[0], signal.SIGKILL)
    assert "has ended" in await ask(made, "ann")
    assert await ask(made, "ann") == TRADING


def children_asking() -> int:
    """Return how many processes of ours ask a directory."""
    count = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"PPid:\t{os.getpid()}\n" in (path / "status").read_text()
            count += ours and b"sessiond_ldap" in (path / "cmdline").read_bytes()
        except OSError:
            continue
    return count
