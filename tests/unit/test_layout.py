"""The unit tests mirror the rooms: where a module's tests are is known without searching."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE, TESTS = ROOT / "sessiond", ROOT / "tests/unit"
LOGIN = ROOT / "plugins/sessiond-login/sessiond_login"

# Run as processes, and tested as such in tests/integration.
AS_PROCESSES = {
    "__main__.py",
    "daemon/services.py",
    "daemon/serving.py",
    "daemon/sockets.py",
    *(str(file.relative_to(CODE)) for file in CODE.glob("demo/*.py")),
}

# By the module that people know its subject by; each is a part, or the words, of what that tests.
TESTED_WITH = {
    "config/access_checks.py": "config/test_access_tables.py",
    "config/checks.py": "config/test_issuers.py",
    "config/claim_rules.py": "config/test_issuers.py",
    "config/entra.py": "config/test_issuers.py",
    "config/reading.py": "config/test_config.py",
    "config/source_checks.py": "config/test_source_tables.py",
    "config/stores_checks.py": "config/test_stores_tables.py",
    "config/tables.py": "config/test_config.py",
    "config/ticket_checks.py": "config/test_ticket_tables.py",
    "config/value_types.py": "config/test_config.py",
    "config/url_checks.py": "config/test_issuers.py",
    "config/web_checks.py": "config/test_web_tables.py",
    "control/bodies.py": "control/test_app.py",
    "control/operations.py": "control/test_app.py",
    "control/ticket_status.py": "control/test_ticketing.py",
    "control/problem.py": "control/test_app.py",
    "control/status.py": "control/test_app.py",
    "control/protocol.py": "control/test_server.py",
    "control/view.py": "control/test_app.py",
    "core/admission.py": "core/test_answering.py",
    "core/change.py": "core/decide/test_login.py",
    "core/changes.py": "core/decide/test_login.py",
    "core/decide/draft.py": "core/decide/test_pieces.py",
    "core/decide/tokens.py": "core/decide/test_joining.py",
    "core/grant.py": "core/test_rows.py",
    "core/keeping.py": "core/decide/test_keeping.py",
    "core/queries.py": "core/test_answering.py",
    "core/reading.py": "core/test_answering.py",
    "core/rules.py": "core/test_answering.py",
    "core/session.py": "core/test_rows.py",
    "core/source_grant.py": "core/decide/test_keeping.py",
    "core/stored_value.py": "core/decide/test_keeping.py",
    "core/ticket.py": "core/decide/test_tickets.py",
    "ctl/asking.py": "ctl/test_commands.py",
    "ctl/configured.py": "ctl/test_signing_in.py",
    "ctl/revoking.py": "ctl/test_commands.py",
    "ctl/subscribers.py": "ctl/test_commands.py",
    "sources/answer.py": "sources/test_source.py",
    "sources/fetching.py": "sources/test_source.py",
    "sources/settings.py": "sources/test_asking.py",
    "sources/source_client.py": "sources/test_source.py",
    "issuers/source_sign_in.py": "issuers/test_source_build.py",
    "daemon/authorities.py": "daemon/test_issuers.py",
    "daemon/ending.py": "daemon/test_reload.py",
    "extensions/subscribers/checking.py": "extensions/subscribers/test_supervision.py",
    "extensions/subscribers/cursor.py": "extensions/subscribers/test_runner.py",
    "extensions/subscribers/state.py": "extensions/subscribers/test_runner.py",
    "gate/gate_issuer.py": "gate/test_gate.py",
    "init/answers.py": "init/test_questions.py",
    "init/command.py": "init/test_setting_up.py",
    "init/written.py": "init/test_document.py",
    "issuers/asked.py": "issuers/test_introspection.py",
    "issuers/keys.py": "issuers/test_jwt.py",
    "kdb/authentication.py": "kdb/test_logins.py",
    "kdb/changing.py": "kdb/test_connection.py",
    "kdb/conversation.py": "kdb/test_connection.py",
    "kdb/login.py": "kdb/test_logins.py",
    "kdb/login_services.py": "kdb/test_logins.py",
    "kdb/process_line.py": "kdb/test_callbacks.py",
    "kdb/renewal.py": "kdb/test_renewals.py",
    "kdb/token_authentication.py": "kdb/test_logins.py",
    "kdb/verification.py": "kdb/test_proving.py",
    "kdb/welcome.py": "kdb/test_proof.py",
    "log/redaction.py": "log/test_setup.py",
    "qipc/build.py": "qipc/test_values.py",
    "qipc/payload.py": "qipc/test_wire.py",
    "qipc/decode.py": "qipc/test_wire.py",
    "qipc/encode.py": "qipc/test_wire.py",
    "refresher/asking_again.py": "refresher/test_refresher.py",
    "store/codec.py": "store/test_sqlite.py",
    "table/batch.py": "table/test_table_pieces.py",
    "table/store.py": "store/test_store_contract.py",
    "testing/answer.py": "testing/test_fake_issuer.py",
    "testing/calls.py": "testing/test_process.py",
    "testing/endpoints.py": "testing/test_fake_issuer.py",
    "testing/faults.py": "testing/test_fake_issuer.py",
    "testing/granting.py": "testing/test_fake_issuer.py",
    "testing/issued.py": "testing/test_fake_issuer.py",
    "testing/issuer.py": "testing/test_fake_issuer.py",
    "testing/leaving.py": "testing/test_authorization.py",
    "testing/life.py": "testing/test_subscriber_contract.py",
    "testing/loopback.py": "testing/test_fake_issuer.py",
    "testing/pages.py": "testing/test_authorization.py",
    "testing/people.py": "testing/test_authorization.py",
    "testing/plain.py": "testing/test_process.py",
    "testing/wire.py": "testing/test_process.py",
    "tokenstores/settings.py": "daemon/test_settings.py",
    "tickets/counts.py": "tickets/test_issuing.py",
    "tickets/needs.py": "tickets/test_keys.py",
    "tickets/settings.py": "tickets/test_issuing.py",
    "tickets/tickets.py": "tickets/test_issuing.py",
    "web/needs.py": "web/test_browser_session.py",
    "web/web_client.py": "web/test_sign_in.py",
}

# The same of the program that people sign in with, whose tests are beside it.
LOGIN_TESTED_WITH = {
    "__main__.py": "test_cli.py",
    "clock.py": "issuers/test_device.py",
    "composition.py": "test_cli.py",
    "credentials.py": "test_signing_in.py",
    "errors.py": "test_readme.py",
    "issuer.py": "test_signing_in.py",
    "issuers/client.py": "issuers/test_flows.py",
    "issuers/keys.py": "issuers/test_id_token.py",
    "issuers/listening.py": "issuers/test_loopback.py",
    "issuers/oidc.py": "issuers/test_flows.py",
    "keeping/kept_file.py": "keeping/test_keep.py",
    "kept.py": "keeping/test_record.py",
    "profile.py": "profiles/test_reading.py",
    "profile_commands.py": "test_cli.py",
    "profiles/toml_text.py": "profiles/test_added.py",
}


@dataclass(frozen=True, slots=True)
class Mirror:
    """Code, the tests that mirror it, and where its exceptions are tested."""

    code: Path
    tests: Path
    tested_with: Mapping[str, str]
    as_processes: Set[str] = frozenset()

    def own_tests(self, module: str) -> list[Path]:
        """The test modules of its name, in the folder that mirrors its own."""
        path = self.tests / module
        return [
            *path.parent.glob(f"test_{path.stem}.py"),
            *path.parent.glob(f"test_{path.stem}_*.py"),
        ]

    def modules(self) -> list[str]:
        return [
            str(file.relative_to(self.code))
            for file in sorted(self.code.rglob("*.py"))
            if file.name != "__init__.py" and "template" not in file.parts
        ]

    def exceptions(self) -> list[str]:
        return sorted({*self.as_processes, *self.tested_with})


MIRRORS = {
    "sessiond": Mirror(CODE, TESTS, TESTED_WITH, AS_PROCESSES),
    "sessiond-login": Mirror(LOGIN, LOGIN.parent / "tests", LOGIN_TESTED_WITH),
}


@pytest.mark.parametrize(
    ("name", "module"), [(name, each) for name in MIRRORS for each in MIRRORS[name].modules()]
)
def test_each_module_has_its_tests_where_they_are_looked_for(name: str, module: str) -> None:
    mirror = MIRRORS[name]
    if module in mirror.as_processes:
        return
    named = mirror.tested_with.get(module)
    assert mirror.own_tests(module) if named is None else (mirror.tests / named).exists()


@pytest.mark.parametrize(
    ("name", "module"), [(name, each) for name in MIRRORS for each in MIRRORS[name].exceptions()]
)
def test_no_exception_outlives_its_reason(name: str, module: str) -> None:
    mirror = MIRRORS[name]
    assert (mirror.code / module).exists()
    assert mirror.own_tests(module) == []


@pytest.mark.parametrize("name", MIRRORS)
def test_each_folder_of_tests_is_that_of_a_room(name: str) -> None:
    code, tests = MIRRORS[name].code, MIRRORS[name].tests
    folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}
    assert {each for each in folders if not (code / each).is_dir()} == set()
