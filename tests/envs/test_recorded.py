"""Official records: which seed stands for which."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium

import acenv


def test_as_many_seeds_as_records_take_each_once_and_then_begin_anew(tmp_path: Path) -> None:
    lines = [
        {"input": f"Question {i}?", "context": "Words.", "answers": ["yes"], "length": 1, "dataset": "hotpotqa",
         "language": "en", "all_classes": None, "_id": str(i)}
        for i in range(7)
    ]  # fmt: skip
    (tmp_path / "hotpotqa.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "dataset2prompt.json").write_text(json.dumps({"hotpotqa": "{context} {input}"}))
    (tmp_path / "dataset2maxlen.json").write_text(json.dumps({"hotpotqa": 32}))
    env = gymnasium.make(acenv.suites["longcontext"][1], source=str(tmp_path), task="hotpotqa")
    said = [env.reset(seed=seed)[0][-1]["content"] for seed in range(9)]
    assert len(set(said[:7])) == 7
    assert said[7:] == said[:2]
