"""LongGenBench as an environment: its own questions, and the files of MMLU, GSM8K and ACBench."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.envs.sources import RecordError

EXAMPLES = "about apples.\n\nQ: Which?\n(A) x (B) y (C) z (D) w\nA: Think. The answer is (B).\n\n"


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/LongGenBench-v0", **keywords).unwrapped


def write_lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def write_csv(path: Path, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [[f"Question {i}?", "x", "y", "z", "w", "ABCD"[i % 4]] for i in range(30)]
    write_csv(tmp_path / "MMLU" / "test" / "apples_test.csv", rows)
    for name in ("MMLU", "GSM8K"):
        (tmp_path / f"LongGenBench_{name}_prompt").mkdir()
    (tmp_path / "LongGenBench_MMLU_prompt" / "LongGenBench_prompt.json").write_text(json.dumps({"apples": EXAMPLES}))
    (tmp_path / "LongGenBench_GSM8K_prompt" / "LongGenBench_prompt.txt").write_text(
        "Question_1:\nOne?\n\nAnswer_1:\n1."
    )
    return tmp_path


@pytest.mark.parametrize("task", ["gsm8k", "mmlu"])
@pytest.mark.parametrize(("difficulty", "count"), [("easy", 3), ("medium", 10), ("hard", 30)])
def test_the_right_answers_count_in_every_score(task: str, difficulty: str, count: int) -> None:
    env = make(task=task, difficulty=difficulty)
    for seed in range(25):
        messages, info = env.reset(seed=seed)
        assert info["labels"] == {"task": task}
        first = env.task.first
        asked = re.findall(r"^Question_(\d+):", messages[-1]["content"], re.MULTILINE)
        assert [int(number) for number in asked[-count:]] == list(range(first, first + count))
        _, reward, _, _, info = env.step(env.expert_action())
        metrics = info["metrics"]
        assert reward == metrics["score"] == metrics["upstream_score"] == metrics["corrected_score"] == 1.0


def test_half_of_the_answers_is_half_of_the_score() -> None:
    env = make(task="gsm8k", questions=4, difficulty="easy")
    env.reset(seed=1)
    assert env.step("\n\n".join(env.expert_action().split("\n\n")[:2]))[1] == 0.5


def test_multiple_choice_has_four_different_choices_and_one_is_right() -> None:
    for difficulty in ("easy", "medium", "hard"):
        env = make(task="mmlu", difficulty=difficulty)
        for seed in range(5):
            prompt = env.reset(seed=seed)[0][-1]["content"]
            for line in re.findall(r"^\(A\).*$", prompt, re.MULTILINE):
                choices = re.split(r" ?\([ABCD]\) ", line)[1:]
                assert len(choices) == len(set(choices)) == 4


def test_easy_sets_are_short() -> None:
    for task in ("gsm8k", "mmlu"):
        env = make(task=task, difficulty="easy")
        assert len(env.reset(seed=0)[0][-1]["content"].split()) < 200


def test_answers_may_be_long() -> None:
    env = make(task="gsm8k", difficulty="easy")
    env.reset(seed=0)
    padded = env.expert_action() + "\n" + "x" * 60_000
    assert env.step(padded)[1] == 1.0
    assert env.max_new_tokens == 7950
    assert make(questions=30).max_new_tokens == 4096


def test_the_files_of_mmlu_make_official_prompts(folder: Path) -> None:
    env = make(task="mmlu", source=folder)
    assert len(env.records) == 1
    messages, info = env.reset(options={"index": 0})
    assert info["labels"] == {"task": "mmlu", "subject": "apples"}
    assert messages[0]["role"] == "system"
    examples = "Question_1:\nWhich?\n(A) x (B) y (C) z (D)\n\nAnswer_1:\nThink. The answer is (B)\n\n"
    assert messages[1]["content"].startswith(
        f"Examples: \n{examples}\n\nFollowing Question: \nQuestion_6:\nQuestion 0?\n"
    )
    assert messages[1]["content"].endswith("Question_25:\nQuestion 19?\n(A) x(B) y(C) z(D) w\n\n")
    assert env.step(env.expert_action())[1] == 1.0
    assert len(make(task="mmlu", questions=7, source=folder).records[0].answers) == 7


def test_a_blank_line_in_a_question_shifts_the_answers_as_officially(folder: Path) -> None:
    rows = [["One\n\nhalf?", "x", "None", "z", "w", "A"], ["Two?", "x", "y", "z", "w", "B"]]
    write_csv(folder / "MMLU" / "test" / "apples_test.csv", rows)
    task = make(task="mmlu", questions=2, source=folder).records[0]
    assert task.answers == ("A", "B")
    assert "Question_6:\nOne\nQuestion_7:\nhalf?\n(A) x(B) nan(C) z" in task.prompt
    assert "Two?" not in task.prompt


def test_gsm8k_is_cut_into_sets(folder: Path) -> None:
    write_lines(folder / "test.jsonl", [{"question": f"Q{i}?", "answer": f"So. #### {i},000"} for i in range(35)])
    env = make(task="gsm8k", source=folder)
    assert [len(record.answers) for record in env.records] == [30, 5]
    messages, _ = env.reset(options={"index": 1})
    assert messages[1]["content"].endswith(
        "Following Question: \nQuestion_9:\nQ30?\n"
        + "".join(f"Question_{i - 21}:\nQ{i}?\n" for i in range(31, 35))
        + "\n"
    )
    _, reward, _, _, info = env.step(env.expert_action())
    assert reward == info["metrics"]["corrected_score"] == 1.0
    assert len(make(source=folder).records) == 3


def test_ready_made_sets_are_read(tmp_path: Path) -> None:
    gsm8k = {
        "prompt": "Following Question: \nQuestion_4:\nHow many?\n",
        "questions": ["How many?"],
        "answers": ["#### 5"],
    }
    mmlu = {"task": "apples", "prompt": "Which?", "questions": ["Which?"], "answers": ["C"]}
    write_lines(tmp_path / "gsm8k_1.jsonl", [gsm8k])
    write_lines(tmp_path / "mmlu_1.jsonl", [mmlu])
    env = make(source=tmp_path)
    assert [(r.task, r.subject, r.first) for r in env.records] == [("gsm8k", "", 4), ("mmlu", "apples", 6)]
    for index in range(2):
        env.reset(options={"index": index})
        assert env.step(env.expert_action())[1] == 1.0
    assert len(make(task="gsm8k", source=tmp_path / "gsm8k_1.jsonl").records) == 1
    with pytest.raises(ValueError, match="no record for these settings"):
        make(task="mmlu", source=tmp_path / "gsm8k_1.jsonl")


def test_a_set_without_answers_is_an_error_and_never_a_zero(tmp_path: Path) -> None:
    write_lines(tmp_path / "gsm8k_1.jsonl", [{"prompt": "?", "questions": [], "answers": []}])
    env = make(task="gsm8k", source=tmp_path)
    env.reset(seed=0)
    assert "no answers" in env.step("x")[4]["unscored"]


def test_what_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"lacks GSM8K's test questions: expected GSM8K/test.jsonl"):
        make(task="gsm8k", source=folder)
    (folder / "MMLU" / "test" / "apples_test.csv").unlink()
    with pytest.raises(FileNotFoundError, match="lacks MMLU's test questions"):
        make(task="mmlu", source=folder)
    (folder / "LongGenBench_MMLU_prompt" / "LongGenBench_prompt.json").unlink()
    with pytest.raises(FileNotFoundError, match="lacks the examples for MMLU"):
        make(task="mmlu", source=folder)


def test_malformed_records_are_named(folder: Path) -> None:
    write_csv(
        folder / "MMLU" / "test" / "apples_test.csv",
        [["Q?", "x", "y", "z", "w", "A"], ["Q?", "x", "y", "z", "w", "AB"]],
    )
    with pytest.raises(RecordError, match=r"apples_test.csv, record 2: expected a question, four choices"):
        make(task="mmlu", source=folder)
    write_lines(folder / "test.jsonl", [{"question": "Q?"}])
    with pytest.raises(RecordError, match=r"test.jsonl, record in line 1: expected a field 'answer'"):
        make(task="gsm8k", source=folder)
    write_lines(folder / "mmlu_1.jsonl", [{"prompt": "?", "questions": ["Q"], "answers": [3]}])
    with pytest.raises(RecordError, match="a list of texts in 'answers', got 3"):
        make(task="mmlu", source=folder)
    write_lines(folder / "mmlu_1.jsonl", [{"prompt": "?", "questions": [], "answers": ["A"]}])
    with pytest.raises(RecordError, match="a question for every answer, got 0 and 1"):
        make(task="mmlu", source=folder)


@pytest.mark.parametrize(
    ("keywords", "complaint"), [({"task": "csqa"}, "'mixed'"), ({"questions": 0}, "from 1 to 200")]
)
def test_wrong_settings_are_refused(keywords: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make(**keywords)
