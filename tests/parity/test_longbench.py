"""LongBench's metrics and scores against those of its own evaluator, recorded case by case."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.envs.longcontext.longbench.scoring import scorer, scorer_e
from acenv.envs.longcontext.longbench.tasks import TASKS

METRICS = {kind.metric_name: kind.metric for kind in TASKS.values()}


@pytest.fixture(scope="module")
def official(parity_dir: Path) -> dict[str, Any]:
    return json.loads((parity_dir / "oracle" / "longbench.json").read_text(encoding="utf-8"))


def close(ours: float, theirs: float | None) -> bool:
    """Null is the official nan."""
    return math.isnan(ours) if theirs is None else ours == pytest.approx(theirs, abs=1e-9)


def test_every_metric_with_cases_is_known(official: dict[str, Any]) -> None:
    # No case of qa_f1_zh_score was recorded.
    assert {case["metric"] for case in official["cases"]} == set(METRICS) - {"qa_f1_zh_score"}


def test_metrics_equal_the_official_ones(official: dict[str, Any]) -> None:
    for case in official["cases"]:
        if "zh" in case["metric"]:
            pytest.importorskip("jieba")
        score = METRICS[case["metric"]](
            case["prediction"], case["ground_truth"], case["kwargs"].get("all_classes") or ()
        )
        assert close(score, case["score"]), case


def test_scores_of_data_sets_equal_the_official_ones(official: dict[str, Any]) -> None:
    for case in official["scorer_cases"]:
        task, predictions, answers = case["dataset"], case["predictions"], case["answers"]
        classes = case["all_classes"] or ()
        assert close(scorer(task, predictions, answers, classes), case["scorer"]), case
        if "scorer_e" in case:
            groups = scorer_e(task, predictions, answers, case["lengths"], classes)
            assert groups.keys() == case["scorer_e"].keys()
            assert all(close(groups[name], case["scorer_e"][name]) for name in groups), case


def test_the_official_prompts_and_lengths_are_used(parity_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("jieba")
    config = parity_dir / "data" / "longbench" / "config"
    prompts, lengths = (json.loads((config / f"dataset2{name}.json").read_text()) for name in ("prompt", "maxlen"))
    assert set(prompts) == set(lengths) == set(TASKS)
    for task, kind in TASKS.items():
        assert lengths[task] == kind.max_new_tokens
        answer = {"passage_retrieval_en": "Paragraph 3", "passage_retrieval_zh": "段落3"}.get(task, "7")
        record = {"input": "QUESTION", "context": "TEXT", "answers": [answer], "length": 2, "all_classes": ["7", "8"]}
        (tmp_path / f"{task}.jsonl").write_text(json.dumps(record) + "\n")
    env: Any = gymnasium.make("acenv/LongBench-v0", source=tmp_path, config=config).unwrapped
    assert [record.task for record in env.records] == list(TASKS)
    for index, task in enumerate(TASKS):
        messages, _ = env.reset(options={"index": index})
        asked = prompts[task].format(input="QUESTION", context="TEXT")
        assert messages == [{"role": "user", "content": asked}]
        assert env.max_new_tokens == lengths[task]
        assert env.step(env.expert_action())[1] == 1.0
