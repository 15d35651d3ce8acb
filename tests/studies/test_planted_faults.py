"""Damage that is known must be found where it was done."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.analysis.divergence import first_divergence
from acenv.analysis.kinds import mark
from acenv.policies import NANO
from acenv.runs import Results
from acenv.studies.attribute import attribute

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SANDBOX, NEEDLE = "acenv/ToolSandbox-v0", "acenv/Needle-v0"
EASY = {"difficulty": "easy"}
OPTIONS = {"max_new_tokens": 40, "capacity": 32}
SEEDS = range(16)


def tokens_written(results: Results, tokenizer: Any) -> tuple[set[int], set[int]]:
    """Tokens that are tool names wherever they occur, ``finish`` excepted, and all tokens that occur."""
    names: set[int] = set()
    others: set[int] = set()
    for episode in results.episodes:
        transcript = results.transcript(episode.key)
        for step in transcript.steps:
            spans = mark(step.action, transcript.tools)
            found = tokenizer(step.action, return_offsets_mapping=True, add_special_tokens=False)
            for token, (start, _) in zip(found.input_ids, found.offset_mapping, strict=True):
                kind = next(span.kind for span in spans if span.start <= start < span.end)
                (names if kind == "tool name" else others).add(token)
    last = tokenizer.encode("finish", add_special_tokens=False)
    return names - others - set(last), names | others


@pytest.fixture(scope="module")
def base_run() -> Results:
    return acenv.evaluate(SANDBOX, acenv.load_policy("nano", **OPTIONS), SEEDS, env_kwargs=EASY)


def test_misspelt_tool_names_are_priced_as_tool_names(base_run: Results, tmp_path: Path) -> None:
    """The output rows of tool names are moved to words that nobody writes; the rest of the model is as it was."""
    base = acenv.load_policy("nano", **OPTIONS)
    names, written = tokens_written(base_run, base.tokenizer)  # type: ignore[attr-defined]
    words = [token for text, token in sorted(base.tokenizer.get_vocab().items()) if text.isalpha() and len(text) > 4]  # type: ignore[attr-defined]
    spare = [token for token in words if token not in written]
    model = transformers.AutoModelForCausalLM.from_pretrained(NANO, dtype=torch.float32)
    rows = model.get_input_embeddings().weight.detach().clone()
    damaged = rows.clone()
    for name, word in zip(sorted(names), spare, strict=False):
        damaged[word], damaged[name] = rows[name], -rows[name]
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(damaged)
    model.save_pretrained(tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copy(NANO / file, tmp_path)

    compressed = acenv.load_policy(f"hf:{tmp_path}", name="misspells", **OPTIONS)
    run = acenv.evaluate(SANDBOX, compressed, SEEDS, env_kwargs=EASY)
    found = attribute(base, compressed, SANDBOX, SEEDS, runs=(base_run, run))
    assert len(found.episodes) == len(SEEDS)
    worst, *others = found.by_kind()
    assert worst.name == "tool name" and worst.cost.low > 0
    assert worst.share.estimate > 0.9 and all(group.cost.low <= 0 for group in others)
    first = [e.path[0] for e in found.episodes if e.first is not None]
    assert len(first) > len(SEEDS) / 2 and {deviation.kind for deviation in first} == {"tool name"}
    assert "tool names" in " ".join(found.sentences())
    for episode in found.episodes:
        key = (episode.env_id, episode.seed)
        assert episode.first == first_divergence(base_run.transcript(key).steps, run.transcript(key).steps)


def test_a_fault_beyond_a_length_is_priced_there() -> None:
    """Positions from 256 on are shifted apart; before them every number is as it was."""
    base = acenv.load_policy("nano", **OPTIONS)
    compressed = acenv.load_policy("nano", name="forgets", **OPTIONS)
    rotary = compressed.model.model.rotary_emb  # type: ignore[attr-defined]
    forward = rotary.forward
    rotary.forward = lambda x, position_ids: forward(x, position_ids + 41 * (position_ids - 256).clamp(min=0))
    lengths = {NEEDLE: {"grid": [[60, 100, 150, 200], [20, 70]], "needles": 2}}
    found = attribute(base, compressed, [NEEDLE, SANDBOX], range(16), env_kwargs={**EASY, **lengths})
    assert len(found.episodes) == 32
    assert found.by_environment()[0].name == NEEDLE
    assert found.by_environment()[0].share.estimate > 0.9 and found.by_environment()[0].cost.low > 0
    short = [g for g in found.by_context() if int(g.name.split("-")[1]) < 256]
    long = [g for g in found.by_context() if g not in short]
    assert len(short) > 2 and sum(g.decisions or 0 for g in short) > 20
    assert all(g.differing == 0 and g.cost.estimate == 0 for g in short)
    assert sum(g.share.estimate for g in long) == pytest.approx(1.0)
    assert any(g.cost.low > 0 for g in long)


def test_a_model_against_itself_is_blamed_for_nothing(base_run: Results) -> None:
    base = acenv.load_policy("nano", **OPTIONS)
    again = acenv.load_policy("nano", name="again", **{**OPTIONS, "capacity": 3})
    run = acenv.evaluate(SANDBOX, again, SEEDS, env_kwargs=EASY)
    found = attribute(base, again, SANDBOX, SEEDS, runs=(base_run, run))
    assert [e.first for e in found.episodes] == [None] * len(SEEDS)
    assert found.by_kind() == () and found.loss().estimate == 0.0
    assert found.loss().low < 0 < found.loss().high
