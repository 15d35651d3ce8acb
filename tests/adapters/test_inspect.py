"""Inspect runs our episodes: the scores are those of an evaluation of ours, whoever asks the model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="inspect-ai is not in this environment: make test-adapters")

import inspect_ai
from inspect_ai.model import ModelOutput, ModelUsage, get_model

import acenv
from acenv.adapters.inspect_ai import PolicyAPI, make_model, make_task

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EASY = {"difficulty": "easy"}


def run(task: Any, model: Any, folder: Path) -> Any:
    [log] = inspect_ai.eval(task, model=model, log_dir=str(folder), display="none", log_level="error")
    return log


def mock(answer: Callable[..., ModelOutput]) -> Any:
    def measured(*arguments: Any) -> ModelOutput:
        output = answer(*arguments)
        output.usage = ModelUsage()  # without it Inspect counts tokens, by a file from a network
        return output

    return get_model("mockllm/model", custom_outputs=measured, memoize=False)


def expert(env_id: str, seed: int) -> list[str]:
    results = acenv.evaluate(env_id, "oracle", [seed], env_kwargs=EASY)
    return [step.action for step in results.transcript((env_id, seed)).steps]


def test_the_scores_of_nano_are_those_of_an_evaluation(tmp_path: Path) -> None:
    log = run(make_task("toolsandbox", range(4), **EASY), make_model("nano"), tmp_path)
    assert log.status == "success"
    ours = acenv.evaluate("toolsandbox", "nano", range(4), env_kwargs=EASY)
    for sample, episode in zip(log.samples, ours.episodes, strict=True):
        value = sample.scores["episode_score"].value
        assert sample.id == f"acenv/ToolSandbox-v0#{episode.seed}"
        assert value["return"] == pytest.approx(episode.return_)
        assert {name: value[name] for name in episode.metrics} == pytest.approx(dict(episode.metrics))
        spoken = [message.text for message in sample.messages]
        assert spoken == [m["content"] for m in ours.transcript(episode.key).messages]
    means = {score.name: score.metrics["mean"].value for score in log.results.scores}
    assert means["return"] == pytest.approx(sum(e.return_ for e in ours.episodes) / 4)


def test_the_expert_in_words_solves_it(tmp_path: Path) -> None:
    actions = iter(expert("acenv/PDDL-v0", 0))
    model = mock(lambda *_: ModelOutput.from_content("mockllm/model", next(actions)))
    [sample] = run(make_task("pddl", [0], **EASY), model, tmp_path).samples
    assert sample.scores["episode_score"].value["success"] == 1.0


def test_structured_calls_are_calls_and_their_answers_are_tool_messages(tmp_path: Path) -> None:
    calls = [json.loads(action) for action in expert("acenv/ToolSandbox-v0", 0)]
    offered: list[list[str]] = []
    asked = iter(enumerate(calls))

    def answer(messages: Any, tools: Any, *_: Any) -> ModelOutput:
        offered.append([tool.name for tool in tools])
        number, call = next(asked)
        output = ModelOutput.for_tool_call("mockllm/model", call["name"], call["arguments"], tool_call_id=f"c{number}")
        output.choices[0].message.content = ""
        return output

    [sample] = run(make_task("toolsandbox", [0], **EASY), mock(answer), tmp_path).samples
    assert sample.scores["episode_score"].value["return"] == pytest.approx(1.0)
    answers = [message for message in sample.messages if message.role == "tool"]
    assert [message.tool_call_id for message in answers] == [f"c{i}" for i in range(len(answers))]
    assert all(calls[0]["name"] in names for names in offered)


def test_a_failing_policy_is_an_error_and_no_zero(tmp_path: Path) -> None:
    def broken(messages: Any) -> str:
        raise OSError("the model is gone")

    model = make_model("random")
    assert isinstance(model.api, PolicyAPI)
    model.api._policy = acenv.load_policy(broken)
    log = run(make_task("pddl", [0], **EASY), model, tmp_path)
    assert log.status == "error" and "the model is gone" in log.error.message


def test_a_full_context_ends_the_episode(tmp_path: Path) -> None:
    model = mock(lambda *_: ModelOutput.from_content("mockllm/model", "", "model_length"))
    [sample] = run(make_task("pddl", [0], **EASY), model, tmp_path).samples
    assert sample.scores["episode_score"].value["return"] == 0.0


def test_the_example_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "inspect_task.py"), "--seeds", "2", "--logs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"return +\d\.\d+ ±", done.stdout)
