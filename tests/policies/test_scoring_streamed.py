"""Streamed outputs, whose logits are made bit by bit, are those that are scored whole."""

from __future__ import annotations

import copy
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from acenv.analysis.replay import replay
from acenv.policies import load_policy
from acenv.policies.transformers import HFPolicy
from acenv.types import Step, TokenOutputs, Transcript

ANSWERS = ["the cat sat on the mat", "a dog ran", "and the user ran home home"]


def transcript(seed: int) -> Transcript:
    said = [answer for answer in ANSWERS[seed % 3 :] for _ in range(1 + seed)]
    messages = [m for s in said for m in ({"role": "user", "content": "go"}, {"role": "assistant", "content": s})]
    return Transcript("made/Up-v0", seed, messages, [], [Step(s, 0.0) for s in said])  # type: ignore[arg-type]


TRANSCRIPTS = [transcript(seed) for seed in range(4)]


def load(folder: Path, name: str = "") -> HFPolicy:
    policy: HFPolicy = load_policy(f"hf:{folder}", dtype="float32", device="cpu", name=name or folder.name)  # type: ignore[assignment]
    return policy


@pytest.fixture(scope="module")
def capped(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that does more with its logits than its output layer."""
    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=256,
        initializer_range=2.0,
        final_logit_softcapping=3.0,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    folder = tmp_path_factory.mktemp("checkpoints") / "capped"
    transformers.Gemma2ForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def damaged(tiny_model: Any, tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = copy.deepcopy(tiny_model)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    folder = tmp_path_factory.mktemp("checkpoints") / "damaged"
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("which", ["tiny_checkpoint", "capped"])
def test_what_the_output_layer_makes_is_what_the_model_gives_out(which: str, request: pytest.FixtureRequest) -> None:
    policy = load(request.getfixturevalue(which))
    conversations = [t.conversation for t in TRANSCRIPTS]
    for whole, streamed in zip(policy.score(conversations), policy.stream(conversations), strict=True):
        assert (whole.token_ids == streamed.token_ids).all() and (whole.turns == streamed.turns).all()
        assert whole.texts == streamed.texts and streamed.logits is None and whole.head is None
        assert whole.hidden is not None and streamed.hidden is not None and streamed.head is not None
        np.testing.assert_array_equal(whole.hidden, streamed.hidden)
        made = streamed.head(streamed.hidden)
        assert made.shape == (len(whole.token_ids), streamed.head.vocabulary)
        np.testing.assert_allclose(made.numpy(), whole.logits, atol=1e-4)
        assert (streamed.head.weight is None) == (which == "capped")


class Whole:
    """A policy that cannot stream."""

    def __init__(self, policy: HFPolicy) -> None:
        self.name, self.score, self.capacity = policy.name, policy.score, 1


def test_a_replay_finds_the_same_in_streams_and_in_whole_logits(tiny_checkpoint: Path, damaged: Path) -> None:
    models = load(tiny_checkpoint, "base"), load(damaged, "compressed")
    streamed = replay(TRANSCRIPTS, *models)
    whole = replay(TRANSCRIPTS, *map(Whole, models))  # type: ignore[arg-type]
    ours, theirs = streamed.summary().overall, whole.summary().overall
    assert ours.kl == pytest.approx(theirs.kl, rel=1e-3) and ours.kl > 0.001
    for name in ("tokens", "top1_agreement", "rbo", "jaccard", "kendall", "spearman"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-6)
    for name in ("erank_logits", "erank_hidden", "energy", "energy_shift"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-4)
    assert theirs.erank_layers == () and len(ours.erank_layers) == 2
    assert all(1 < rank < 32 for pair in ours.erank_layers for rank in pair)
    assert type(streamed).from_dict(streamed.to_dict()) == streamed


def test_what_is_kept_of_a_layer_is_made_of_its_hidden_states(tiny_checkpoint: Path) -> None:
    policy = load(tiny_checkpoint)
    (found,) = policy.stream([TRANSCRIPTS[1].conversation], layer=lambda states: states.copy())
    text = policy.chat.render(TRANSCRIPTS[1].messages, add_generation_prompt=False)
    ids = torch.tensor([policy.tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        states = policy.model(ids, output_hidden_states=True).hidden_states
        assert found.hidden is not None and len(found.layers) == 2
        normed = policy.model.model.norm(torch.from_numpy(found.layers[1])).numpy()
    np.testing.assert_allclose(normed, found.hidden, atol=1e-5)
    every = states[1][0].numpy()
    for row in found.layers[0]:
        assert np.abs(every - row).max(axis=1).min() < 1e-5


def test_outputs_of_earlier_transcripts_are_not_held(tiny_checkpoint: Path) -> None:
    """Memory that does not grow with the number of transcripts."""

    alive: list[weakref.ref[Any]] = []

    class Watched:
        name, capacity = "watched", 1

        def __init__(self, policy: HFPolicy) -> None:
            self.policy = policy

        def score(self, *_: Any) -> Any:
            raise AssertionError("streams are asked for")

        def stream(self, conversations: Any, layer: Any = None) -> Any:
            for outputs in self.policy.stream(conversations, layer):
                alive.append(weakref.ref(outputs.hidden))
                yield outputs
                del outputs

    def transcripts() -> Any:
        for seed in range(12):
            # Those of the last transcript that the local names of the loop still have, of two models.
            assert sum(states() is not None for states in alive) <= 2
            yield transcript(seed % 4)

    models = [Watched(load(tiny_checkpoint)) for _ in range(2)]
    assert len(replay(transcripts(), *models).episodes) == 12 == len(alive) // 2


def test_outputs_have_no_layers_unless_asked(tiny_checkpoint: Path) -> None:
    (found,) = load(tiny_checkpoint).stream([TRANSCRIPTS[0].conversation])
    assert isinstance(found, TokenOutputs) and list(found.layers) == []
