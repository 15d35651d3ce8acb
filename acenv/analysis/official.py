"""The aggregate numbers of the benchmarks over a run, as their official scripts report them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from acenv.registry import suites
from acenv.types import Episode

Table = dict[str, dict[str, float]]

WORFBENCH = tuple(f"{kind}_{name}" for kind in ("node", "graph") for name in ("precision", "recall", "f1"))

LENGTHS = (("0-4k", 0, 4000), ("4-8k", 4000, 8000), ("8k+", 8000, math.inf))
"""LongBench-E's buckets of the length of the context: name, least, first that is too much."""

# What T-Eval's result file holds: its entry, the task and format of the records, the scores, the decimals they are
# rounded to. One answer in JSON gives thought, name and args officially; here each has an environment of its own.
_TEVAL: tuple[tuple[str, str, str, tuple[str, ...], int | None], ...] = (
    ("instruct_json", "instruct", "json", ("json_format_metric", "json_args_em_metric"), 4),
    ("instruct_json", "instruct", "str", ("string_format_metric", "string_args_em_metric"), 4),
    ("plan_json", "plan", "json", ("precision", "recall", "f1_score", "parse_rate"), None),
    ("plan_str", "plan", "str", ("precision", "recall", "f1_score", "parse_rate"), None),
    ("rru_json", "reason", "json", ("thought",), None),
    ("rru_json", "retrieve", "json", ("name",), None),
    ("rru_json", "understand", "json", ("args",), None),
    ("reason_str", "reason", "str", ("thought", "parse_rate"), None),
    ("retrieve_str", "retrieve", "str", ("name", "parse_rate"), None),
    ("understand_str", "understand", "str", ("args", "parse_rate"), None),
    ("review_str", "review", "str", ("parse_rate", "review_quality"), 4),
)

# What T-Eval's convert_results.py takes the mean of, for each of its six numbers.
_TEVAL_OVERALL: dict[str, tuple[tuple[str, str], ...]] = {
    "Instruct": (
        ("instruct_json", "json_format_metric"),
        ("instruct_json", "json_args_em_metric"),
        ("instruct_json", "string_format_metric"),
        ("instruct_json", "string_args_em_metric"),
    ),
    "Plan": (("plan_str", "f1_score"), ("plan_json", "f1_score")),
    "Reason": (("reason_str", "thought"), ("rru_json", "thought")),
    "Retrieve": (("retrieve_str", "name"), ("rru_json", "name")),
    "Understand": (("understand_str", "args"), ("rru_json", "args")),
    "Review": (("review_str", "review_quality"),),
}


class HasEpisodes(Protocol):
    """Results of a run."""

    @property
    def episodes(self) -> Sequence[Episode]: ...  # noqa: D102


def official_scores(results: HasEpisodes) -> Table:
    """The numbers that the benchmarks' own scripts would print for this run.

    * ``"T-Eval/<entry of the result file>"``: its scores; ``"T-Eval"``: the numbers of convert_results.py in percent
      with one decimal, each where both of its formats were run, and ``Overall`` where all six are there. What is
      missing for it is named in ``"T-Eval/missing"``, with the number of its scored episodes, 0.
    * ``"WorfBench/<split>"``: means of the node and graph scores.
    * ``"LongBench"``: percent by task; ``"LongBench-E/<task>"``: percent by bucket of length, where lengths are known.
    * ``"LongGenBench"``: mean accuracy by task, four decimals.
    * ``"Needle"``: mean of the score; ``"Needle/<length>"``: by depth in percent, the heat map's columns.
    * ``"AgentBoard/<environment>"``: success rate, progress rate and grounding accuracy, and the first two for its easy
      and its hard tasks (the label ``level``); also for worlds that AgentBoard itself does not have.
    * ``"RULER"``: percent by task. ``"BFCL"``: accuracy by category.
    * ``"episodes"``: how many episodes of each benchmark went into its numbers; ``"errors"``: how many failed, and
      ``"unscored"``: how many have an answer on which the official evaluator ends with an exception. Both are in no
      number, and no 0. Only benchmarks that have some are named.

    Numbers are fractions of 1 where nothing else is said.

    Args:
        results: Of a run (:class:`acenv.runs.Results`); episodes of other environments are passed over.
    """
    table: Table = {}
    counts: Table = {"episodes": {}, "errors": {}, "unscored": {}}
    for name, (prefix, summarise) in _BENCHMARKS.items():
        episodes = [e for e in results.episodes if _name(e.env_id).startswith(prefix)]
        scored = [e for e in episodes if e.error is None and not e.metrics.get("unscored")]
        table.update(summarise(scored) if scored else {})
        errors = sum(e.error is not None for e in episodes)
        for kind, count in (
            ("episodes", len(scored)),
            ("errors", errors),
            ("unscored", len(episodes) - len(scored) - errors),
        ):
            if count:
                counts[kind][name] = float(count)
    return table | {kind: numbers for kind, numbers in counts.items() if numbers}


def _name(env_id: str) -> str:
    """``acenv/ToolPlan-v0`` without namespace and version."""
    return env_id.rpartition("/")[2].partition("-v")[0]


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def _by(episodes: Iterable[Episode], key: Callable[[Episode], object]) -> dict[str, list[Episode]]:
    groups: dict[str, list[Episode]] = {}
    for episode in episodes:
        groups.setdefault(str(key(episode)), []).append(episode)
    return dict(sorted(groups.items()))


def _by_label(episodes: Iterable[Episode], label: str, metric: str) -> dict[str, list[float]]:
    """The values of a metric by a label; episodes that lack one of the two are passed over."""
    there = [e for e in episodes if label in e.labels and metric in e.metrics]
    return {k: [e.metrics[metric] for e in group] for k, group in _by(there, lambda e: e.labels[label]).items()}


def _teval(episodes: Sequence[Episode]) -> Table:
    entries: Table = {}
    by_record = _by(episodes, lambda e: (e.labels.get("task"), e.labels.get("format")))
    for entry, task, form, names, decimals in _TEVAL:
        group = by_record.get(str((task, form)), [])
        for name in names:
            values = [e.metrics[name] for e in group if name in e.metrics]
            if values:
                mean = _mean(values)
                entries.setdefault(entry, {})[name] = mean if decimals is None else round(mean, decimals)
    # Only an answer in JSON has both.
    whole = [e for group in by_record.values() for e in group if "thought" in e.metrics and "name" in e.metrics]
    if whole:
        entries["rru_json"]["parse_rate"] = _mean(e.metrics["parse_rate"] for e in whole)
    return {f"T-Eval/{entry}": scores for entry, scores in entries.items()} | _teval_overall(entries)


def _teval_overall(entries: Mapping[str, Mapping[str, float]]) -> Table:
    numbers: dict[str, float] = {}
    missing: list[str] = []
    for number, parts in _TEVAL_OVERALL.items():
        absent = [f"{entry} {name}" for entry, name in parts if name not in entries.get(entry, {})]
        missing += absent
        if not absent:
            numbers[number] = _mean(entries[entry][name] for entry, name in parts)
    if not missing:
        numbers = {"Overall": _mean(numbers.values()), **numbers}
    table = {"T-Eval": {number: round(100 * value, 1) for number, value in numbers.items()}} if numbers else {}
    return table | ({"T-Eval/missing": dict.fromkeys(missing, 0.0)} if missing else {})


def _worfbench(episodes: Sequence[Episode]) -> Table:
    return {
        f"WorfBench/{split}": {name: _mean(e.metrics[name] for e in group) for name in WORFBENCH}
        for split, group in _by(
            (e for e in episodes if e.metrics.keys() >= set(WORFBENCH)), lambda e: e.labels.get("task", "")
        ).items()
    }


def _longbench(episodes: Sequence[Episode]) -> Table:
    table = {"LongBench": _percent(episodes)}
    for task, group in _by((e for e in episodes if "length" in e.metrics), lambda e: e.labels.get("task", "")).items():
        for bucket, least, limit in LENGTHS:
            scores = [
                e.metrics["score"] for e in group if least <= e.metrics["length"] < limit and "score" in e.metrics
            ]
            if scores:  # Officially an empty bucket is NaN.
                table.setdefault(f"LongBench-E/{task}", {})[bucket] = round(100 * _mean(scores), 2)
    return table


def _percent(episodes: Sequence[Episode]) -> dict[str, float]:
    return {task: round(100 * _mean(values), 2) for task, values in _by_label(episodes, "task", "score").items()}


def _longgenbench(episodes: Sequence[Episode]) -> Table:
    tasks = _by_label(episodes, "task", "score")
    return {"LongGenBench": {task: round(_mean(values), 4) for task, values in tasks.items()}}


def _needle(episodes: Sequence[Episode]) -> Table:
    table = {"Needle": {"score": _mean(e.metrics["score"] for e in episodes)}}
    cells: dict[tuple[float, float], list[float]] = {}
    for e in episodes:
        if "length" in e.metrics and "depth" in e.metrics:
            cells.setdefault((e.metrics["length"], e.metrics["depth"]), []).append(e.metrics["score"])
    for (length, depth), scores in sorted(cells.items()):
        table.setdefault(f"Needle/{length:g}", {})[f"{depth:g}"] = _mean(scores)
    return table


def _ruler(episodes: Sequence[Episode]) -> Table:
    return {"RULER": _percent(episodes)}


def _bfcl(episodes: Sequence[Episode]) -> Table:
    categories = _by_label(episodes, "category", "accuracy")
    return {"BFCL": {category: _mean(values) for category, values in categories.items()}}


def _agentboard(episodes: Sequence[Episode]) -> Table:
    table: Table = {}
    there = [e for e in episodes if e.metrics.keys() >= {"success", "progress", "grounding"}]
    for world, group in _by(there, lambda e: _name(e.env_id)).items():
        numbers = table[f"AgentBoard/{world}"] = {}
        numbers["success_rate"] = _mean(e.metrics["success"] for e in group)
        numbers["progress_rate"] = _mean(e.metrics["progress"] for e in group)
        numbers["grounding_acc"] = _mean(e.metrics["grounding"] for e in group)
        for level in ("easy", "hard"):
            for metric in ("success", "progress"):
                if values := _by_label(group, "level", metric).get(level):
                    numbers[f"{metric}_rate_{level}"] = _mean(values)
    return table


_TEVAL_ENVS = tuple(f"Tool{task}" for task in ("Instruct", "Plan", "Reason", "Retrieve", "Understand", "Review"))

_BENCHMARKS: dict[str, tuple[str | tuple[str, ...], Callable[[Sequence[Episode]], Table]]] = {
    "WorfBench": ("Workflow", _worfbench),
    "T-Eval": (_TEVAL_ENVS, _teval),
    "LongBench": ("LongBench", _longbench),
    "LongGenBench": ("LongGenBench", _longgenbench),
    "Needle": ("Needle", _needle),
    "RULER": ("Ruler", _ruler),
    "BFCL": ("BFCL", _bfcl),
    "AgentBoard": (tuple(_name(env_id) for env_id in (*suites["worlds"], *suites["simulators"])), _agentboard),
}
