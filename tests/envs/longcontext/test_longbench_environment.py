"""LongBench as an environment: its own tasks, the official files, and prompts cut in the middle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.envs.longcontext.longbench.shots import QUESTIONS
from acenv.envs.longcontext.longbench.tasks import TASKS
from acenv.envs.sources import RecordError

ENGLISH = [task for task, kind in TASKS.items() if not kind.chinese]


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/LongBench-v0", **keywords).unwrapped


def record(**changes: Any) -> dict[str, Any]:
    base = {
        "input": "Who?",
        "context": "one two three",
        "answers": ["the miller"],
        "length": 4500,
        "dataset": "hotpotqa",
        "language": "en",
        "all_classes": None,
        "_id": "1",
    }
    return {**base, **changes}


def write(path: Path, records: Iterable[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return path


def write_config(folder: Path, **prompts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    prompts = prompts or {task: "Read {context} and say: {input}" for task in TASKS}
    (folder / "dataset2prompt.json").write_text(json.dumps(prompts))
    (folder / "dataset2maxlen.json").write_text(json.dumps(dict.fromkeys(prompts, 32)))
    return folder


# Generated tasks


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_solved_by_its_expert_and_by_no_other_answer(task: str) -> None:
    if TASKS[task].chinese:
        pytest.importorskip("jieba")
    for difficulty, seeds in (("easy", 8), ("medium", 3)):
        env = make(task=task, difficulty=difficulty)
        answers = set()
        for seed in range(seeds):
            _, info = env.reset(seed=seed)
            assert info["labels"]["task"] == task
            answers.add(env.expert_action())
            _, reward, terminated, _, info = env.step(env.expert_action())
            assert (reward, terminated) == (1.0, True)
            assert info["metrics"]["score"] == info["metrics"][TASKS[task].metric_name] == pytest.approx(1.0)
            assert info["metrics"].get("corrected_score", 1.0) == 1.0
            env.reset(seed=seed)
            assert env.step("no idea")[1] < 0.5
        assert len(answers) > 1


@pytest.mark.parametrize(("difficulty", "least", "most"), [("easy", 15, 300), ("medium", 2000, 6000)])
def test_texts_are_as_long_as_their_difficulty_says(difficulty: str, least: int, most: int) -> None:
    for task in ENGLISH:
        env = make(task=task, difficulty=difficulty)
        env.reset(seed=1)
        assert least <= env.task.length <= most, task


def test_mixed_draws_all_tasks_and_the_extended_set_has_thirteen() -> None:
    pytest.importorskip("jieba")
    env = make(difficulty="easy")
    drawn = set()
    for seed in range(200):
        drawn.add(env.reset(seed=seed)[1]["labels"]["task"])
    assert drawn == set(TASKS)
    assert len(make(e=True).tasks) == 13


def test_classes_are_not_part_of_each_other() -> None:
    for name in QUESTIONS:
        assert not any(name in other for other in QUESTIONS if other != name)


def test_the_length_of_an_answer_is_the_official_one() -> None:
    env = make(task="gov_report", difficulty="easy")
    assert env.max_new_tokens == 512
    env.reset(seed=0)
    assert env.max_new_tokens == 512
    assert make(task="hotpotqa").max_new_tokens == 32


def test_only_what_could_have_been_generated_is_scored() -> None:
    env = make(task="passage_count", difficulty="easy")
    env.reset(seed=0)
    right = env.expert_action()
    assert env.step("x" * TASKS["passage_count"].max_chars + right)[1] == 0.0


# Official files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "data" / "hotpotqa.jsonl", [record(), record(answers=["x", "a river"], length=9000)])
    write(tmp_path / "data" / "hotpotqa_e.jsonl", [record(length=100)])
    write(tmp_path / "trec.jsonl", [record(answers=["Date"], all_classes=["Date", "City"])])
    write_config(tmp_path / "config")
    return tmp_path


def test_records_are_read_with_their_prompts(folder: Path) -> None:
    env = make(task="hotpotqa", source=folder)
    assert len(env.records) == 2
    messages, info = env.reset(options={"index": 0})
    assert messages == [{"role": "user", "content": "Read one two three and say: Who?"}]
    assert info["labels"] == {"task": "hotpotqa", "bucket": "4-8k"}
    _, reward, terminated, _, info = env.step("The miller.")
    assert (reward, terminated) == (1.0, True)
    assert info["metrics"]["qa_f1_score"] == info["metrics"]["score"] == 1.0
    assert info["metrics"]["length"] == 4500
    assert env.reset(options={"index": 1})[1]["labels"]["bucket"] == "8k+"
    assert env.step("river")[1] == 1.0


def test_mixed_takes_the_files_that_are_there(folder: Path) -> None:
    pytest.importorskip("jieba")
    assert sorted(r.task for r in make(source=folder).records) == ["hotpotqa", "hotpotqa", "trec"]
    for keywords in ({"e": True, "task": "hotpotqa"}, {"task": "hotpotqa_e"}, {"e": True}):
        assert [r.length for r in make(source=folder, **keywords).records] == [100]


def test_one_file_and_the_archive_of_the_hub_are_read(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert len(make(task="hotpotqa", source=folder / "data" / "hotpotqa.jsonl").records) == 2
    hub = tmp_path_factory.mktemp("hub")
    with zipfile.ZipFile(hub / "data.zip", "w") as archive:
        archive.write(folder / "data" / "hotpotqa.jsonl", "data/hotpotqa.jsonl")
    with pytest.raises(FileNotFoundError, match=r"dataset2prompt.json is not in .*config="):
        make(task="hotpotqa", source=hub)
    assert len(make(task="hotpotqa", source=hub, config=folder / "config").records) == 2


def test_what_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no LongBench data: expected musique\.jsonl"):
        make(task="musique", source=folder)
    write_config(folder / "config", hotpotqa="{context}")
    with pytest.raises(ValueError, match="no entry 'trec'"):
        make(task="trec", source=folder)
    write_config(folder / "config", trec="{context} {title}")
    with pytest.raises(ValueError, match="asks for a field 'title'"):
        make(task="trec", source=folder)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"answers": "the miller"}, "in line 2: expected a list in 'answers', got the text 'the miller'"),
        ({"answers": [7]}, "expected a list of texts in 'answers', got 7"),
        ({"context": None}, "expected a text in 'context'"),
        ({"length": "long"}, "expected a whole number in 'length'"),
        ({"all_classes": "Date"}, "expected a list or null in 'all_classes'"),
    ],
)
def test_a_malformed_record_is_named(folder: Path, bad: dict[str, Any], complaint: str) -> None:
    write(folder / "data" / "hotpotqa.jsonl", [record(), record(**bad)])
    with pytest.raises(RecordError, match=complaint) as caught:
        make(task="hotpotqa", source=folder)
    assert "hotpotqa.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("task", "changes", "reason"),
    [
        ("hotpotqa", {"answers": []}, "no answer"),
        ("trec", {}, "needs all_classes"),
        ("passage_retrieval_en", {"answers": ["the first"]}, "with a number"),
    ],
)
def test_a_record_that_cannot_be_scored_is_an_error_and_never_a_zero(
    tmp_path: Path, task: str, changes: dict[str, Any], reason: str
) -> None:
    write_config(tmp_path)
    write(tmp_path / f"{task}.jsonl", [record(**changes)])
    env = make(task=task, source=tmp_path)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step("anything")
    assert (reward, terminated) == (0.0, True)
    assert reason in info["unscored"]


# Truncation


class Letters:
    """A tokenizer whose tokens are characters, after a special one."""

    all_special_ids = (0,)

    def encode(self, text: str) -> list[int]:
        return [0, *map(ord, text)]

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        return "".join(chr(i) for i in ids if i or not skip_special_tokens)


@pytest.mark.parametrize(
    ("max_length", "expected"),
    [(2, "g"), (6, "abefg"), (7, "abefg"), (8, "abcdefg")],
)
def test_long_prompts_lose_their_middle(tmp_path: Path, max_length: int, expected: str) -> None:
    write_config(tmp_path, hotpotqa="{context}")
    write(tmp_path / "hotpotqa.jsonl", [record(context="abcdefg")])
    env = make(task="hotpotqa", source=tmp_path, max_length=max_length, tokenizer=Letters())
    # The special token is one of the first int(max_length / 2), and is not in the text.
    assert env.reset(options={"index": 0})[0][0]["content"] == expected


def test_without_a_tokenizer_words_are_counted(tmp_path: Path) -> None:
    write_config(tmp_path, hotpotqa="{context}")
    write(tmp_path / "hotpotqa.jsonl", [record(context="one two three four five")])
    env = make(task="hotpotqa", source=tmp_path, max_length=4)
    assert env.reset(options={"index": 0})[0][0]["content"] == "one two four five"
    generated = make(task="narrativeqa", max_length=100)
    assert len(generated.reset(seed=0)[0][0]["content"].split()) == 100


@pytest.mark.parametrize(
    ("keywords", "complaint"),
    [
        ({"task": "squad"}, "task must be 'mixed' or one of narrativeqa"),
        ({"task": "musique_e"}, "not 'musique_e'"),
        ({"task": "hotpotqa", "max_length": 1}, "at least 2 tokens"),
        ({"task": "hotpotqa", "tokenizer": Letters()}, "max_length"),
        ({"task": "hotpotqa", "tokenizer": len, "max_length": 10}, "encode and decode"),
    ],
)
def test_wrong_settings_are_refused(keywords: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make(**keywords)
