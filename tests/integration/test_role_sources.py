"""Roles and attributes that a role source adds to those of a token, as users and operators see."""

from pathlib import Path

import pytest

from sessiond.testing import FakeProcess
from tests.integration.conftest import Connected, Start
from tests.integration.minting import Mint, configuration
from tests.integration.operating import Operator
from tests.integration.plugged import put_on_path
from tests.integration.test_login import pair
from tests.integration.test_reload import reload
from tests.integration.test_sessionctl_doctor import doctor
from tests.issuer.running import ALICE, RunningIssuer
from tests.running_daemon import configuration as of_issuer

CSV = """
[[role_source]]
plugin = "csv-roles"
path = "{folder}/roles.csv"
"""
AT_ONCE = f"{CSV}cache = 0\n"
ROLES = 'roles = {{ trader = "trading" }}\nattributes = {{ desk = "desk" }}'
ACME = """
    import threading
    from sessiond.api import Granted

    class Acme:
        def __init__(self, mode_file):
            self.mode_file = mode_file

        def roles(self, principal, *, now):
            mode = open(self.mode_file).read()
            print("asked about", principal.name, flush=True)
            if mode == "hang":
                threading.Event().wait(3)
            if mode == "raise":
                raise KeyError("hunter2")
            return Granted(roles=mode.split(), attributes={"floor": "2"})

    entry = Acme
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role source for the daemons that the test starts."""
    put_on_path(tmp_path, monkeypatch, group="sessiond.role_sources", name="acme_roles", code=ACME)


@pytest.fixture
def mint(folder: Path) -> Mint:
    mint = Mint()
    mint.publish(folder / "keys")
    return mint


def grant(folder: Path, *lines: str) -> Path:
    """Write the CSV file, in place of what was there."""
    draft = folder / "roles.new"
    draft.write_text("\n".join([*lines, ""]))
    draft.chmod(0o600)
    return draft.rename(folder / "roles.csv")


def reason(q: FakeProcess, mint: Mint, user: str = "alice") -> str:
    said: str = q.connect(user, mint.password(user), handle=50)["reason"]
    return said


def test_the_files_roles_are_added_to_the_tokens(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, "ALICE,support,desk=files,floor=2", "alice,audit", "bob,other")
    q = process(start(configuration(issuer=f'{ROLES}\ndefault_roles = ["all"]', more=CSV)))
    answer = q.log_in("alice", mint.password("alice", roles=["trader"], desk="tokens"))
    assert answer["roles"] == ["all", "audit", "support", "trading"]
    assert answer["attributes"] == {"desk": "tokens", "floor": "2"}


def test_a_required_role_may_come_from_the_file_alone(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, "alice,support", "carol,,desk=fx")
    required = f'{ROLES}\nrequire_role = true\ndefault_roles = ["all"]'
    q = process(start(configuration(issuer=required, more=CSV)))
    assert q.connect("alice", mint.password("alice"))["roles"] == ["all", "support"]
    for user in ("bob", "carol"):
        assert reason(q, mint, user) == "noroles"
    trader = q.connect("dave", mint.password("dave", roles=["trader"]), handle=6)
    assert trader["roles"] == ["all", "trading"]


def test_only_the_issuers_that_a_source_names_have_its_roles(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, "alice,support")
    other = '[[issuer]]\nname = "other"\nissuer = "https://other.example.com/"\nverify = "jwt"\n'
    other += 'audience = ["a"]\nusers = ["x-*"]\n'
    for named, roles in (("mint", ["support"]), ("other", [])):
        text = configuration(issuer='users = ["a*"]', more=f'{other}{CSV}issuers = ["{named}"]\n')
        daemon = start(text)
        assert process(daemon).connect("alice", mint.password())["roles"] == roles
        assert daemon.stop() == 0


def test_a_change_of_the_file_counts_at_the_next_refresh(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, f"{ALICE},support")
    strict_issuer.control.set_access_token_lifetime(10)
    text = of_issuer(strict_issuer, refresh="share = 0.2\njitter = 0.0") + AT_ONCE
    q = process(start(text))
    assert q.log_in(ALICE, pair(strict_issuer.tokens()))["roles"] == ["support"]
    grant(folder, f"{ALICE},audit")
    pushes = [q.next_push() for _ in range(2)]
    assert {push["event"] for push in pushes} == {"refreshed", "roles"}
    assert [push["roles"] for push in pushes if push["event"] == "roles"] == [["audit"]]
    assert [each["roles"] for each in q.sessions()] == [["audit"]]


def test_a_change_of_the_file_counts_at_a_renewal_and_at_a_new_login(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, "alice,support")
    q = process(start(configuration(more=AT_ONCE)))
    password = mint.password()
    session = q.log_in("alice", password)["session"]
    grant(folder, "alice,audit")
    assert q.renew(session, mint.password(lasts=700.0))["roles"] == ["audit"]
    assert q.connect("alice", password, handle=6)["roles"] == ["audit"]


def test_while_the_file_is_not_to_be_believed_nobody_logs_in_and_sessions_stay(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    file = grant(folder, "alice,support")
    daemon = start(configuration(more=AT_ONCE))
    q = process(daemon)
    session = q.log_in("alice", mint.password())["session"]
    file.chmod(0o666)
    assert [reason(q, mint) for _ in range(4)] == ["unavailable"] * 4
    assert [(each["session"], each["roles"]) for each in q.sessions()] == [(session, ["support"])]
    (told,) = daemon.logged(1, event="role source breaker open", role_source="csv-roles")
    assert "chmod go-w" in told["error"]
    file.chmod(0o600)
    daemon.logged(1, event="role source breaker closed", role_source="csv-roles")
    while (answer := q.connect("alice", mint.password(), handle=6))["reason"] == "unavailable":
        pass  # the trial that found the source well has yet to tell the gate
    assert answer["roles"] == ["support"]


def test_a_failing_source_has_a_state_of_its_own_and_its_issuer_stays_healthy(
    strict_issuer: RunningIssuer, start: Start, process: Connected, folder: Path
) -> None:
    file = grant(folder, f"{ALICE},support")
    daemon = start(of_issuer(strict_issuer) + AT_ONCE)
    q, password = process(daemon), pair(strict_issuer.tokens())
    file.chmod(0o666)
    assert [q.connect(ALICE, password)["reason"] for _ in range(4)] == ["unavailable"] * 4
    daemon.logged(1, event="role source breaker open", role_source="csv-roles")  # a trial did that
    assert q.connect(ALICE, password)["reason"] == "unavailable"
    *_, login = daemon.logged(5, event="login", reason="unavailable")
    assert "role source 'csv-roles' is open" in login["detail"]
    with Operator(daemon) as operator:
        status, metrics = operator.get("/v1/status"), operator.ask("GET", "/metrics").text
    (issuer,), (source,) = status["issuers"], status["role_sources"]
    assert (issuer["healthy"], issuer["trouble"], issuer["last_error"]) == (True, "", "")
    assert (source["name"], source["issuer"], source["healthy"]) == ("csv-roles", "corp", False)
    assert "chmod go-w" in source["last_error"]
    assert 'sessiond_issuer_healthy{issuer="corp"} 1.0' in metrics
    assert 'sessiond_role_source_healthy{issuer="corp",role_source="csv-roles"} 0.0' in metrics
    found = doctor(daemon, code=1)
    told = found["role source csv-roles"]
    assert (told["outcome"], "chmod go-w" in told["found"]) == ("wrong", True)
    assert (found["issuer corp"]["outcome"], "corp logins" in found) == ("ok", False)
    file.chmod(0o600)
    daemon.logged(1, event="role source breaker closed", role_source="csv-roles")
    with Operator(daemon) as operator:
        assert operator.get("/v1/status")["role_sources"][0]["healthy"]
    assert "role source csv-roles" not in doctor(daemon, code=0)


@pytest.mark.usefixtures("acme")
def test_a_plain_source_that_hangs_is_given_up_and_after_three_times_not_waited_for(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    mode = folder / "mode"
    mode.write_text("support audit")
    acme = '[[role_source]]\nplugin = "acme_roles"\nname = "ldap"\ndeadline = 0.5\ncache = 0\n'
    daemon = start(configuration(more=acme + 'mode_file = "{folder}/mode"\n'))
    q = process(daemon)
    answer = q.connect("alice", mint.password())
    assert (answer["roles"], answer["attributes"]) == (["audit", "support"], {"floor": "2"})
    mode.write_text("hang")
    assert [reason(q, mint) for _ in range(3)] == ["unavailable"] * 3
    daemon.logged(3, event="plugin is late", plugin="ldap", seconds=0.5)
    asked = daemon.lines.count("asked about bob\n")
    assert reason(q, mint, "bob") == "unavailable"
    assert daemon.lines.count("asked about bob\n") == asked == 0
    assert daemon.stop() == 0


@pytest.mark.usefixtures("acme")
def test_two_sources_add_up_and_one_that_fails_is_enough_for_no_verdict(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, "alice,trading,floor=1")
    mode = folder / "mode"
    mode.write_text("support")
    acme = '[[role_source]]\nplugin = "acme_roles"\ncache = 0\nmode_file = "{folder}/mode"\n'
    daemon = start(configuration(more=AT_ONCE + acme))
    q = process(daemon)
    answer = q.connect("alice", mint.password())
    assert (answer["roles"], answer["attributes"]) == (["support", "trading"], {"floor": "1"})
    mode.write_text("raise")
    assert reason(q, mint) == "unavailable"
    daemon.logged(1, event="plugin failed", plugin="acme_roles", error="KeyError")
    assert "hunter2" not in "".join(daemon.lines)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"csv-roles"', '"none"', "role_source[none].plugin: no plugin 'none' in"),
        ("path =", "file =", "role_source[csv-roles].file is unknown"),
        ("roles.csv", "none.csv", "role_source[csv-roles].path: cannot read"),
    ],
)
def test_a_source_that_cannot_start_lets_nobody_in_with_fewer_roles_and_keeps_nobody_else_out(
    mint: Mint, start: Start, process: Connected, folder: Path, old: str, new: str, problem: str
) -> None:
    grant(folder, "alice,support")
    daemon = start(configuration(more=CSV.replace(old, new)))
    (told,) = daemon.logged(1, event="role source left out")
    assert problem in told["problem"]
    q = process(daemon)
    assert reason(q, mint) == "unavailable"
    with Operator(daemon) as operator:
        (standing,) = operator.get("/v1/status")["role_sources"]
    assert not standing["healthy"]
    assert problem in standing["last_error"]
    reload(daemon, configuration(more=CSV))
    assert q.log_in("alice", mint.password("alice"))["roles"] == ["support"]


def test_a_source_comes_and_goes_with_the_configuration(
    mint: Mint, start: Start, process: Connected, folder: Path
) -> None:
    grant(folder, "alice,support")
    daemon = start(configuration())
    q = process(daemon)
    password = mint.password()
    assert q.connect("alice", password)["roles"] == []
    reload(daemon, configuration(more=CSV))
    assert q.connect("alice", password, handle=6)["roles"] == ["support"]
    reload(daemon, configuration())
    assert q.connect("alice", password, handle=7)["roles"] == []
