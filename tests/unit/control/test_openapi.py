"""The description is true to the operations, and whole."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sessiond.control.openapi import document
from sessiond.control.operations import OPERATIONS
from sessiond.core.events import Event, SessionOpened, to_json
from tests.fakes import START


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(document(OPERATIONS)))
    return found


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_operation_is_there_and_no_other(described: dict[str, Any]) -> None:
    listed = {
        (method.upper(), path) for path, each in described["paths"].items() for method in each
    }
    assert listed == {(each.method, each.path) for each in OPERATIONS}
    assert len(listed) >= 24


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    found = set(references(described))
    assert len(found) > 10
    for reference in found:
        node: Any = described
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_operations_have_names_of_their_own(described: dict[str, Any]) -> None:
    names = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)
    assert "get_sessions_id" in names


def test_each_operation_says_what_it_takes(described: dict[str, Any]) -> None:
    sessions = described["paths"]["/v1/sessions"]["get"]
    parameters = {each["name"]: each["schema"] for each in sessions["parameters"]}
    assert set(parameters) == {"user", "process", "issuer", "limit", "after"}
    assert (parameters["limit"]["minimum"], parameters["limit"]["maximum"]) == (1, 1000)
    revoking = described["paths"]["/v1/revocations"]["post"]
    reference = revoking["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    body = described["components"]["schemas"][reference.rpartition("/")[2]]
    assert (body["required"], body["additionalProperties"]) == (["reason"], False)
    path, _ = described["paths"]["/v1/names/{user}"]["delete"]["parameters"]
    assert (path["in"], path["required"]) == ("path", True)


def test_each_operation_says_what_it_answers_and_that_errors_are_problems(
    described: dict[str, Any],
) -> None:
    for path in described["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            in_oauths_words = {"400", "503"} if operation["operationId"] == "post_token" else set()
            assert len(answers.keys() - in_oauths_words) == 2
            assert "application/problem+json" in answers["default"]["content"]
    assert "204" in described["paths"]["/v1/revocations/{id}"]["delete"]["responses"]
    events = described["paths"]["/v1/events"]["get"]["responses"]["200"]
    assert list(events["content"]) == ["text/event-stream"]


def test_an_event_is_described_member_by_member(described: dict[str, Any]) -> None:
    event = SessionOpened(at=START)
    schemas = described["components"]["schemas"]
    assert set(json.loads(to_json(event))) == set(schemas["SessionOpened"]["properties"])
    assert len(schemas["Event"]["anyOf"]) == len(msgspec.inspect.type_info(Event).types)  # type: ignore[attr-defined]
