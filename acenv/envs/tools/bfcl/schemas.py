"""The official descriptions of functions as JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from acenv.envs.tools.bfcl.tasks import Language
from acenv.types import Tool

JSON_TYPES: Mapping[str, str] = {
    "integer": "integer",
    "number": "number",
    "float": "number",
    "string": "string",
    "boolean": "boolean",
    "bool": "boolean",
    "array": "array",
    "list": "array",
    "dict": "object",
    "object": "object",
    "tuple": "array",
}
"""Types of the benchmark to those of JSON Schema, as ``GORILLA_TO_OPENAPI`` of ``bfcl-eval``; others are strings."""

_LANGUAGES = {"java": "Java", "javascript": "JavaScript"}


def to_tool(function: Mapping[str, Any], language: Language = "python") -> Tool:
    """A function as chat APIs take it: types of JSON Schema, and no dots in the name.

    The parameters of Java and JavaScript functions become strings, which hold values in the notation of the language.

    >>> tool = to_tool({"name": "a.b", "parameters": {"properties": {"x": {"type": "float"}}, "required": ["x"]}})
    >>> tool["function"]["name"], tool["function"]["parameters"]["properties"]
    ('a_b', {'x': {'type': 'number'}})
    """
    parameters = function["parameters"]
    convert = _to_schema if language == "python" else lambda schema: _to_text(schema, _LANGUAGES[language])
    return {
        "type": "function",
        "function": {
            "name": function["name"].replace(".", "_"),
            "description": function.get("description", ""),
            "parameters": {
                "type": "object",
                "properties": {name: convert(schema) for name, schema in parameters["properties"].items()},
                "required": list(parameters.get("required", ())),
            },
        },
    }


def _to_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(schema)
    kind = JSON_TYPES.get(str(schema.get("type")), "string")
    if "type" in schema or not schema.keys() & {"anyOf", "oneOf", "allOf"}:
        result["type"] = kind
    if isinstance(schema.get("properties"), Mapping):
        result["properties"] = {
            name: _to_schema(inner) for name, inner in schema["properties"].items() if isinstance(inner, Mapping)
        }
    if isinstance(schema.get("items"), Mapping):
        result["items"] = _to_schema(schema["items"])
    return result


def _to_text(schema: Mapping[str, Any], language: str) -> dict[str, Any]:
    """A parameter whose value is a text in the notation of a language."""
    kind = schema.get("type", "any")
    hint = f"Any {language} expression" if kind == "any" else f"A {language} expression of type {kind}"
    if isinstance(schema.get("items"), Mapping):
        hint += f" with elements of type {schema['items'].get('type', 'any')}"
    if isinstance(schema.get("properties"), Mapping):
        hint += f" with the entries {json.dumps(schema['properties'], ensure_ascii=False)}"
    result = {key: value for key, value in schema.items() if key not in ("items", "properties")}
    description = schema.get("description", "")
    return {**result, "type": "string", "description": f"{description} {hint}, as text.".strip()}


def announce(tools: Sequence[Tool]) -> str:
    """What an agent is told about tools that are new."""
    lines = [json.dumps(tool["function"], ensure_ascii=False) for tool in tools]
    return "\n".join(["From now on there are also these functions:", *lines, "Go on with what was asked before."])
