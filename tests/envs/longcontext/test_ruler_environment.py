from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.envs.longcontext.ruler.generator import TASKS
from acenv.envs.sources import RecordError


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/Ruler-v0", **keywords).unwrapped


def answer(env: Any, text: str) -> dict[str, float]:
    env.reset(seed=0) if env._progress is None or env._progress.over else None
    *_, info = env.step(text)
    return dict(info["metrics"])


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("task", TASKS)
def test_the_expert_is_perfect_in_every_task_and_by_the_strict_score_too(task: str, difficulty: str) -> None:
    env = make(task=task, difficulty=difficulty)
    for seed in range(10 if difficulty == "easy" else 2):
        _, info = env.reset(seed=seed)
        assert info["labels"] == {"task": task}
        _, reward, terminated, _, info = env.step(env.expert_action())
        assert (reward, terminated) == (1.0, True)
        name = "string_match_part" if task.startswith("qa") else "string_match_all"
        assert info["metrics"][name] == 100.0
        assert info["metrics"]["score"] == info["metrics"]["whole_match"] == 1.0


def test_mixed_draws_every_task_by_seed() -> None:
    env = make(difficulty="easy")
    tasks = {env.reset(seed=seed)[1]["labels"]["task"] for seed in range(200)}
    assert tasks == set(TASKS)
    assert env.reset(seed=7) == make(difficulty="easy").reset(seed=7)


@pytest.mark.parametrize("task", TASKS)
def test_the_length_is_in_words_or_in_tokens_of_a_tokenizer(task: str) -> None:
    env = make(task=task, length=3000)
    assert 2850 <= len(env.reset(seed=1)[0][0]["content"].split()) <= 3050

    class Letters:
        def tokenize(self, text: str) -> list[str]:
            return list(text)

    env = make(task=task, length=20000, tokenizer=Letters())
    text = env.reset(seed=1)[0][0]["content"]
    assert 17000 <= len(text) <= 22000
    assert answer(env, "x")["length"] == len(text)


@pytest.mark.parametrize("task", TASKS)
def test_short_lengths_give_the_least_that_a_task_can_be(task: str) -> None:
    env = make(task=task, length=1)
    env.reset(seed=0)
    assert env.step(env.expert_action())[1] == 1.0


def test_a_value_is_asked_for_among_others_of_its_sort() -> None:
    env = make(task="niah_multikey_2")
    text = env.reset(seed=3)[0][0]["content"]
    question = text.rsplit("\n", 1)[1]
    key = re.fullmatch(r"What is (the .*)\?", question)[1]
    assert f"{key[0].upper()}{key[1:]} is {env.task.references[0]}." in text
    assert len(re.findall(r" is \d{7}\.", text)) > 300


def test_tracing_asks_for_all_names_of_one_of_several_chains() -> None:
    env = make(task="vt")
    text = env.reset(seed=3)[0][0]["content"]
    held = dict(re.findall(r"Put (\d+) in (\w+)\.", text))
    number = re.search(r"Which names hold (\d+)\?", text)[1]
    names = [held[number]]
    for old, new in re.findall(r"Copy (\w+) to (\w+)\.", text):
        if old == names[-1]:
            names.append(new)
    assert tuple(names) == env.task.references and len(held) == 2


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize(("task", "pattern"), [("cwe", r"\d+\. ([\w-]+)"), ("fwe", r"\b([a-z]+)\b")])
def test_the_words_asked_for_are_clearly_the_most_frequent(task: str, pattern: str, difficulty: str) -> None:
    env = make(task=task, difficulty=difficulty)
    for seed in range(5):
        body = env.reset(seed=seed)[0][0]["content"].split("\n\n")[1]
        counts = Counter(re.findall(pattern, body)).most_common()
        wanted = env.task.references
        assert {word for word, _ in counts[: len(wanted)]} == set(wanted)
        assert counts[len(wanted) - 1][1] >= counts[len(wanted)][1] + 1
        if task == "cwe":
            assert counts[len(wanted) - 1][1] >= 3 * counts[len(wanted)][1]


def test_joining_needs_two_documents() -> None:
    env = make(task="qa_2")
    for seed in range(10):
        text = env.reset(seed=seed)[0][0]["content"]
        question = text.rsplit("\n", 1)[1]
        thing, role = re.search(r"the one who (?:made|owns) the (\w+ \w+)( now)?", question).groups()
        page = re.search(rf"Document \d+: The {thing}\. (\w+ \w+) made .* belongs to (\w+ \w+) now", text)
        person = page[2] if role else page[1]
        life = re.search(rf"Document \d+: {person}\. .*", text)[0]
        assert env.task.references[0] in life


def test_the_official_score_finds_parts_of_words_and_repeated_prompts_and_the_strict_one_does_not() -> None:
    env = make(task="niah_multivalue", difficulty="easy")
    text = env.reset(seed=2)[0][0]["content"]
    first, second = env.task.references
    found = answer(env, f"It is 9{first}9 or {second}")
    assert (found["string_match_all"], found["score"], found["whole_match"]) == (100.0, 1.0, 0.5)
    env.reset(seed=2)
    found = answer(env, "so " * 30 + text)
    assert (found["string_match_all"], found["whole_match"]) == (100.0, 0.0)
    env.reset(seed=2)
    assert answer(env, f"only {first}")["string_match_all"] == 50.0


RECORD = {
    "index": 0,
    "input": "The hat is red. What is red?",
    "outputs": ["The hat", "a hat"],
    "length": 40,
    "answer_prefix": " Red is",
}


def test_official_samples_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "vt").mkdir()
    (tmp_path / "vt" / "validation.jsonl").write_text(json.dumps(RECORD) + "\n\n" + json.dumps(RECORD))
    (tmp_path / "qa_1.jsonl").write_text(json.dumps(RECORD))
    (tmp_path / "cwe.json").write_text(json.dumps({k: v for k, v in RECORD.items() if k in ("input", "outputs")}))
    env = make(source=str(tmp_path))
    assert [r.task for r in env.records] == ["vt", "vt", "cwe", "qa_1"]
    messages, info = env.reset(options={"index": 0})
    assert messages == [{"role": "user", "content": "The hat is red. What is red? Red is"}]
    assert info["labels"] == {"task": "vt"}
    metrics = answer(env, "the HAT")
    assert (metrics["string_match_all"], metrics["length"]) == (50.0, 40.0)
    env.reset(options={"index": 3})
    assert answer(env, "a hat")["string_match_part"] == 100.0
    assert len(make(source=str(tmp_path / "qa_1.jsonl")).records) == 1
    assert make(source=str(tmp_path / "vt" / "validation.jsonl")).records[1].task == "vt"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[]", "a JSON object"),
        ('{"input": "x"}', "a field 'outputs'"),
        ('{"input": "x", "outputs": "y"}', "a list in 'outputs'"),
        ('{"input": "x", "outputs": [3]}', "texts in 'outputs'"),
        ('{"input": 1, "outputs": []}', "a text in 'input'"),
        ('{"input": "", "outputs": [], "length": "9"}', "a whole number in 'length'"),
    ],
)
def test_malformed_records_are_refused_with_file_and_line(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "fwe.jsonl").write_text(json.dumps(RECORD) + "\n" + line)
    with pytest.raises(RecordError, match=rf"fwe\.jsonl.*line 2.*{problem}"):
        make(source=str(tmp_path))


def test_a_record_without_references_ends_as_an_error(tmp_path: Path) -> None:
    (tmp_path / "vt.jsonl").write_text('{"input": "x", "outputs": []}')
    env = make(source=str(tmp_path))
    env.reset(seed=0)
    *_, info = env.step("x")
    assert "divides by zero" in info["unscored"]


def test_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(FileNotFoundError, match=r"validation\.jsonl.*notes\.txt"):
        make(source=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"vt/validation\.jsonl"):
        make(source=str(tmp_path), task="vt")
    (tmp_path / "some.jsonl").write_text("{}")
    with pytest.raises(ValueError, match="which with task="):
        make(source=str(tmp_path / "some.jsonl"))


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"task": "niah"}, "niah_single_1"),
        ({"length": 0}, "length"),
        ({"samples": 0}, "samples"),
        ({"tokenizer": 3}, "tok"),
    ],
)
def test_settings_out_of_range_are_refused(keywords: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make(**keywords)
