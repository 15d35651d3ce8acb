"""The benchmarks' aggregate numbers over a run."""

import itertools
from types import SimpleNamespace

import pytest

import acenv
from acenv.analysis.official import official_scores
from acenv.types import Episode

_seeds = itertools.count()


def episode(name, metrics, error=None, **labels):
    return Episode(f"acenv/{name}-v0", next(_seeds), 0.0, 1, True, False, error=error, metrics=metrics, labels=labels)


def scores(*episodes):
    return official_scores(SimpleNamespace(episodes=episodes))


def teval_run():
    def record(kind, form, **metrics):
        return episode(f"Tool{kind}", metrics, task=kind.lower(), format=form)

    return [
        record("Instruct", "json", json_format_metric=1.0, json_args_em_metric=0.5),
        record("Instruct", "json", json_format_metric=1.0, json_args_em_metric=1 / 3),
        record("Instruct", "str", string_format_metric=0.0, string_args_em_metric=0.0),
        record("Plan", "json", precision=1.0, recall=0.5, f1_score=2 / 3, parse_rate=1.0),
        record("Plan", "str", precision=0.0, recall=0.0, f1_score=0.0, parse_rate=0.0),
        record("Reason", "json", thought=0.8, name=1.0, args=1.0, parse_rate=1.0),
        record("Reason", "str", thought=0.4, parse_rate=1.0),
        record("Retrieve", "json", thought=0.1, name=1.0, args=0.0, parse_rate=0.0),
        record("Retrieve", "str", name=0.0, parse_rate=1.0),
        record("Understand", "json", thought=0.0, name=0.0, args=0.5, parse_rate=1.0),
        record("Understand", "str", args=1.0, parse_rate=1.0),
        record("Review", "str", review_quality=1.0, parse_rate=1.0),
        record("Review", "json", review_quality=0.0, parse_rate=1.0),
    ]


def test_teval_overall():
    table = scores(*teval_run())
    assert table["T-Eval/instruct_json"] == {
        "json_format_metric": 1.0,
        "json_args_em_metric": 0.4167,
        "string_format_metric": 0.0,
        "string_args_em_metric": 0.0,
    }
    assert table["T-Eval/rru_json"] == pytest.approx({"thought": 0.8, "name": 1.0, "args": 0.5, "parse_rate": 2 / 3})
    assert table["T-Eval/review_str"] == {"review_quality": 1.0, "parse_rate": 1.0}
    parts = {"Instruct": 35.4, "Plan": 33.3, "Reason": 60.0, "Retrieve": 50.0, "Understand": 75.0, "Review": 100.0}
    assert table["T-Eval"] == {"Overall": 59.0, **parts}
    assert "T-Eval/missing" not in table
    assert table["episodes"] == {"T-Eval": 13.0}


def test_teval_says_what_is_missing_for_the_overall_number():
    table = scores(*(e for e in teval_run() if e.env_id != "acenv/ToolPlan-v0" or e.labels["format"] == "json"))
    assert "Overall" not in table["T-Eval"] and "Plan" not in table["T-Eval"]
    assert table["T-Eval"]["Review"] == 100.0
    assert table["T-Eval/missing"] == {"plan_str f1_score": 0.0}
    assert table["T-Eval/plan_json"]["recall"] == 0.5


def test_errors_and_unscored_answers_are_counted_apart():
    right = {"score": 1.0}
    table = scores(
        episode("LongBench", right, task="trec"),
        episode("LongBench", {"score": 0.0}, error="the server was down", task="trec"),
        episode("LongBench", {"unscored": 1.0}, task="trec"),
        episode("ToolSandbox", {}),
    )
    assert table == {
        "LongBench": {"trec": 100.0},
        "episodes": {"LongBench": 1.0},
        "errors": {"LongBench": 1.0},
        "unscored": {"LongBench": 1.0},
    }


def test_worfbench_by_split():
    names = ["node_precision", "node_recall", "node_f1", "graph_precision", "graph_recall", "graph_f1"]
    full, none = dict.fromkeys(names, 1.0), dict.fromkeys(names, 0.0)
    table = scores(
        episode("WorkflowEmbodied", full, task="os"),
        episode("WorkflowEmbodied", {**none, "unscored": 0.0}, task="os"),
        episode("WorkflowOpenGrounded", full, task="wikihow"),
    )
    assert table["WorfBench/os"] == dict.fromkeys(names, 0.5)
    assert table["WorfBench/wikihow"] == full


def test_longbench_buckets():
    lengths = {0.1: 100, 0.3: 3999, 0.5: 4000, 1 / 3: 8000}
    table = scores(*(episode("LongBench", {"score": s, "length": float(n)}, task="qasper") for s, n in lengths.items()))
    assert table["LongBench"] == {"qasper": 30.83}
    assert table["LongBench-E/qasper"] == {"0-4k": 20.0, "4-8k": 50.0, "8k+": 33.33}


def test_needle_heat_map():
    table = scores(
        episode("Needle", {"score": 1.0, "length": 2000.0, "depth": 11.0}),
        episode("Needle", {"score": 0.0, "length": 2000.0, "depth": 11.0}),
        episode("Needle", {"score": 1.0, "length": 1000.0, "depth": 0.0}),
        episode("Needle", {"score": 0.5}),
    )
    assert table["Needle"] == {"score": 0.625}
    assert table["Needle/2000"] == {"11": 0.5}
    assert table["Needle/1000"] == {"0": 1.0}


def test_the_other_benchmarks():
    table = scores(
        episode("Ruler", {"score": 1.0}, task="vt"),
        episode("Ruler", {"score": 2 / 3}, task="vt"),
        episode("LongGenBench", {"score": 1 / 3}, task="gsm8k"),
        episode("BFCL", {"accuracy": 1.0}, category="simple"),
        episode("BFCL", {"accuracy": 0.0}, category="simple"),
    )
    assert table["RULER"] == {"vt": 83.33}
    assert table["LongGenBench"] == {"gsm8k": 0.3333}
    assert table["BFCL"] == {"simple": 0.5}


def test_a_run_of_both_formats_gives_the_overall_number():
    results = acenv.evaluate(
        acenv.suites["toolcalling"][:6],
        acenv.load_policy("oracle"),
        range(12),
        workers=1,
        env_kwargs={i: {"format": "mixed", "difficulty": "easy"} for i in acenv.suites["toolcalling"][:6]},
    )
    assert official_scores(results)["T-Eval"]["Overall"] == 100.0


def test_agentboard_averages_its_three_metrics_and_splits_by_level():
    def world(name, success, progress, grounding, **labels):
        return episode(name, {"success": success, "progress": progress, "grounding": grounding}, **labels)

    table = scores(
        world("ToolQuery", 1.0, 1.0, 1.0, task="weather", level="easy"),
        world("ToolQuery", 0.0, 0.5, 0.5, task="movie", level="hard"),
        world("ToolQuery", 0.0, 0.0, 0.75, task="movie", level="hard"),
        world("TextWorldExpress", 0.0, 0.25, 1.0, task="coin"),
        episode("ToolQuery", {}, error="gone"),
    )
    assert table["AgentBoard/ToolQuery"] == {
        "success_rate": pytest.approx(1 / 3),
        "progress_rate": 0.5,
        "grounding_acc": 0.75,
        "success_rate_easy": 1.0,
        "progress_rate_easy": 1.0,
        "success_rate_hard": 0.0,
        "progress_rate_hard": 0.25,
    }
    assert table["AgentBoard/TextWorldExpress"] == {"success_rate": 0.0, "progress_rate": 0.25, "grounding_acc": 1.0}
    assert table["errors"] == {"AgentBoard": 1.0}
    assert table["episodes"] == {"AgentBoard": 4.0}
