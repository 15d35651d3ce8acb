"""TRL: rollouts are our episodes token by token, and training on them raises the return."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl", reason="pip install 'acenv[trl]'")

import acenv
from acenv.adapters.trl import episode_return, episodes, rollouts
from acenv.policies import NANO

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EASY = {"difficulty": "easy"}
END = 1


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(NANO)


class Actor:
    """Stands for the trainer: says what a script has for each prompt, turn by turn."""

    def __init__(self, tokenizer: Any, scripts: dict[str, Sequence[str]], *, ends: bool = True, **limits: int) -> None:
        self.processing_class = tokenizer
        self.eos_token_ids = [END]
        self.max_completion_length = limits.get("budget", 1000)
        context = SimpleNamespace(max_position_embeddings=limits.get("context", 2048))
        self.model = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: context))
        self.scripts = {key: list(script) for key, script in scripts.items()}
        self.ends = ends
        self.batches: list[int] = []

    def _generate_single_turn(self, ids: Any, images: Any, fields: Any, num_generations: int) -> tuple[Any, None]:
        self.batches.append(len(ids))
        spoken = []
        for text in (self.processing_class.decode(row) for row in ids):
            [key] = [key for key in self.scripts if key in text]
            tokens = self.processing_class(self.scripts[key].pop(0), add_special_tokens=False)["input_ids"]
            spoken.append(tokens + [END] * self.ends)
        return spoken, None


def expert(env_id: str, seed: int) -> acenv.Transcript:
    kwargs = {**EASY, "split": "train"}
    return acenv.evaluate(env_id, "oracle", [seed], env_kwargs=kwargs).transcript((env_id, seed))


def scripts_of(*transcripts: acenv.Transcript) -> dict[str, list[str]]:
    return {t.messages[0]["content"]: [step.action for step in t.steps] for t in transcripts}


def test_a_dataset_names_episodes() -> None:
    assert episodes(["pddl", "needle"], [3, 4])["prompt"] == [
        "acenv/PDDL-v0#3",
        "acenv/Needle-v0#3",
        "acenv/PDDL-v0#4",
        "acenv/Needle-v0#4",
    ]


@pytest.mark.parametrize("env_id", ["acenv/PDDL-v0", "acenv/ToolSandbox-v0"])
@pytest.mark.parametrize("ends", [True, False])
def test_a_rollout_is_the_conversation_and_the_mask_is_what_the_model_said(
    tokenizer: Any, env_id: str, ends: bool
) -> None:
    seeds = (0, 1)
    transcripts = [expert(env_id, seed) for seed in seeds]
    actor = Actor(tokenizer, {}, ends=ends)
    play = rollouts(**EASY)
    for seed, transcript in zip(seeds, transcripts, strict=True):
        actor.scripts = {"": [step.action for step in transcript.steps]}
        out = play([f"{env_id}#{seed}"], actor)
        whole = tokenizer.decode(out["prompt_ids"][0] + out["completion_ids"][0])
        expected = tokenizer.apply_chat_template(
            list(transcript.messages), tools=list(transcript.tools) or None, tokenize=False
        )
        assert expected.startswith(whole)
        assert expected[len(whole) :].count("<|assistant|>") == 0
        tokens = [t for t, own in zip(out["completion_ids"][0], out["env_mask"][0], strict=True) if own]
        said = tokenizer.decode([t for t in tokens if t != END])
        assert said == "".join(step.action for step in transcript.steps)
        assert tokens.count(END) == (len(transcript.steps) if ends else 0)
        assert out["episode_return"] == [pytest.approx(1.0)]
        assert out["metric/success"] == [1.0]
        assert out["logprobs"] is None


def test_episodes_of_different_lengths_are_played_together(tokenizer: Any) -> None:
    transcripts = [expert("acenv/PDDL-v0", seed) for seed in range(6)]
    lengths = [len(t.steps) for t in transcripts]
    assert len(set(lengths)) > 1
    actor = Actor(tokenizer, scripts_of(*transcripts))
    out = rollouts(**EASY)([f"acenv/PDDL-v0#{seed}" for seed in range(6)], actor)
    assert out["episode_return"] == [pytest.approx(1.0)] * 6
    assert actor.batches == [sum(length > turn for length in lengths) for turn in range(max(lengths))]
    assert [len(ids) for ids in out["completion_ids"]] == [len(mask) for mask in out["env_mask"]]


def test_one_episode_may_be_played_several_times_at_once(tokenizer: Any) -> None:
    script = {"": ["look"] * 100}
    out = rollouts(**EASY, max_steps=2)(["acenv/PDDL-v0#0"] * 3, Actor(tokenizer, script))
    assert out["episode_return"] == [0.0] * 3
    assert out["completion_ids"][0] == out["completion_ids"][1] == out["completion_ids"][2]


def test_an_episode_ends_where_its_budget_ends(tokenizer: Any) -> None:
    actor = Actor(tokenizer, {"": ["look"] * 100}, budget=30)
    [ids] = rollouts(**EASY)(["acenv/PDDL-v0#0"], actor)["completion_ids"]
    assert 0 < len(ids) <= 30


def test_a_prompt_that_fills_the_context_has_nothing_to_learn_from(tokenizer: Any) -> None:
    out = rollouts(**EASY)(["acenv/PDDL-v0#0"], Actor(tokenizer, {}, context=10))
    assert out["env_mask"] == [[0]] and out["episode_return"] == [0.0]


def test_what_cannot_be_scored_is_left_out() -> None:
    assert episode_return(episode_return=[0.5, math.nan]) == [0.5, None]


def test_a_prompt_that_names_no_episode_is_refused(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="a prompt must name an episode, as episodes"):
        rollouts()(["What is 2 + 2?"], Actor(tokenizer, {}))


@pytest.mark.slow
def test_a_few_steps_raise_the_return(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "train_grpo.py"), "--out", str(tmp_path), "--steps", "7"]
    done = subprocess.run([*command, "--episodes", "40"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    returns = [float(value) for value in re.findall(r"return (\d\.\d+)  loss", done.stdout)]
    assert len(returns) == 7
    assert sum(returns[-3:]) / 3 > sum(returns[:3]) / 3 + 0.05
    before, after = map(float, re.findall(r"(?:pruned|GRPO) (\d\.\d+)", done.stdout))
    assert after > before
