from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.longcontext.haystack import hide
from acenv.envs.longcontext.official_needle import EXPECTED, NEEDLE, QUESTION
from acenv.envs.longcontext.scoring import word_recall


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/Needle-v0", **keywords).unwrapped


def words(text: str) -> int:
    return len(text.split())


def text_of(env: Any) -> str:
    return str(env.reset(seed=0)[0][0]["content"])


def test_length_is_in_words_by_default_and_in_tokens_of_a_tokenizer() -> None:
    plain = text_of(make(length=1000, distractors=0, needles=1, difficulty="easy"))
    assert 970 < words(plain) < 1040
    by_letters = text_of(make(length=1000, distractors=0, needles=1, difficulty="easy", tokenizer=len))
    assert 800 < len(by_letters) < 1300

    class Halves:
        def encode(self, text: str) -> list[int]:
            return [0] * (2 * words(text))

    assert words(text_of(make(length=1000, difficulty="easy", distractors=0, tokenizer=Halves()))) < 560


@pytest.mark.parametrize(("depth", "low", "high"), [(0, 0.0, 0.02), (50, 0.45, 0.5), (100, 0.98, 1.0)])
def test_the_needle_is_at_its_depth(depth: float, low: float, high: float) -> None:
    env = make(length=2000, depth=depth, needles=1, distractors=0, difficulty="easy")
    env.reset(seed=1)
    text = env.task.text
    at = text.index(env.task.answers[0]) / len(text)
    assert low <= at <= high + 0.03


def test_several_needles_are_spread_from_the_depth_to_the_end() -> None:
    env = make(length=2000, depth=40, needles=3, distractors=0, difficulty="easy")
    env.reset(seed=1)
    places = [env.task.text.index(answer) / len(env.task.text) for answer in env.task.answers]
    assert places == pytest.approx([0.4, 0.6, 0.8], abs=0.03)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.floats(0, 100))
def test_hiding_keeps_the_haystack_and_respects_the_depth(sizes: list[int], depth: float) -> None:
    haystack = [" ".join(["w"] * size) + "." for size in sizes]
    text = hide(haystack, [(depth, "NEEDLE")], words)
    place = text.index("NEEDLE")
    assert [s for s in text if s != "NEEDLE"] == haystack
    before = sum(sizes[:place])
    assert before <= sum(sizes) * depth / 100 + 1e-6
    if place < len(sizes):
        assert before + sizes[place] > sum(sizes) * depth / 100 - 1e-6


def test_answers_are_scored_by_their_words_one_question_a_turn() -> None:
    env = make(difficulty="easy", needles=2)
    env.reset(seed=5)
    first, second = env.task.answers
    messages, reward, terminated, *_ = env.step(f"It is {first.upper()}.")
    assert reward == pytest.approx(0.5) and not terminated
    assert messages[-1]["content"] == env.task.questions[1]
    _, reward, terminated, _, info = env.step(second.split()[0])
    assert terminated
    assert reward == pytest.approx(0.5 / 3)
    assert info["metrics"]["score"] == pytest.approx((1 + 1 / 3) / 2)
    assert info["metrics"]["success"] == 0.0


def test_repeating_the_text_is_no_answer() -> None:
    env = make(difficulty="easy", needles=1)
    messages, _ = env.reset(seed=5)
    _, reward, *_ = env.step("so " * 30 + messages[0]["content"])
    assert reward == 0.0


def test_hard_questions_join_two_facts() -> None:
    env = make(difficulty="hard", length=500)
    env.reset(seed=0)
    owner = env.task.questions[0].split("belongs to ")[1].rstrip("?")
    assert f"belongs to {owner}." in env.task.text


def test_a_folder_of_texts_is_the_haystack(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The sea was calm. Nobody spoke! Was it late? " * 40, encoding="utf-8")
    env = make(source=str(tmp_path), difficulty="easy", length=100)
    assert "Nobody spoke!" in text_of(env)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match=r"a\.txt is not UTF-8"):
        make(source=str(tmp_path)).reset(seed=0)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(ValueError, match=r"expected \*.txt"):
        make(source=str(tmp_path)).reset(seed=0)


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"length": -1}, "length"),
        ({"needles": 0}, "needles"),
        ({"depth": 101}, "percentage"),
        ({"distractors": -1}, "distractors"),
        ({"source": "/no/such/folder"}, "no folder"),
        ({"tokenizer": 3}, "tokenizer"),
    ],
)
def test_settings_out_of_range_are_refused(keywords: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make(**keywords)


def test_an_expected_answer_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        word_recall("x", "  ")


def essays(folder: Path) -> Path:
    (folder / "b.txt").write_text("Second file. It ends here.\n" * 30, encoding="utf-8")
    (folder / "a.txt").write_text("First comes this file of a few words. Then more.\n" * 30, encoding="utf-8")
    return folder


def test_a_grid_is_walked_by_index_and_drawn_by_seed() -> None:
    env = make(difficulty="easy", grid=((200, 400), (0, 50, 100)), distractors=0)
    for index, (length, depth) in enumerate([(200, 0), (200, 50), (200, 100), (400, 0), (400, 50), (400, 100)]):
        messages, info = env.reset(seed=3, options={"index": index})
        assert (messages, info) == env.reset(seed=3, options={"index": index})
        assert info["labels"] == {"task": "grid", "length": str(length), "depth": str(depth)}
        text = env.task.text
        assert length - 15 < words(text) < length + 12
        assert text.index(env.task.answers[0]) / len(text) == pytest.approx(depth / 100, abs=0.08)
        *_, info = env.step(env.expert_action())
        assert (info["metrics"]["score"], info["metrics"]["length"], info["metrics"]["depth"]) == (1.0, length, depth)
    assert len({env.reset(seed=seed)[1]["labels"]["length"] for seed in range(20)}) == 2
    with pytest.raises(ValueError, match="cells 0 to 5"):
        env.reset(options={"index": 6})


def test_the_official_preset_has_forty_lengths_and_ten_depths(tmp_path: Path) -> None:
    for source in ("generated", str(essays(tmp_path))):
        env = make(preset="official", source=source)
        assert len(env.cells) == 400 and env.cells[0] == (1000, 0) and env.cells[399] == (40000, 100)
        env.reset(options={"index": 13})
        assert env.task.cell == (2000, 33)


def test_the_official_test_hides_its_needle_after_a_sentence_of_the_essays(tmp_path: Path) -> None:
    env = make(preset="official", source=str(essays(tmp_path)), grid=((400, 500), (0, 50, 100)))
    for index, depth in enumerate((0, 50, 100)):
        messages, info = env.reset(seed=1, options={"index": index})
        assert info["labels"] == {"task": "official", "length": "400", "depth": str(depth)}
        text = env.task.text
        place = text.index(NEEDLE)
        assert words(text) == 200 and text.startswith(("First comes", NEEDLE))
        assert depth == 100 or not text[:place] or text[:place].endswith(".")
        assert place / (len(text) - len(NEEDLE)) == pytest.approx(depth / 100, abs=0.06)
        assert len(messages) == 1 and text in messages[0]["content"] and QUESTION in messages[0]["content"]


def test_official_answers_have_the_official_scores_and_a_kinder_one(tmp_path: Path) -> None:
    env = make(preset="official", source=str(essays(tmp_path)), grid=((400,), (50,)))

    def metrics(text: str) -> dict[str, float]:
        env.reset(seed=0)
        *_, info = env.step(text)
        return dict(info["metrics"])

    assert metrics(EXPECTED)["success"] == 1.0
    short = metrics(f'"{EXPECTED.strip(".")}"')
    assert short["score"] == pytest.approx(9 / 11) and short["clean_score"] == 1.0
    assert metrics("so " * 30 + EXPECTED)["clean_score"] == 0.0
    long = metrics("x" * 30_000)
    assert (long["score"], long["clean_score"], long["grounding"]) == (0.0, 0.0, 0.0)
    assert metrics("")["grounding"] == 0.0


def test_tokens_of_a_tokenizer_decide_where_the_official_needle_goes(tmp_path: Path) -> None:
    class Letters:
        all_special_ids = [0]

        def encode(self, text: str) -> list[int]:
            return [0, *map(ord, text)]

        def decode(self, tokens: list[int], skip_special_tokens: bool = False) -> str:
            return "".join(chr(t) for t in tokens if not (skip_special_tokens and t in self.all_special_ids))

    folder = str(essays(tmp_path))
    env = make(preset="official", source=folder, grid=((1000,), (50,)), tokenizer=Letters())
    env.reset(seed=0)
    before, after = env.task.text.split(NEEDLE)
    assert len(env.task.text) + 2 == 800  # with a special token before each of the two texts
    assert before.endswith(".") and after.startswith((" ", "\n"))
    env = make(preset="official", source=folder, grid=((1000,), (50,)), tokenizer=Letters(), period_tokens=[ord("s")])
    env.reset(seed=0)
    assert env.task.text.split(NEEDLE)[0].endswith("s")


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"preset": "mine"}, "'official'"),
        ({"grid": ((100,), (0, 101))}, "0 to 100"),
        ({"grid": ((), (0,))}, "grid"),
        ({"grid": (100, 0)}, "grid"),
        ({"grid": ((100,), (0,)), "length": 5}, "leave length and depth out"),
        ({"preset": "official", "source": "{}", "needles": 2}, "one needle"),
        ({"preset": "official", "source": "{}", "tokenizer": len}, "encode and decode"),
        ({"preset": "official", "source": "{}/empty"}, r"expected the essays"),
    ],
)
def test_grids_that_cannot_be_are_refused(tmp_path: Path, keywords: dict[str, Any], problem: str) -> None:
    essays(tmp_path)
    (tmp_path / "empty").mkdir()
    filled = {k: v.format(tmp_path) if isinstance(v, str) else v for k, v in keywords.items()}
    with pytest.raises(ValueError, match=problem):
        make(**filled)
