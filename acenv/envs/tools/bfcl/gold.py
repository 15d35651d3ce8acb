"""Right answers, made from the values that the data sets call right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from acenv.envs.tools.bfcl.checker import Function, Possible
from acenv.envs.tools.bfcl.tasks import Language
from acenv.envs.tools.calls import Call


def right_calls(functions: Sequence[Function], possible: Sequence[Possible], language: Language) -> list[Call]:
    """Calls with the first right value of each parameter; what may be left out is.

    Values of Java and JavaScript are written in the notation of the language.
    """
    calls = []
    for right in possible:
        name, values = next(iter(right.items()))
        function = next((f for f in functions if f["name"] == name), functions[0])
        parameters = function["parameters"]
        required = parameters.get("required", ())
        arguments = {}
        for key, accepted in values.items():
            choices = [choice for choice in accepted if choice != ""]
            if key not in required and "" in accepted:
                continue
            schema = parameters["properties"].get(key, {})
            choice = _pick(choices[0]) if choices else ""
            arguments[key] = _write(choice, schema, language)
        calls.append(Call(name.replace(".", "_"), arguments))
    return calls


def _pick(choice: Any) -> Any:
    """A right value: in objects each key has a list of right values of its own."""
    if isinstance(choice, list):
        return [_pick(item) if isinstance(item, dict) else item for item in choice]
    if isinstance(choice, dict):
        picked = {}
        for key, accepted in choice.items():
            if not isinstance(accepted, list):
                picked[key] = accepted
            elif "" not in accepted:
                picked[key] = accepted[0]
        return picked
    return choice


def _write(value: Any, schema: Mapping[str, Any], language: Language) -> Any:
    kind = schema.get("type")
    if language == "python":
        return value
    element = schema.get("items", {}).get("type")
    return _java(value, kind, element) if language == "java" else _javascript(value, kind, element)


def _java(value: Any, kind: str | None, element: str | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value}{'L' if kind == 'long' else 'f' if kind == 'float' else ''}"
    if isinstance(value, list):
        quote = kind == "ArrayList"
        items = ", ".join(_java_item(item, element, quote) for item in value)
        if kind == "Array":
            return f"new {element}[]{{{items}}}"
        return f"new ArrayList<>(Arrays.asList({items}))" if value else "new ArrayList<>()"
    if isinstance(value, dict):
        puts = " ".join(f'put("{key}", {_java_item(item, None, True)});' for key, item in value.items())
        return f"new HashMap<String, Object>() {{{{ {puts} }}}}" if value else "new HashMap<>()"
    return str(value)


def _java_item(value: Any, element: str | None, quote: bool) -> str:
    """An element of a collection. The official converter takes the quotes off the strings of lists, not of arrays."""
    if isinstance(value, str):
        if element == "char":
            return f"'{value}'" if quote else value
        return f'"{value}"' if quote and element in (None, "String") else value
    return _java(value, element, None)


def _javascript(value: Any, kind: str | None, element: str | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value}{'n' if kind == 'Bigint' else ''}"
    if isinstance(value, list):
        return f"[{', '.join(_javascript_item(item, element) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {_javascript_item(item, None)}' for key, item in value.items()) + "}"
    return str(value)


def _javascript_item(value: Any, element: str | None) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if element in (None, "String") else value
    return _javascript(value, element, None)
