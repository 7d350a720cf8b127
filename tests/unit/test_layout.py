"""The unit tests mirror the rooms: where a module's tests are is known without searching."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE, TESTS = ROOT / "sessiond", ROOT / "tests/unit"

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
    "config/checks.py": "config/test_issuers.py",
    "config/claim_rules.py": "config/test_issuers.py",
    "config/entra.py": "config/test_issuers.py",
    "config/reading.py": "config/test_config.py",
    "config/tables.py": "config/test_config.py",
    "control/bodies.py": "control/test_app.py",
    "control/operations.py": "control/test_app.py",
    "control/problem.py": "control/test_app.py",
    "control/status.py": "control/test_app.py",
    "control/protocol.py": "control/test_server.py",
    "control/view.py": "control/test_app.py",
    "core/admission.py": "core/test_answering.py",
    "core/changes.py": "core/decide/test_login.py",
    "core/decide/draft.py": "core/decide/test_pieces.py",
    "core/decide/tokens.py": "core/decide/test_joining.py",
    "core/grant.py": "core/test_rows.py",
    "core/queries.py": "core/test_answering.py",
    "core/reading.py": "core/test_answering.py",
    "core/rules.py": "core/test_answering.py",
    "core/session.py": "core/test_rows.py",
    "core/verdict.py": "core/test_claims.py",
    "ctl/asking.py": "ctl/test_commands.py",
    "ctl/configured.py": "ctl/test_signing_in.py",
    "ctl/revoking.py": "ctl/test_commands.py",
    "ctl/subscribers.py": "ctl/test_commands.py",
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
    "kdb/conversation.py": "kdb/test_connection.py",
    "kdb/process_line.py": "kdb/test_connection.py",
    "kdb/steps.py": "kdb/test_logins.py",
    "kdb/tasks.py": "kdb/test_given_back.py",
    "kdb/welcome.py": "kdb/test_proof.py",
    "log/redaction.py": "log/test_setup.py",
    "qipc/build.py": "qipc/test_values.py",
    "qipc/payload.py": "qipc/test_wire.py",
    "qipc/decode.py": "qipc/test_wire.py",
    "qipc/encode.py": "qipc/test_wire.py",
    "refresher/asking_again.py": "refresher/test_refresher.py",
    "store/codec.py": "store/test_sqlite.py",
    "store/bulk.py": "store/test_sqlite_schema.py",
    "table/batch.py": "table/test_table_pieces.py",
    "table/store.py": "store/test_store_contract.py",
    "testing/answer.py": "testing/test_fake_issuer.py",
    "testing/calls.py": "testing/test_process.py",
    "testing/endpoints.py": "testing/test_fake_issuer.py",
    "testing/faults.py": "testing/test_fake_issuer.py",
    "testing/granting.py": "testing/test_fake_issuer.py",
    "testing/issued.py": "testing/test_fake_issuer.py",
    "testing/issuer.py": "testing/test_fake_issuer.py",
    "testing/life.py": "testing/test_subscriber_contract.py",
    "testing/loopback.py": "testing/test_fake_issuer.py",
    "testing/pages.py": "testing/test_authorization.py",
    "testing/people.py": "testing/test_authorization.py",
    "testing/plain.py": "testing/test_process.py",
    "testing/wire.py": "testing/test_process.py",
}


def own_tests(module: str) -> list[Path]:
    """The test modules of its name, in the folder that mirrors its own."""
    path = TESTS / module
    return [*path.parent.glob(f"test_{path.stem}.py"), *path.parent.glob(f"test_{path.stem}_*.py")]


@pytest.mark.parametrize(
    "module",
    [
        str(file.relative_to(CODE))
        for file in sorted(CODE.rglob("*.py"))
        if file.name != "__init__.py" and "template" not in file.parts
    ],
)
def test_each_module_has_its_tests_where_they_are_looked_for(module: str) -> None:
    if module in AS_PROCESSES:
        return
    named = TESTED_WITH.get(module)
    assert own_tests(module) if named is None else (TESTS / named).exists()


@pytest.mark.parametrize("module", sorted({*AS_PROCESSES, *TESTED_WITH}))
def test_no_exception_outlives_its_reason(module: str) -> None:
    assert (CODE / module).exists()
    assert own_tests(module) == []


def test_each_folder_of_tests_is_that_of_a_room() -> None:
    folders = {file.parent.relative_to(TESTS) for file in TESTS.rglob("test_*.py")}
    assert {each for each in folders if not (CODE / each).is_dir()} == set()
