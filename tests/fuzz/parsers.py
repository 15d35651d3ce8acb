"""Every parser of what a model or a server says, with what it may raise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from acenv.analysis.failures import find_failures
from acenv.analysis.kinds import mark
from acenv.envs.base import UnscorableError, clean_action
from acenv.envs.commands import asks_for_valid_actions, command_line, misread
from acenv.envs.longcontext.longbench.scoring import counted_part, record_score
from acenv.envs.longcontext.longgenbench.scoring import acbench_score, predicted_choices, predicted_numbers
from acenv.envs.longcontext.ruler.scoring import clean_prediction, string_match_all, whole_match
from acenv.envs.longcontext.scoring import word_recall
from acenv.envs.tools.bfcl.checker import check
from acenv.envs.tools.bfcl.converters import from_java, from_javascript
from acenv.envs.tools.bfcl.parsing import parse_answer
from acenv.envs.tools.calls import CallError, parse_calls
from acenv.envs.tools.scoring import same_answer
from acenv.envs.tools.services.protocol import parse_action
from acenv.envs.tools.teval.parsing import clean_answer, format_load, literal
from acenv.envs.tools.teval.scoring import read_plan, read_plan_lines, review_scores
from acenv.envs.workflow.episode import is_whole_answer
from acenv.envs.workflow.evaluation import restore_end
from acenv.envs.workflow.graph import edge_labels, node_texts, parse_graph
from acenv.envs.world.household.words import command_words, read
from acenv.envs.world.shop.environment import read_action
from acenv.lines import read_episode, read_transcript
from acenv.policies.remote.answers import read_answer, without_thoughts
from acenv.policies.remote.client import Fault
from acenv.types import Episode, Step, Transcript

Parser = tuple[Callable[[str], Any], tuple[type[Exception], ...]]

_TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}
_FUNCTION = {
    "name": "f",
    "parameters": {"properties": {"a": {"type": "array", "items": {"type": "string"}}}, "required": ["a"]},
}


def _checked(text: str) -> None:
    for language in ("python", "java", "javascript"):
        check("simple", parse_answer(text), [_FUNCTION], [{"f": {"a": [["x"], ""]}}], language)  # type: ignore[arg-type]


def _named(text: str) -> None:
    for env_id in ("acenv/ToolSandbox-v0", "acenv/BFCL-v0", "acenv/ToolQuery-v0", "acenv/PDDL-v0", "acenv/Workflow-v0"):
        said = Transcript(env_id, 0, (), [_TOOL], [Step(text, 0.0, "length")] * 4)
        record = Episode(env_id, 0, 0.0, 4, terminated=False, truncated=True, metrics={"success": 0.0})
        assert find_failures(record, said)


def _answered(text: str) -> None:
    choice = {"message": {"content": text, "tool_calls": [{"function": {"name": text, "arguments": text}}]}}
    answer = read_answer({"choices": [choice]})
    json.dumps(answer.calls)
    str(answer)


def _covered(text: str) -> None:
    for commands in (False, True):
        spans = mark(text, [_TOOL], commands=commands)
        assert "".join(text[s.start : s.end] for s in spans) == text


PARSERS: Mapping[str, Parser] = {
    "calls": (parse_calls, (CallError,)),
    "Python calls": (parse_answer, (CallError,)),
    "service calls": (parse_action, (CallError,)),
    "BFCL checker": (_checked, (CallError, UnscorableError)),
    **{
        f"Java {kind}": (lambda text, kind=kind: from_java(text, kind, "String"), (ValueError, NotImplementedError))
        for kind in ("integer", "long", "float", "double", "ArrayList", "Array", "HashMap")
    },
    **{
        f"JavaScript {kind}": (lambda text, kind=kind: from_javascript(text, kind), (ValueError,))
        for kind in ("integer", "float", "Bigint", "dict", "array")
    },
    "clean action": (clean_action, ()),
    "commands": (lambda text: misread(command_line(text), {"go"}), ()),
    "check": (asks_for_valid_actions, ()),
    "household": (lambda text: read(command_words(text)), ()),
    "shop": (read_action, ()),
    "graph": (lambda text: (node_texts(text), edge_labels(text), parse_graph(text), is_whole_answer(text)), ()),
    "graph's end": (restore_end, ()),
    "T-Eval answer": (clean_answer, ()),
    "T-Eval values": (lambda text: format_load(clean_answer(text), "{", "}"), (ValueError,)),
    "literals": (literal, (ValueError,)),
    "plans": (read_plan, ()),
    "plans in words": (lambda text: read_plan_lines(text, ["bank.pay", "a.b"]), ()),
    "reviews": (lambda text: (review_scores(text, "A"), review_scores(text, {"review": True})), ()),
    "answers": (lambda text: (same_answer(text, "12 apples"), same_answer("12", text)), ()),
    "recall": (lambda text: (word_recall(text, "a b"), string_match_all(clean_prediction(text), ["a"])), ()),
    "whole words": (lambda text: whole_match(text, ["a", "b c"]), ()),
    "LongBench": (
        lambda text: [
            record_score(task, counted_part(task, text), ["Paragraph 3"], ["x", "y"])
            for task in ("qasper", "trec", "passage_count", "passage_retrieval_en", "lcc", "dureader")
        ],
        (),
    ),
    "LongGenBench": (
        lambda text: (predicted_numbers(text), predicted_choices(text), acbench_score("gsm8k", text, ["3", "4"])),
        (),
    ),
    "kinds": (_covered, ()),
    "failures": (_named, ()),
    "server answers": (_answered, (Fault,)),
    "thoughts": (without_thoughts, ()),
    "run lines": (lambda text: read_transcript(text.encode(errors="replace")), (ValueError,)),
    "episode lines": (lambda text: read_episode(text.encode(errors="replace")), (ValueError,)),
}


def parse(name: str, text: str) -> None:
    """Let a parser read a text.

    Raises:
        AssertionError: It raised what it does not say it raises.
    """
    function, allowed = PARSERS[name]
    try:
        function(text)
    except allowed:
        pass
    except Exception as error:
        raise AssertionError(f"{name}: {error!r} on {text[:200]!r}") from error
