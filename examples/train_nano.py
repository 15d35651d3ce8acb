"""Train nano, the built-in model, from nothing: expert transcripts in, a checkpoint folder out.

    python examples/train_nano.py --out build/nano

Runs on a CPU. A run that was stopped goes on from its last checkpoint when it is started again with the same ``--out``.
Everything is seeded, and only tasks of the *train* split are seen.

What makes a model of 4 million parameters act after two hours:

* a tokenizer in which a value has the same tokens in prose and inside JSON quotes, so that copying is one operation;
* an initialisation with working copy circuits (previous-token heads and induction heads, Olsson et al. 2022), which a
  model of this size would take far more tokens to find;
* loss on the assistant's tokens only, and transcripts with several answers a text;
* Muon (Jordan et al. 2024) for the matrices, AdamW for the rest;
* phases: calls, moves and lookups first, graphs and long lookups next, then all environments.

``nano_data.py`` has the transcripts and the tokenizer, ``nano_model.py`` the model and its start.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nano_data import Batches, Entry, Transcripts, build_tokenizer, repeated_spans
from nano_model import build_model, loss_of, optimizers
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: how many tokens of what, and the learning rate's factor at its ends."""

    tokens: float
    rates: tuple[float, float]
    mix: list[Entry]


NEEDLE, SANDBOX, PDDL = "acenv/Needle-v0", "acenv/ToolSandbox-v0", "acenv/PDDL-v0"
CALLS = "acenv/WorkflowFunctionCall-v0"
JSON, STR = {"format": "json"}, {"format": "str"}
# Needle texts ask for many facts, so that a text teaches many lookups.
PHASES = [
    Phase(
        5.0e6,
        (1.0, 0.51),
        [
            (0.10, NEEDLE, {"length": 40, "needles": 6, "distractors": 4}),
            (0.12, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.30, SANDBOX, {}),
            (0.26, CALLS, {}),
            (0.22, PDDL, {}),
        ],
    ),
    Phase(
        5.2e6,
        (0.51, 0.02),
        [
            (0.20, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.14, SANDBOX, {}),
            (0.32, CALLS, {}),
            (0.20, PDDL, {}),
            (0.14, NEEDLE, {"length": 0, "needles": 6, "distractors": 3}),
        ],
    ),
    Phase(
        5.0e6,
        (0.60, 0.02),
        [
            (0.07, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.06, SANDBOX, {}),
            (0.10, CALLS, {}),
            (0.11, PDDL, {}),
            (0.05, "acenv/WorkflowEmbodied-v0", {}),
            (0.05, "acenv/WorkflowProblemSolving-v0", {}),
            (0.05, "acenv/WorkflowOpenGrounded-v0", {}),
            (0.02, "acenv/ToolInstruct-v0", JSON),
            (0.02, "acenv/ToolInstruct-v0", STR),
            (0.04, "acenv/ToolPlan-v0", JSON),
            (0.04, "acenv/ToolPlan-v0", STR),
            (0.05, "acenv/ToolReason-v0", JSON),
            (0.02, "acenv/ToolReason-v0", STR),
            (0.02, "acenv/ToolRetrieve-v0", STR),
            (0.03, "acenv/ToolUnderstand-v0", STR),
            (0.01, "acenv/ToolReview-v0", JSON),
            (0.02, "acenv/ToolReview-v0", STR),
            (0.08, "acenv/BFCL-v0", {}),
            (0.06, "acenv/Ruler-v0", {}),
        ],
    ),
    Phase(
        4.0e6,
        (0.45, 0.02),
        [
            (0.05, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.03, SANDBOX, {}),
            (0.05, CALLS, {}),
            (0.06, PDDL, {}),
            (0.02, "acenv/WorkflowEmbodied-v0", {}),
            (0.02, "acenv/WorkflowProblemSolving-v0", {}),
            (0.02, "acenv/WorkflowOpenGrounded-v0", {}),
            (0.01, "acenv/ToolInstruct-v0", JSON),
            (0.01, "acenv/ToolInstruct-v0", STR),
            (0.05, "acenv/ToolPlan-v0", JSON),
            (0.04, "acenv/ToolPlan-v0", STR),
            (0.08, "acenv/ToolReason-v0", JSON),
            (0.03, "acenv/ToolReason-v0", STR),
            (0.02, "acenv/ToolRetrieve-v0", STR),
            (0.03, "acenv/ToolUnderstand-v0", STR),
            (0.01, "acenv/ToolReview-v0", JSON),
            (0.01, "acenv/ToolReview-v0", STR),
            (0.13, "acenv/BFCL-v0", {}),
            (0.12, "acenv/Ruler-v0", {}),
            (0.14, "acenv/LongBench-v0", {}),
            (0.07, "acenv/LongGenBench-v0", {}),
        ],
    ),
    Phase(
        2.4e6,
        (0.45, 0.02),
        [
            (0.04, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.03, SANDBOX, {}),
            (0.04, CALLS, {}),
            (0.05, PDDL, {}),
            (0.01, "acenv/WorkflowEmbodied-v0", {}),
            (0.01, "acenv/WorkflowProblemSolving-v0", {}),
            (0.01, "acenv/WorkflowOpenGrounded-v0", {}),
            (0.03, "acenv/ToolPlan-v0", JSON),
            (0.02, "acenv/ToolPlan-v0", STR),
            (0.03, "acenv/ToolReason-v0", JSON),
            (0.02, "acenv/ToolReason-v0", STR),
            (0.01, "acenv/ToolRetrieve-v0", STR),
            (0.02, "acenv/ToolUnderstand-v0", STR),
            (0.01, "acenv/ToolReview-v0", JSON),
            (0.01, "acenv/ToolReview-v0", STR),
            (0.07, "acenv/BFCL-v0", {}),
            (0.12, "acenv/Ruler-v0", {}),
            (0.14, "acenv/LongBench-v0", {}),
            (0.33, "acenv/LongGenBench-v0", {}),
        ],
    ),
    Phase(
        1.6e6,
        (0.40, 0.02),
        [
            (0.04, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.03, SANDBOX, {}),
            (0.04, CALLS, {}),
            (0.07, PDDL, {}),
            (0.02, "acenv/WorkflowEmbodied-v0", {}),
            (0.01, "acenv/WorkflowProblemSolving-v0", {}),
            (0.02, "acenv/WorkflowOpenGrounded-v0", {}),
            (0.02, "acenv/ToolInstruct-v0", JSON),
            (0.02, "acenv/ToolInstruct-v0", STR),
            (0.02, "acenv/ToolPlan-v0", JSON),
            (0.02, "acenv/ToolPlan-v0", STR),
            (0.04, "acenv/ToolReason-v0", JSON),
            (0.02, "acenv/ToolReason-v0", STR),
            (0.01, "acenv/ToolRetrieve-v0", STR),
            (0.02, "acenv/ToolUnderstand-v0", STR),
            (0.01, "acenv/ToolReview-v0", JSON),
            (0.01, "acenv/ToolReview-v0", STR),
            (0.06, "acenv/BFCL-v0", {}),
            (0.09, "acenv/Ruler-v0", {}),
            (0.12, "acenv/LongBench-v0", {}),
            (0.31, "acenv/LongGenBench-v0", {}),
        ],
    ),
    Phase(
        3.2e6,
        (0.55, 0.25),
        [
            (0.05, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.03, SANDBOX, {}),
            (0.04, CALLS, {}),
            (0.03, PDDL, {"domain": "gripper"}),
            (0.04, PDDL, {"domain": "blocksworld"}),
            (0.10, PDDL, {"domain": "barman"}),
            (0.12, PDDL, {"domain": "tyreworld"}),
            (0.10, "acenv/Shop-v0", {}),
            (0.08, "acenv/ToolQuery-v0", {"domain": "weather"}),
            (0.08, "acenv/ToolQuery-v0", {"domain": "movie"}),
            (0.08, "acenv/ToolQuery-v0", {"domain": "academia"}),
            (0.10, "acenv/ToolOperation-v0", {"domain": "todo"}),
            (0.02, "acenv/ToolPlan-v0", JSON),
            (0.03, "acenv/ToolReason-v0", JSON),
            (0.03, "acenv/BFCL-v0", {}),
            (0.03, "acenv/Ruler-v0", {}),
            (0.04, "acenv/LongBench-v0", {}),
        ],
    ),
    Phase(
        4.4e6,
        (0.50, 0.02),
        [
            (0.05, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.03, SANDBOX, {}),
            (0.04, CALLS, {}),
            (0.02, PDDL, {"domain": "gripper"}),
            (0.03, PDDL, {"domain": "blocksworld"}),
            (0.03, PDDL, {"domain": "barman"}),
            (0.03, PDDL, {"domain": "tyreworld"}),
            (0.11, "acenv/Household-v0", {}),
            (0.13, "acenv/Shop-v0", {}),
            (0.07, "acenv/ToolQuery-v0", {"domain": "weather"}),
            (0.06, "acenv/ToolQuery-v0", {"domain": "movie"}),
            (0.04, "acenv/ToolQuery-v0", {"domain": "academia"}),
            (0.05, "acenv/ToolOperation-v0", {"domain": "todo"}),
            (0.08, "acenv/ToolOperation-v0", {"domain": "sheet"}),
            (0.01, "acenv/WorkflowEmbodied-v0", {}),
            (0.01, "acenv/WorkflowOpenGrounded-v0", {}),
            (0.01, "acenv/ToolInstruct-v0", JSON),
            (0.02, "acenv/ToolPlan-v0", JSON),
            (0.02, "acenv/ToolReason-v0", JSON),
            (0.01, "acenv/ToolReason-v0", STR),
            (0.01, "acenv/ToolUnderstand-v0", STR),
            (0.01, "acenv/ToolReview-v0", STR),
            (0.03, "acenv/BFCL-v0", {}),
            (0.03, "acenv/Ruler-v0", {}),
            (0.04, "acenv/LongBench-v0", {}),
            (0.05, "acenv/LongGenBench-v0", {}),
        ],
    ),
    # What the phases before it left out was forgotten, and comes back quickly.
    Phase(
        0.7e6,
        (0.30, 0.02),
        [
            (0.04, NEEDLE, {"needles": 8, "distractors": 2}),
            (0.03, SANDBOX, {}),
            (0.04, CALLS, {}),
            (0.05, PDDL, {}),
            (0.04, "acenv/Household-v0", {}),
            (0.05, "acenv/Shop-v0", {}),
            (0.05, "acenv/ToolQuery-v0", {}),
            (0.05, "acenv/ToolOperation-v0", {}),
            (0.02, "acenv/WorkflowEmbodied-v0", {}),
            (0.03, "acenv/WorkflowProblemSolving-v0", {}),
            (0.02, "acenv/WorkflowOpenGrounded-v0", {}),
            (0.02, "acenv/ToolInstruct-v0", JSON),
            (0.08, "acenv/ToolInstruct-v0", STR),
            (0.02, "acenv/ToolPlan-v0", JSON),
            (0.08, "acenv/ToolPlan-v0", STR),
            (0.03, "acenv/ToolReason-v0", JSON),
            (0.04, "acenv/ToolReason-v0", STR),
            (0.05, "acenv/ToolRetrieve-v0", STR),
            (0.04, "acenv/ToolUnderstand-v0", STR),
            (0.02, "acenv/ToolReview-v0", JSON),
            (0.03, "acenv/ToolReview-v0", STR),
            (0.04, "acenv/BFCL-v0", {}),
            (0.05, "acenv/Ruler-v0", {}),
            (0.04, "acenv/LongBench-v0", {}),
            (0.04, "acenv/LongGenBench-v0", {}),
        ],
    ),
]
FIRST_REPEATS = 60
"""Steps at the very beginning that copy repeated spans, half a million tokens in all."""


@dataclass
class Progress:
    """Where a training is."""

    phase: int = 0
    phase_tokens: int = 0
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def train(
    out: Path, scale: float, seed: int, muon_rate: float, adam_rate: float, checkpoint_minutes: float, device: str
) -> None:
    """Go through the phases, each ``scale`` times as long as planned, then save the model as bfloat16."""
    out.mkdir(parents=True, exist_ok=True)
    transcripts = Transcripts()
    if not (out / "tokenizer.json").exists():
        known = {json.dumps(entry[1:]): entry for phase in PHASES[:2] for entry in phase.mix}
        build_tokenizer(transcripts, list(known.values())).save_pretrained(out)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(out)
    model = build_model(seed).to(device)
    optimizer_list = optimizers(model, muon_rate, adam_rate)
    at = Progress()
    state_path = out / "training.pt"
    if state_path.exists():
        state = torch.load(state_path, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizer_list, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        at, transcripts.next_seed = Progress(**state["at"]), state["next_seed"]

    def keep() -> None:
        state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizer_list]}
        torch.save(state | {"at": vars(at), "next_seed": transcripts.next_seed}, state_path.with_suffix(".tmp"))
        state_path.with_suffix(".tmp").replace(state_path)
        save(model, tokenizer, out)

    rng = np.random.default_rng(seed + at.step)
    last_save = last_look = time.monotonic()
    losses: list[float] = []
    while at.phase < len(PHASES):
        phase = PHASES[at.phase]
        batches = iter(Batches(tokenizer, transcripts, phase.mix, seed + at.step))
        while at.phase_tokens < phase.tokens * scale:
            done = at.phase_tokens / (phase.tokens * scale)
            # Linear within a phase, after a short rise.
            rate = phase.rates[0] + (phase.rates[1] - phase.rates[0]) * done
            rate *= min(1.0, (at.phase_tokens / 8192 + 1) / 20) if at.phase != 1 else 1.0
            inputs, targets = repeated_spans(rng) if at.step < FIRST_REPEATS else next(batches)
            loss = loss_of(model, inputs.to(device), targets.to(device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, base in zip(optimizer_list, (muon_rate, adam_rate), strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = base * rate
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.item())
            now = time.monotonic()
            at.seconds += now - last_look
            last_look = now
            at.step, at.tokens = at.step + 1, at.tokens + inputs.numel()
            at.phase_tokens += inputs.numel()
            if at.step % 20 == 0:
                _log(out / "log.jsonl", vars(at) | {"loss": round(sum(losses) / len(losses), 4)})
                losses.clear()
            if now - last_save > checkpoint_minutes * 60:
                last_save = now
                keep()
        at.phase, at.phase_tokens = at.phase + 1, 0
        keep()


def _log(path: Path, record: dict[str, Any]) -> None:
    record["seconds"] = round(record["seconds"])
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
    print(record, flush=True)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write what ``load_policy("hf:…")`` needs: bfloat16 weights, configuration, tokenizer, generation settings."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    GenerationConfig(eos_token_id=1, pad_token_id=0, do_sample=False).save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/nano"))
    parser.add_argument("--scale", type=float, default=1.0, help="length of every phase, as a factor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--muon-rate", type=float, default=1.2e-3)
    parser.add_argument("--adam-rate", type=float, default=1.5e-3)
    parser.add_argument("--checkpoint-minutes", type=float, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    arguments = vars(parser.parse_args())
    torch.set_num_threads(arguments.pop("threads"))
    train(**arguments)


if __name__ == "__main__":
    main()
