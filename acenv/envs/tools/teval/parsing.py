"""How T-Eval reads a model's text: what is cut off, how JSON is looked for, how a template is matched."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from acenv.envs.base import UnscorableError
from acenv.envs.tools.calls import parse_expression

MAX_PARSED_CHARS = 100_000
"""Longer texts are not parsed as JSON; an answer never is that long."""

MAX_REGEX_STEPS = 1_000_000
"""Steps that matching a template which is a regular expression may take, about 20 milliseconds."""

PARTS = ("thought", "action", "args")
ENDS = tuple(f"{part}_{end}" for part in PARTS for end in ("start", "end"))

_STOPS = ("<eoa>", "<TOKENS_UNUSED_1>", "<|im_end|>", "\nuser", "\nassistant", "\nUSER", "[INST]", "<|user|>")
_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")
_REPEATS = re.compile(r"(?<!\\)[*+]|\{\d*,?\d*\}")
_FENCE = "```json"


def clean_answer(text: str) -> str:
    r"""The part of a model's text that is scored: T-Eval's test.py, ``split_special_tokens``.

    One of its faults is that a line which begins with "user" or "assistant" ends the answer.

    >>> clean_answer('```json\n{"a": 1}\n```<|im_end|>')
    '{"a": 1}'
    """
    for stop in _STOPS:
        text = text.partition(stop)[0]
    return text.strip().removeprefix(_FENCE).strip("`").strip()


def format_load(raw: Any, start: str = "", end: str = "") -> Any:
    """The value that a text holds: T-Eval's utils/format_load.py.

    A Python literal, else JSON, else JSON once apostrophes are quotation marks. What is no text is given back.

    Args:
        raw: The text.
        start: Everything before its first occurrence is left out; where there is none, all but the last character.
        end: Everything after its last occurrence is left out.

    Raises:
        ValueError: The text is none of the three.

    >>> format_load("the call: {'a': true}", "{", "}")
    {'a': True}
    """
    if not isinstance(raw, str):
        return raw
    if _FENCE in raw:
        raw = raw[raw.find(_FENCE) + len(_FENCE) :].strip("`")
    if start:
        raw = raw[raw.find(start) :]
    if end:
        raw = raw[: raw.rfind(end) + len(end)]
    if len(raw) > MAX_PARSED_CHARS:
        raise ValueError(f"{len(raw)} characters are too many to be parsed")
    for parse in (_literal, json.loads, lambda text: json.loads(text.replace("'", '"'))):
        try:
            return parse(raw)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    raise ValueError("neither a Python literal nor JSON")


def literal(text: str) -> Any:
    """A Python literal.

    Raises:
        ValueError: It is none.
    """
    try:
        return _literal(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"no Python literal: {error}") from error


def _literal(text: str) -> Any:
    return ast.literal_eval(parse_expression(text.lstrip(" \t")))


def template_problem(template: Mapping[str, str]) -> str:
    """Why no answer can be matched with a template of an instruct task; empty where all is well.

    The official evaluator makes a regular expression of the template's text as it is, so it fails where the text is
    none. Braces fail too, as they are fields of a format string. Ours refuses in addition what repeats (``*``, ``+``):
    matching could take any time.
    """
    texts = [template[name] for name in ENDS]
    if any("{" in text or "}" in text for text in texts):
        return "the template has braces, which the official evaluator takes for fields"
    if any(_REPEATS.search(text) for text in texts):
        return "the template has * or +, which the official evaluator takes for repeats"
    try:
        re.compile(_pattern(template))
    except re.error as error:
        return f"the template is no regular expression, as the official evaluator needs it: {error}"
    return ""


def match_template(template: Mapping[str, str], text: str) -> dict[str, str] | None:
    """The thought, action and arguments in a text: T-Eval's utils/template.py, ``parse_string``.

    The template's texts with ``(.*)`` for each part are a regular expression, which is searched for; a dot is any
    character, a line end included. Templates without special characters, as the usual ones, are matched in linear time.

    Returns:
        The three parts, or None where the template does not match.

    Raises:
        UnscorableError: The template is a regular expression that would take too long on this text.
    """
    if not any(_SPECIAL.search(template[name]) for name in ENDS):
        return match_plain(template, text)
    separators = _separators(template)
    steps = 1
    for separator in separators[:3]:
        steps *= 1 + sum(1 for _ in re.finditer(f"(?=(?:{separator}))", text, re.S))
    if steps * (len(text) + 1) > MAX_REGEX_STEPS:
        raise UnscorableError("the template is a regular expression that takes too long on this answer")
    found = re.search(_pattern(template), text, re.S)
    return dict(zip(PARTS, found.groups(""), strict=False)) if found else None


def match_plain(template: Mapping[str, str], text: str) -> dict[str, str] | None:
    """As :func:`match_template`, with the template's texts taken as they are, in linear time.

    Every part is as long as it can be, the first before the second, so each separator is the last one possible.
    """
    first, second, third, last = _separators(template)
    end = text.rfind(last)
    third_at = text.rfind(third, 0, end) if end >= 0 else -1
    second_at = text.rfind(second, 0, third_at) if third_at >= 0 else -1
    first_at = text.find(first, 0, second_at) if second_at >= 0 else -1
    if first_at < 0:
        return None
    return {
        "thought": text[first_at + len(first) : second_at],
        "action": text[second_at + len(second) : third_at],
        "args": text[third_at + len(third) : end],
    }


def _separators(template: Mapping[str, str]) -> tuple[str, str, str, str]:
    return (
        template["thought_start"],
        template["thought_end"] + template["action_start"],
        template["action_end"] + template["args_start"],
        template["args_end"],
    )


def _pattern(template: Mapping[str, str]) -> str:
    return "(.*)".join(_separators(template))
