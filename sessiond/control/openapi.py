"""The control API described for programs (OpenAPI 3.1), from the operations themselves."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from sessiond import __version__
from sessiond.config.value_types import Name
from sessiond.control import bodies, problem
from sessiond.control.access import Right
from sessiond.control.operation import EVENT_STREAM, Operation
from sessiond.control.problem import ProblemBody
from sessiond.core.events import Event

_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"{(\w+)}")
_END = r"\Z"  # Python's end of text; JSON Schema's patterns are ECMAScript's, where it is `$`
_PATH_PARAMETERS = {
    "id": {"type": "string", "format": "uuid"},
    "user": msgspec.json.schema(bodies.UserName),
    "name": msgspec.json.schema(Name),
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the description, to be written as JSON."""
    listed = list(operations)
    types: list[Any] = [ProblemBody, Event]
    for each in listed:
        types += [kind for kind in (each.body, each.answer) if isinstance(kind, type)]
        types += each.refusals.values()
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    of_type = {_key(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for each in listed:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each, of_type)
    components[bodies.RevocationRequest.__name__]["oneOf"] = [
        {"required": [target]} for target in bodies.TARGETS
    ]
    described = {
        "openapi": "3.1.0",
        "info": {"title": "sessiond control API", "version": __version__},
        "paths": paths,
        "components": {"schemas": {**components, "Event": of_type[_key(Event)]}},
    }
    _translate_patterns(described)
    return described


def _translate_patterns(node: Any) -> None:
    """Have every pattern mean to JSON Schema what it means here."""
    match node:
        case dict():
            if isinstance(node.get("pattern"), str):
                node["pattern"] = node["pattern"].replace(_END, "$")
            for each in node.values():
                _translate_patterns(each)
        case list():
            for each in node:
                _translate_patterns(each)
        case _:
            pass


def _key(kind: object) -> str:
    return repr(kind)


def _described(operation: Operation, of_type: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "parameters": [
            *_path_parameters(operation),
            *_query_parameters(operation),
            *_header_parameters(operation),
        ],
        "responses": {
            **_answers(operation, of_type),
            **_refusals(operation, of_type),
            "default": {
                "description": "What went wrong (RFC 9457)",
                "content": {problem.MEDIA_TYPE: {"schema": of_type[_key(ProblemBody)]}},
            },
        },
    }
    if operation.right is Right.ADMINISTER:
        described["description"] = "For control_admins only."
    elif operation.only_for:
        described["description"] = f"For those in {operation.only_for} only."
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": of_type[_key(operation.body)]}},
        }
    elif operation.content is not None:
        schema = {"type": "string", "maxLength": operation.content_limit}
        described["requestBody"] = {
            "required": False,  # an empty one is none
            "content": {each: {"schema": schema} for each in sorted(operation.content)},
        }
    return described


def _operation_id(operation: Operation) -> str:
    words = [word for word in re.split(r"[/{}]+", operation.path) if word not in ("", "v1")]
    return "_".join([operation.method.lower(), *words])


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATH_PARAMETERS[name],
        }
        for name in _PARAMETER.findall(operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([operation.query], ref_template=_REFERENCE)
    described = components[operation.query.__name__]
    required = described.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in described.get("properties", {}).items()
    ]


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "header", "required": True, "schema": schema}
        for name, schema in operation.headers.items()
    ]
    if operation.answer == EVENT_STREAM:
        schema = {"type": "string", "pattern": "^[0-9]{0,19}$"}  # empty: as if it were not there
        found.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": schema})
    return found


def _answers(operation: Operation, of_type: dict[str, Any]) -> dict[str, Any]:
    answer = operation.answer
    if answer is None:
        return {str(HTTPStatus.NO_CONTENT.value): {"description": "Done"}}
    if isinstance(answer, str):
        media_type, schema = answer.partition(";")[0], {"type": "string"}
        if answer == EVENT_STREAM:
            schema["description"] = "`id`: the sequence, `event`: the kind, `data`: an Event"
    else:
        media_type, schema = "application/json", of_type[_key(answer)]
    content = {media_type: {"schema": schema}}
    return {str(HTTPStatus.OK.value): {"description": operation.summary, "content": content}}


def _refusals(operation: Operation, of_type: dict[str, Any]) -> dict[str, Any]:
    return {
        str(status.value): {
            "description": status.phrase,
            "content": {"application/json": {"schema": of_type[_key(kind)]}},
        }
        for status, kind in operation.refusals.items()
    }
