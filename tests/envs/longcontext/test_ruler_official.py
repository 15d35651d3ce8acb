from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.longcontext.ruler.generator import TASKS
from acenv.envs.longcontext.ruler.official import official_samples
from acenv.envs.longcontext.ruler.words import SortedPairs
from acenv.envs.sources import RecordError

ASK = {
    "niah": (
        "Some {type_needle_v} are here.\n{context}\nWhat are all the {type_needle_v} of {query}?",
        " The hidden {type_needle_v} are",
    ),
    "variable_tracking": (
        "Follow the hand-overs:\n{context}\nWho has {query}?",
        " Answer: these {num_v} have {query}: ",
    ),
    "common_words_extraction": ("A list:\n{context}\nThe {num_cw} most common?", " Answer: the top words are:"),
    "freq_words_extraction": ("A code: {context}\nThe three most common?", " Answer: the words are:"),
    "qa": ("Pages.\n{context}\nQuestion: {query}", " Answer:"),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of RULER's shape with texts of our own."""
    root = tmp_path_factory.mktemp("ruler")
    folder = root / "scripts" / "data" / "synthetic"
    (folder / "json").mkdir(parents=True)
    tasks = {k: {"template": t, "answer_prefix": p, "tokens_to_generate": 20} for k, (t, p) in ASK.items()}
    (folder / "constants.py").write_text(f"import nothing\nTASKS = {tasks!r}\n")
    (folder / "niah.py").write_text(
        'needle = "Know that the {type_needle_v} of {key} is: {value}."\n'
        "if x:\n    haystack = load()\nelif y:\n    haystack = 'Rain fell. Wind blew.'\nelse:\n    haystack = needle\n"
    )
    (folder / "qa.py").write_text('DOCUMENT_PROMPT = "Page {i}:\\n{document}"\n')
    text = " ".join(f"Sentence {i} of a long essay." for i in range(2000))
    (folder / "json" / "PaulGrahamEssays.json").write_text(json.dumps({"text": text}))
    (folder / "json" / "english_words.json").write_text(json.dumps({str(i): f"word{i}" for i in range(60000)}))
    squad = [
        {
            "paragraphs": [
                {
                    "context": f"Paragraph {a}-{p}. It is blue.",
                    "qas": [
                        {
                            "question": f"Colour {a}-{p}?",
                            "is_impossible": False,
                            "answers": [{"text": "blue"}, {"text": "Blue"}],
                        },
                        {"question": "Nothing?", "is_impossible": True, "answers": []},
                    ],
                }
                for p in range(4)
            ]
        }
        for a in range(20)
    ]
    (folder / "json" / "squad.json").write_text(json.dumps({"data": squad}))
    hotpot = [
        {
            "question": f"Who {i}?",
            "answer": f"Person {i}",
            "context": [[f"T{i}{k}", ["One.", " Two."]] for k in range(3)],
        }
        for i in range(30)
    ]
    (folder / "json" / "hotpotqa.json").write_text(json.dumps(hotpot))
    return root


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.) ", text)


def samples(task: str, repository: Path, length: int = 600, **options: Any) -> list[dict[str, Any]]:
    if task.startswith("niah") or task == "cwe":
        pytest.importorskip("wonderwords")
    return list(official_samples(task, length, repository, **{"count": 3, "split_sentences": sentences} | options))


@pytest.mark.parametrize("task", TASKS)
def test_samples_fit_and_come_again_with_their_seed(task: str, repository: Path) -> None:
    drawn = samples(task, repository)
    assert drawn == samples(task, repository) and len(drawn) == 3
    assert samples(task, repository, seed=1)[0] != drawn[0] or task.startswith("qa")
    for record in drawn:
        prompt = record["input"] + record["answer_prefix"]
        assert record["length"] == len(prompt.split()) + 20 <= 600
        assert record["length"] > 400 or task in ("fwe", "cwe")
        assert record["answer_prefix"].startswith(" Answer:" if not task.startswith("niah") else " The hidden ")
        assert all(output in prompt for output in record["outputs"] if not task.startswith("qa"))


def test_singular_and_plural_questions(repository: Path) -> None:
    one = samples("niah_single_2", repository)[0]
    assert one["input"].startswith("A number is here.") and len(one["outputs"]) == 1
    assert one["input"][one["index"] :].startswith(one["outputs"][0])
    four = samples("niah_multiquery", repository)[0]
    assert four["input"].startswith("Some numbers are here.") and len(four["outputs"]) == 4
    assert re.search(r"of \S+, \S+, \S+, and \S+\?$", four["input"])
    assert len(samples("niah_multivalue", repository)[0]["outputs"]) == 4


def test_essays_are_repeated_where_they_are_too_short(repository: Path) -> None:
    long = samples("niah_single_2", repository, length=20000, count=1)[0]
    assert long["length"] > 19000 and long["input"].count("Sentence 3 of") == 2


def test_tracing_shows_an_example_with_other_names(repository: Path) -> None:
    first, second, _ = samples("vt", repository)
    assert first["input"].count("Follow the hand-overs:") == 2
    assert len(set(re.findall(r"VAR (\w{3}) = ", first["input"]))) == 5
    assert re.findall(r"VAR (\w{3}) = ", first["input"]) != re.findall(r"VAR (\w{3}) = ", second["input"])
    assert re.findall(r"VAR (\w{5}) = ", first["input"]) == first["outputs"]


def test_words_of_the_second_list_serve_where_the_first_is_too_short(repository: Path) -> None:
    long = samples("cwe", repository, length=100_000, count=1)[0]
    assert long["outputs"][0].startswith("word")


def test_questions_come_in_the_order_of_the_file(repository: Path) -> None:
    drawn = samples("qa_1", repository)
    assert [re.search(r"Question: (.*)", r["input"])[1] for r in drawn] == ["Colour 0-0?", "Colour 0-1?", "Colour 0-2?"]
    assert drawn[0]["outputs"] == ["blue", "Blue"]
    assert samples("qa_1", repository, length=20000)[0]["input"].count("Paragraph 0-1.") > 1
    assert "T00\nOne. Two." in samples("qa_2", repository)[0]["input"]
    with pytest.raises(ValueError, match="30"):
        samples("qa_2", repository, count=31)


def test_the_environment_draws_official_samples_as_records(repository: Path) -> None:
    env: Any = gymnasium.make("acenv/Ruler-v0", task="vt", length=600, source=repository, samples=4).unwrapped
    expected = list(official_samples("vt", 600, repository, count=4))
    assert len(env.records) == 4
    for index in (2, 0, 3):
        messages, info = env.reset(options={"index": index})
        assert messages[0]["content"] == expected[index]["input"] + expected[index]["answer_prefix"]
        assert info["labels"] == {"task": "vt"}
        *_, info = env.step(env.expert_action())
        assert info["metrics"]["string_match_all"] == 100.0
    with pytest.raises(ValueError, match="0 to 3"):
        env.reset(options={"index": 4})


def test_what_the_repository_lacks_is_named(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"constants\.py"):
        official_samples("vt", 600, tmp_path)
    (tmp_path / "constants.py").write_text(
        "TASKS = {'qa': {'template': '', 'answer_prefix': '', 'tokens_to_generate': 9}}"
    )
    with pytest.raises(FileNotFoundError, match=r"hotpotqa\.json.*download_qa_dataset"):
        official_samples("qa_2", 600, tmp_path)
    with pytest.raises(RecordError, match="'variable_tracking'"):
        official_samples("vt", 600, tmp_path)
    for text, problem in [("TASKS = (", "Python file"), ("x = 1", "literal assigned to TASKS")]:
        (tmp_path / "constants.py").write_text(text)
        with pytest.raises(RecordError, match=problem):
            official_samples("vt", 600, tmp_path)
    with pytest.raises(ValueError, match="niah_single_1"):
        official_samples("niah", 600, repository)


@pytest.mark.parametrize("task", ["vt", "fwe", "qa_1"])
def test_a_length_that_is_too_small_is_refused(task: str, repository: Path) -> None:
    with pytest.raises(ValueError, match="larger length"):
        samples(task, repository, length=40)


WORD = st.text("ab-", min_size=1, max_size=4)


@given(st.lists(WORD, max_size=8), st.lists(WORD, max_size=8))
def test_pairs_are_those_of_a_sorted_set(firsts: list[str], seconds: list[str]) -> None:
    expected = sorted({f"{a}-{b}" for a in firsts for b in seconds})
    pairs = SortedPairs(firsts, seconds)
    assert len(pairs) == len(expected) and list(pairs) == expected
    assert pairs[:2] == expected[:2]
