"""The configuration file: what is read, what is refused, and by which name."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from sessiond.config import (
    Config,
    IssuerConfig,
    RefreshConfig,
    SubscriberConfig,
    load,
    read,
)
from sessiond.core.errors import ConfigError

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"
MANDATORY = {"name", "issuer", "verify", "audience"}

ISSUER = """
[[issuer]]
name = "corp"
issuer = "https://login.example.com/"
verify = "jwt"
audience = ["api://kdb"]
"""
# As published for users to copy; kept whole, so that what they copied keeps loading.
PUBLISHED = """
[listen]
port = 5099
directory = "/tmp"
path = true
allow_users = ["kdb"]
allow_groups = []
proof_key_file = ""
max_message = 1048576
max_connections = 4096
control = "/run/sessiond/control.sock"
control_group = ""
control_readers = []
control_admins = []
[store]
path = "/var/lib/sessiond/sessiond.db"
key_file = ""
[login]
deadline = 2.0
waiting = 4
cache = 300.0
cache_asked = 30.0
unbound = 10.0
grace = 30.0
leeway = 30.0
[refresh]
share = 0.6
jitter = 0.1
concurrency = 16
timeout = 10.0
recheck = 300.0
[events]
keep = 604800.0
max_attempts = 10
[log]
format = "json"
level = "info"
[[issuer]]
name = "corp"
kind = "oidc"
issuer = "https://login.example.com/"
also_issued_as = []
verify = "jwt"
users = []
audience = ["api://kdb"]
algorithms = []
typ = ["at+jwt"]
required_scope = ""
audience_claim = "aud"
tolerated_claims = []
token_type_optional = false
allow_clients = []
unverified_email = false
user_claim = "preferred_username"
subject_claim = "sub"
lease = 3600.0
client_id = "sessiond"
client_auth = "basic"
client_secret_file = ""
refresh_client_id = ""
refresh_client_secret_file = ""
refresh_scope = ""
prove_by_refresh = false
ca_file = ""
timeout = 1.5
concurrency = 64
discovery = ""
jwks_uri = ""
introspection_endpoint = ""
token_endpoint = ""
userinfo_endpoint = ""
insecure_http = false
roles_claim = ["roles", "scp", "scope"]
role_names = []
default_roles = []
require_role = false
[issuer.roles]
"kdb.read" = "reader"
[issuer.attributes]
department = "user_department"
[[subscriber]]
plugin = "audit"
path = "/var/log/sessiond/audit.jsonl"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return str(refused.value).splitlines()


# What is read


def test_the_published_example_loads_with_what_it_says() -> None:
    config = read(PUBLISHED)

    assert config.listen.allow_users == ("kdb",)
    assert config.issuers[0].roles == {"kdb.read": "reader"}
    assert config.issuers[0].attributes == {"department": "user_department"}
    assert config.subscribers == (
        SubscriberConfig(
            plugin="audit", name="audit", settings={"path": "/var/log/sessiond/audit.jsonl"}
        ),
    )


def test_the_published_values_are_the_defaults_but_for_what_the_site_must_name() -> None:
    published, plain = read(PUBLISHED), read(ISSUER)

    listen = msgspec.structs.replace(published.listen, allow_users=())
    corp = msgspec.structs.replace(published.issuers[0], roles={}, attributes={})
    assert msgspec.structs.replace(
        published, listen=listen, issuers=(corp,), subscribers=(), digest=plain.digest
    ) == plain  # fmt: skip


def test_the_example_file_loads() -> None:
    assert load(EXAMPLE).issuers[0].name == "corp"


def test_the_example_file_has_every_key_with_its_default() -> None:
    document = tomllib.loads(EXAMPLE.read_text())
    tables = {
        field.name: field.type
        for field in msgspec.structs.fields(Config)
        if field.name not in ("issuers", "subscribers", "role_sources", "sources", "digest")
        and field.default is not None  # one that may be missing: lines and a test of its own
    }
    assert document.keys() == {*tables, "issuer"}
    document["access"] |= {"grant": [], "process": []}  # in lines of their own: test_access_tables
    for name, struct in [*tables.items(), ("issuer", IssuerConfig)]:
        table = document["issuer"][0] if name == "issuer" else document[name]
        fields = {field.name: field for field in msgspec.structs.fields(struct)}
        if name == "issuer":
            del fields["web"]  # in lines of its own: test_web_tables
        assert list(table) == list(fields), name
        for key in fields.keys() - MANDATORY:
            default = fields[key].default
            if default is msgspec.NODEFAULT:
                default = fields[key].default_factory()
            assert table[key] == msgspec.json.decode(msgspec.json.encode(default)), key


def test_every_key_of_the_example_file_says_why_on_its_line() -> None:
    lines = EXAMPLE.read_text().splitlines()
    keys = [line for line in lines if re.match(r"[a-z_]+ +=", line)]

    assert len(keys) > 60
    assert [line for line in keys if not re.search(r"# \S.{5,}", line)] == []


def test_whole_numbers_are_seconds_too() -> None:
    deadline = read(f"[login]\ndeadline = 3\n{ISSUER}").login.deadline

    assert deadline == 3.0
    assert isinstance(deadline, float)


def test_accounts_are_names_or_numbers() -> None:
    text = f'[listen]\nallow_users = ["kdb", 1001, "CORP\\\\kx svc", "q@corp.example"]\n{ISSUER}'

    assert read(text).listen.allow_users == ("kdb", 1001, "CORP\\kx svc", "q@corp.example")


def test_a_plugin_may_subscribe_twice_under_two_names() -> None:
    text = '[[subscriber]]\nplugin = "webhook"\nname = "{}"\nurl = "u"\n'

    first, second = read(ISSUER + text.format("a") + text.format("b")).subscribers
    assert (first.name, second.name, first.settings) == ("a", "b", {"url": "u"})
    assert problems(ISSUER + text.format("a") * 2) == [
        "subscriber[a].name is there twice, must be its own: its place is kept under it"
    ]


def test_the_keys_of_a_subscriber_that_are_sessionds_own_are_checked() -> None:
    text = '[[subscriber]]\nplugin = "webhook"\nname = "hook"\n{}\n'

    assert problems(ISSUER + text.format("deadline = 0\nmemory = 1000")) == [
        "subscriber[hook].deadline is 0, must be above 0 and at most 600 seconds",
        "subscriber[hook].memory is 1000, must be between 134217728 and 2^50 bytes",
    ]


# What is refused, and by which name

OF_SOME_LINES = ", wanted TOML 1.0 of some lines: see config.example.toml"
BEFORE_ISSUER = {
    "[listen]\nprot = 1": "listen.prot is unknown; did you mean listen.port?",
    "[listen]\njitter = 0.1": "listen.jitter is unknown; did you mean refresh.jitter?",
    "port = 5099": "port is unknown; did you mean listen.port?",
    "[refesh]": "refesh is unknown; did you mean refresh?",
    "[listen]\nxyzzy = 1": "listen.xyzzy is unknown",
    '[listen]\n"a\\nb" = 1': "listen.'a\\nb' is unknown",
    "listen = 1": "listen is an integer, must be a table: [listen]",
    "subscriber = 1": "subscriber is an integer, must be an array of tables: [[subscriber]]",
    "[[subscriber]]": "subscriber[#1].plugin is missing, must be the name of a "
    "sessiond.subscribers entry point",
    '[listen]\nport = "5099"': "listen.port is a string, must be an integer",
    "[listen]\nport = true": "listen.port is a boolean, must be an integer",
    "[listen]\nport = 5099.0": "listen.port is a number, must be an integer",
    "[listen]\nport = 0": "listen.port is 0, must be between 1 and 65535",
    "[listen]\nport = 65536": "listen.port is 65536, must be between 1 and 65535",
    "[listen]\npath = 1": "listen.path is an integer, must be a boolean",
    "[listen]\nallow_users = 'kdb'": "listen.allow_users is a string, must be an array",
    "[listen]\nallow_users = ['kdb', {}]": "listen.allow_users[2] is a table, must be a string or "
    "an integer",
    "[listen]\nallow_users = ['a:b']": "listen.allow_users[1] is 'a:b', must be a user's or "
    "group's name or number",
    "[listen]\nallow_users = [-1]": "listen.allow_users[1] is -1, must be a user's or group's name "
    "or number",
    "[listen]\ndirectory = 'tmp'": "listen.directory is 'tmp', must be an absolute path",
    "[listen]\nmax_message = 1000": "listen.max_message is 1000, must be between 65536 and "
    "2147483647 bytes",
    "[login]\ndeadline = 0": "login.deadline is 0, must be above 0 and at most 600 seconds",
    "[login]\ndeadline = inf": "login.deadline is inf, must be above 0 and at most 600 seconds",
    "[login]\ndeadline = nan": "login.deadline is nan, must be above 0 and at most 600 seconds",
    "[login]\ndeadline = '2s'": "login.deadline is a string, must be a number",
    "[login]\ndeadline = 2020-01-01": "login.deadline is a date or time, must be a number",
    "[login]\nunbound = 0": "login.unbound is 0, must be above 0 and at most 600 seconds",
    "[login]\nleeway = -1": "login.leeway is -1, must be between 0 and 600 seconds",
    "[login]\ncache = -0.5": "login.cache is -0.5, must be between 0 and 1e9 seconds",
    "[login]\nwaiting = 0": "login.waiting is 0, must be between 1 and 100000",
    "[refresh]\nshare = 1.2": "refresh.share is 1.2, must be between 0 and 1",
    "[refresh]\nshare = 0": "refresh.share is 0, must be between 0 and 1",
    "[refresh]\nshare = 1": "refresh.share is 1, must be between 0 and 1",
    "[refresh]\njitter = -0.1": "refresh.jitter is -0.1, must be at least 0 and below 1",
    "[refresh]\njitter = 0.4": "refresh.share and refresh.jitter are 0.6 and 0.4, their sum must "
    "be below 1",
    "[events]\nkeep = 0": "events.keep is 0, must be above 0 and at most 1e9 seconds",
    "[log]\nformat = 'xml'": "log.format is 'xml', must be json, console or journald",
    "[store]\nkey_file = 'hunter2'": "store.key_file is wrong, must be an absolute path or empty",
}


@pytest.mark.parametrize(("text", "problem"), BEFORE_ISSUER.items(), ids=BEFORE_ISSUER)
def test_a_wrong_key_is_named_in_full(text: str, problem: str) -> None:
    assert problems(f"{text}\n{ISSUER}") == [problem]


def test_there_is_at_least_one_issuer() -> None:
    assert problems("") == ["issuer is missing: there must be at least one [[issuer]]"]
    assert problems("issuer = []") == ["issuer is missing: there must be at least one [[issuer]]"]


def test_an_issuer_is_an_array_of_tables() -> None:
    expected = "must be an array of tables: [[issuer]]"

    assert problems("[issuer]\nname = 'corp'") == [f"issuer is a table, {expected}"]
    assert problems("issuer = [1]") == [f"issuer is an array, {expected}"]


def test_all_problems_of_a_file_are_told_at_once() -> None:
    text = "[listen]\nport = 0\n[log]\nlevel = 1\n" + ISSUER.replace('"jwt"', '"x"')

    assert [line.split()[0] for line in problems(text)] == [
        "listen.port",
        "log.level",
        "issuer[corp].verify",
    ]


def test_bad_toml_is_told_with_its_line() -> None:
    assert problems("[listen]\nport = \n") == [
        "the text is not TOML: Invalid value (at line 2, column 8), wanted TOML 1.0: mend "
        "that line (toml.io)"
    ]


def test_bad_toml_in_a_file_is_told_with_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[listen\n")
    with pytest.raises(ConfigError, match=r"config\.toml is not TOML: .*at line 1"):
        load(path)


def test_what_breaks_the_toml_parser_itself_is_a_config_error_too() -> None:
    assert problems(f"a = {'1' * 5000}") == [f"the text is not TOML: ValueError{OF_SOME_LINES}"]
    assert problems(f"a = {'[' * 100_000}") == [
        f"the text is not TOML: RecursionError{OF_SOME_LINES}"
    ]


def test_a_file_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file or directory"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_utf_8_is_a_config_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"a = '\xff'")

    with pytest.raises(ConfigError, match="is not UTF-8: byte 5"):
        load(path)


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    text = f"[listen]\ndirectory = '/{'d' * 99}'\ncontrol = '/{'c' * 107}'\n{ISSUER}"

    assert problems(text) == [
        "listen.directory makes too long a path, must be 107 bytes at most",
        "listen.control makes too long a path, must be 107 bytes at most",
    ]
    assert read(f"[listen]\ncontrol = '/{'c' * 106}'\n{ISSUER}").listen.control == f"/{'c' * 106}"


def test_the_values_do_not_change_once_read() -> None:
    with pytest.raises(AttributeError):
        RefreshConfig().share = 0.9  # type: ignore[misc]
