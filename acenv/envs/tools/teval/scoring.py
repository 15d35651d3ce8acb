"""The scores of the six T-Eval tasks, record by record, as the official evaluators compute them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from acenv.envs.base import UnscorableError
from acenv.envs.encoders import Encoder
from acenv.envs.matching import harmonic_scores, longest_increasing, match_nodes, similarities
from acenv.envs.tools.teval.parsing import (
    format_load,
    literal,
    match_plain,
    match_template,
)

MAX_PLAN_STEPS = 64
"""Steps of a predicted plan that are matched with the right plan; the rest only counts as wrong. Officially answers end
after 512 tokens, which hold no more."""

FINISH = "FinishAction"
"""The tool that ends a task."""

_NAME_WEIGHT, _ARGS_WEIGHT, _THRESHOLD = np.float32(0.75), np.float32(0.25), 0.8
_DOTTED = re.compile(r"(?<!\w)\w++\.\w+")  # finds what "\w+\.\w+" finds, in linear time
_TOOL_NAME = re.compile(r"[^\W\d]\w+\.[^\W\d]\w+")
_LETTER = re.compile(
    r"\W*+(?i:(?:the\s++)?(?:correct\s++|right\s++)?(?:answer|choice|option)\W*+(?:is\b)?\W*+)?([A-E])\b"
)


def instruct_scores(prediction: str, gold: Mapping[str, Any], template: Mapping[str, str]) -> dict[str, float]:
    """Format and content of a call that is written after a template: instruct_evaluator.py.

    Returns:
        ``json_format_metric`` and ``json_args_em_metric``, or ``string_...`` of both: whether the text follows the
        template, and the share of tool and arguments that are right. An argument that is left out is right where the
        true one is an empty text.

    Raises:
        UnscorableError: See :func:`.parsing.match_template`.
    """
    kind = "json" if "thought" in template else "string"
    return _instruct_metrics(kind, instructed_call(prediction, template), gold)


def instructed_call(prediction: str, template: Mapping[str, str]) -> dict[str, Any] | None:
    """The ``action`` and the ``args`` of a call that is written after a template; None if it does not follow it.

    Raises:
        UnscorableError: See :func:`.parsing.match_template`.
    """
    if "thought" in template:
        return _read_json_call(prediction, template)
    found = match_template(template, prediction)
    return None if found is None else _read_args(found)


def instruct_corrected(prediction: str, gold: Mapping[str, Any], template: Mapping[str, str]) -> float:
    """Mean of format and content, the template's text taken as it is, and space at its ends ignored.

    Officially the text is a regular expression, and a template that ends in a line end matches no answer, because space
    at the answer's end has been cut off before.
    """
    if "thought" in template:
        metrics = _instruct_metrics("json", _read_json_call(prediction, template), gold)
    else:
        ends = dict(template, thought_start=template["thought_start"].lstrip(), args_end=template["args_end"].rstrip())
        found = match_plain(ends, prediction)
        metrics = _instruct_metrics("string", None if found is None else _read_args(found), gold)
    return sum(metrics.values()) / 2


def _instruct_metrics(kind: str, call: Mapping[str, Any] | None, gold: Mapping[str, Any]) -> dict[str, float]:
    right = 0.0
    if call is not None:
        right += gold["action"] == call["action"]
        right += sum(call["args"].get(key, "") == value for key, value in gold["args"].items())
    return {
        f"{kind}_format_metric": float(call is not None),
        f"{kind}_args_em_metric": float(right) / (len(gold["args"]) + 1),
    }


def _read_json_call(prediction: str, template: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        value = format_load(prediction)
        _, action, args = (value[template[part]] for part in ("thought", "action", "args"))
    except (ValueError, LookupError, TypeError):
        return None
    return {"action": action, "args": args if isinstance(args, dict) else {}}


def _read_args(found: Mapping[str, str]) -> dict[str, Any]:
    try:
        args = literal(found["args"].strip())
    except ValueError:
        args = {}
    return {"action": found["action"].strip(), "args": args if isinstance(args, dict) else {}}


def read_plan(value: Any) -> list[dict[str, Any]]:
    """The steps of a plan in JSON; none where any step is not as it should be."""
    try:
        steps = format_load(value, "[", "]")
        if not isinstance(steps, list):
            return []
        return [{"name": str(s["name"]), "id": int(s["id"]), "args": str(s["args"])} for s in steps]
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return []


def read_plan_lines(text: str, apis: Sequence[str]) -> list[dict[str, Any]]:
    """The steps of a plan in words: of each line, or sentence, the tool named first; the line is its arguments."""
    steps: list[dict[str, Any]] = []
    for line in text.replace(". ", "\n").split("\n"):
        places = [(place, i) for i, api in enumerate(apis) if (place := line.find(api)) >= 0]
        if places:
            steps.append({"name": apis[min(places)[1]], "id": len(steps), "args": line})
    return steps


def plan_scores(predicted: Sequence[dict[str, Any]], gold: Any, encoder: Encoder) -> dict[str, float]:
    """Precision, recall and F1 of a plan's steps: planning_evaluator.py.

    Steps are matched by the meaning of names (0.75) and of arguments (0.25), and the longest chain in the right order
    counts. Officially it counts as one step at least, even with nothing matched, and steps that are equal are matched
    in any order, which breaks the chain of a perfect plan. ``f1_score_corrected`` counts the longest common subsequence
    of the two plans instead, steps being the same where they could be matched.

    Args:
        predicted: From :func:`read_plan` or :func:`read_plan_lines`.
        gold: The right plan, as a list or as JSON.
        encoder: Compares names and arguments.

    Returns:
        ``precision recall f1_score parse_rate f1_score_corrected``.

    Raises:
        UnscorableError: One of the plans has no step but FinishAction.
    """
    right = read_plan(gold)
    names = ("precision", "recall", "f1_score", "parse_rate", "f1_score_corrected")
    if not predicted or not right:
        return dict.fromkeys(names, 0.0)
    ours, theirs = _in_order(predicted), _in_order(right)
    if not ours or not theirs:
        raise UnscorableError(f"a plan of {FINISH} alone cannot be compared")
    seen = ours[:MAX_PLAN_STEPS]
    by_name, by_args = (
        np.maximum(similarities([s[key] for s in seen], [s[key] for s in theirs], encoder), 0)
        for key in ("name", "args")
    )
    cosines = np.asarray(_NAME_WEIGHT * by_name + _ARGS_WEIGHT * by_args, dtype=np.float32)
    matching = match_nodes(cosines, _THRESHOLD)
    chain = longest_increasing([matching[i] for i in range(len(seen)) if matching[i] >= 0])
    official, corrected = (
        harmonic_scores(count / len(ours), count / len(theirs))
        for count in (max(1, chain), _common(cosines > _THRESHOLD))
    )
    return dict(zip(names, (official.precision, official.recall, official.f1, 1.0, corrected.f1), strict=True))


def _common(same: npt.NDArray[np.bool_]) -> int:
    """Length of the longest common subsequence of two sequences whose items ``i`` and ``j`` are ``same[i, j]``."""
    best = [0] * (same.shape[1] + 1)
    for row in same.tolist():
        before = best
        best = [0]
        for j, equal in enumerate(row):
            best.append(before[j] + 1 if equal else max(before[j + 1], best[j]))
    return best[-1]


def _in_order(plan: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    steps = sorted(plan, key=lambda step: step["id"])
    return steps[:-1] if steps[-1]["name"] == FINISH else steps


def call_scores(prediction: str, gold: Mapping[str, Any], encoder: Encoder) -> dict[str, float]:
    """Thought, tool and arguments of the next call in JSON: reason_retrieve_understand_evaluator.py.

    Returns:
        ``thought name args parse_rate``, and ``args_corrected``.

    Raises:
        UnscorableError: An argument is a number of too many digits to be written.
    """
    call = read_call(prediction)
    if not call:
        return dict.fromkeys(("thought", "name", "args", "parse_rate", "args_corrected"), 0.0)
    wanted = read_call(dict(gold))
    return {
        "thought": thought_score(call["thought"], wanted["thought"], encoder),
        "name": float(call["name"] == wanted["name"]),
        **args_scores(call["args"], wanted["args"]),
        "parse_rate": 1.0,
    }


def read_call(value: Any) -> dict[str, Any]:
    """``thought``, ``name`` and ``args`` of a call in JSON; empty if it is none."""
    try:
        value = format_load(value, "{", "}")
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    args = value.get("args")
    return {
        "thought": _as_text(value.get("thought", "")),
        "name": _as_text(value.get("name", "")),
        "args": args if isinstance(args, dict) else {},
    }


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):
        return ""


def thought_score(predicted: str, gold: str, encoder: Encoder) -> float:
    """Cosine of two thoughts, at least 0; rounding can make it a little more than 1."""
    first, second = (vector / (_length(vector) or np.float32(1)) for vector in encoder.encode([predicted, gold]))
    return max(0.0, float(first @ second))


def _length(vector: npt.NDArray[np.float32]) -> np.float32:
    """Length of a vector, rounded as PyTorch does, which the official cosine is made with: eight sums side by side."""
    squares = np.zeros(-(-len(vector) // 8) * 8, dtype=np.float32)
    squares[: len(vector)] = vector * vector
    sums = np.add.reduce(squares.reshape(-1, 8), axis=0)
    return np.float32(np.sqrt(np.add.accumulate(sums)[-1]))


def args_scores(predicted: Mapping[str, Any], gold: Mapping[str, Any]) -> dict[str, float]:
    """Share of the arguments whose text is right.

    Officially it is divided by a little more than their number, so that all of one argument is 0.99999:
    ``args_corrected`` is without that.

    Raises:
        UnscorableError: See :func:`call_scores`.
    """
    if not gold:
        return dict.fromkeys(("args", "args_corrected"), float(not predicted))
    try:
        right = sum(key in predicted and str(predicted[key]) == str(value) for key, value in gold.items())
    except (ValueError, RecursionError) as error:
        raise UnscorableError(f"an argument cannot be written as text: {error}") from error
    return {"args": right / (len(gold) + 1e-5), "args_corrected": right / len(gold)}


def text_scores(kind: str, prediction: str, gold: Mapping[str, Any], encoder: Encoder) -> dict[str, float]:
    """Thought, tool or argument in words; such an answer always counts as parsed.

    A tool's name must occur in the answer, and nothing else of the form ``a.b``: "e.g" and "2.0" count as other tools.
    ``name_corrected`` only takes for a tool what is made of two words that begin with a letter.

    Args:
        kind: ``"reason"``, ``"retrieve"`` or ``"understand"``.
        prediction: The answer.
        gold: ``{"thought", "name", "args"}``.
        encoder: Compares thoughts.

    Returns:
        ``thought``, ``name`` and ``name_corrected``, or ``args``; with ``parse_rate``.
    """
    parsed = {"parse_rate": 1.0}
    if kind == "reason":
        return {"thought": thought_score(prediction, str(gold["thought"]), encoder), **parsed}
    if kind == "retrieve":
        name = str(gold["name"])
        there = name in prediction
        others = [n for n in (*_DOTTED.findall(prediction), *re.findall(FINISH, prediction)) if n != name]
        corrected = there and not any(other == FINISH or _TOOL_NAME.fullmatch(other) for other in others)
        return {"name": float(there and not others), "name_corrected": float(corrected), **parsed}
    return {"args": float(prediction.strip("'").strip('"') == str(gold["args"])), **parsed}


def review_scores(prediction: str, gold: Any) -> dict[str, float]:
    """The judgement of a result: review_evaluator.py.

    Args:
        prediction: The answer: a letter, or ``{"is_finished": bool}`` where the right answer is an object.
        gold: The right letter, or ``{"review": bool}``.

    Returns:
        ``parse_rate review_quality``; for letters also ``review_quality_corrected``. Officially the letter must come
        first, or right after the answer's first colon, so "B: it failed" and "Choice C: ok" are not understood.
    """
    if not isinstance(gold, str):
        try:
            finished = format_load(prediction)["is_finished"]
            understood = finished in (True, False)
        except (ValueError, LookupError, TypeError):
            understood, finished = False, None
        return {"parse_rate": float(understood), "review_quality": float(understood and {"review": finished} == gold)}
    letter = prediction[prediction.find(":") + 1 :].strip()[:1]
    understood = letter in tuple("ABCDE")
    plain = _LETTER.match(prediction)
    return {
        "parse_rate": float(understood),
        "review_quality": float(understood and letter == gold),
        "review_quality_corrected": float(bool(plain and plain[1] == gold)),
    }
