"""What a replay costs beside the models that it runs: processor time, wall time and memory.

    python benchmarks/replay_cost.py [--conversations 256] [--tokens 256] [--vocabulary 50000]

Two Llamas of random weights are made, of which the second is the first with noise, and a tokenizer that knows only
numbers. Each conversation is one answer of that many tokens. Time is measured in turns, a few conversations each: first
the two models alone, a forward pass with all logits of the answer, then the replay of the same conversations, with all
of its analyses and the file of tokens; the first turn also pays for what is done once a model. Memory is the peak of
the process during the replay (of the pages that are not mapped files), over that with both models loaded. The bounds
are 1.3 times the forward passes, and 400 MB.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import acenv
from acenv.analysis.replay import replay
from acenv.types import Step, Transcript

TEMPLATE = (
    "{% for m in messages %}{{ m.role }} {{ m.content }} <end> {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)


def make_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    words = ["<unk>", "<end>", "user", "assistant"]
    words += [f"w{i}" for i in range(vocabulary - len(words))]
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", eos_token="<end>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def save_models(folder: Path, arguments: argparse.Namespace) -> list[Path]:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=arguments.vocabulary,
        hidden_size=arguments.width,
        intermediate_size=arguments.width * 8 // 3,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.width // 64,
        max_position_embeddings=4 * arguments.tokens,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    tokenizer = make_tokenizer(arguments.vocabulary)
    paths = [folder / "base", folder / "compressed"]
    for path in paths:
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.004)
    return paths


def make_transcripts(arguments: argparse.Namespace) -> list[Transcript]:
    rng = np.random.default_rng(0)
    found = []
    for seed in range(arguments.conversations):
        # The token that ends the answer is one of them.
        answer = " ".join(f"w{i}" for i in rng.integers(arguments.vocabulary - 4, size=arguments.tokens - 1))
        messages = [{"role": "user", "content": "w1"}, {"role": "assistant", "content": answer}]
        found.append(Transcript("made/Up-v0", seed, messages, [], [Step(answer, 1.0)]))
    return found


def forward(policy: Any, transcripts: list[Transcript]) -> None:
    """One pass over each conversation, with the logits of the answer's tokens."""
    for transcript in transcripts:
        text = policy.chat.render(transcript.messages, add_generation_prompt=False)
        ids = torch.tensor([policy.tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            policy.model(input_ids=ids, use_cache=False, logits_to_keep=torch.arange(2, ids.shape[1] - 1))


def anonymous_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell the anonymous memory of a process")


def clock() -> np.ndarray:
    """Processor time and wall time, in seconds."""
    return np.array([time.process_time(), time.perf_counter()])


class Watch:
    """Hands out transcripts, runs the bare models on them in between, and looks at the memory while it does not."""

    def __init__(self, base: Any, compressed: Any, size: int) -> None:
        self.models, self.size = (base, compressed), size
        self.alone, self.replayed, self.peak = list[np.ndarray](), list[np.ndarray](), 0
        self.over, self._replaying = threading.Event(), threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def hand_out(self, transcripts: list[Transcript]) -> Iterator[Transcript]:
        for start in range(0, len(transcripts), self.size):
            part = transcripts[start : start + self.size]
            before = clock()
            for policy in self.models:
                forward(policy, part)
            self.alone.append(clock() - before)
            before = clock()
            self._replaying.set()
            yield from part  # all of them are done when the next one is asked for
            self._replaying.clear()
            self.replayed.append(clock() - before)

    def _look(self) -> None:
        while not self.over.wait(0.002):
            if self._replaying.is_set():
                self.peak = max(self.peak, anonymous_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=256, help="of an answer")
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--turn", type=int, default=16, help="conversations in a turn")
    parser.add_argument("--profile", action="store_true", help="print where the replay's time goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = save_models(Path(folder), arguments)
        gc.collect()
        base, compressed = (acenv.load_policy(f"hf:{path}", dtype="float32", device="cpu") for path in paths)
        for policy in (base, compressed):  # or the weights would be mapped files, which count as no memory
            for parameter in policy.model.parameters():
                parameter.data = parameter.data.clone()
        transcripts = make_transcripts(arguments)
        loaded = anonymous_bytes()
        watch = Watch(base, compressed, arguments.turn)
        found = replay(watch.hand_out(transcripts), base, compressed, tokens=Path(folder) / "tokens.jsonl")
        watch.over.set()
        alone, replayed = sum(watch.alone), sum(watch.replayed)
        turns = [float(b[0] / a[0]) for a, b in zip(watch.alone, watch.replayed, strict=True)]
        overall = found.summary().overall
        record = {
            "tokens": overall.tokens,
            "kl": round(overall.kl, 4),
            "flips": round(1 - overall.top1_agreement, 4),
            "models_mb": round(2 * sum(p.nbytes for p in base.model.parameters()) / 1e6),
            "peak_over_models_mb": round((watch.peak - loaded) / 1e6),
            "forward_cpu_s": round(float(alone[0]), 1),
            "replay_cpu_s": round(float(replayed[0]), 1),
            "forward_s": round(float(alone[1]), 1),
            "replay_s": round(float(replayed[1]), 1),
            "cpu_ratio": round(float(replayed[0] / alone[0]), 3),
            "cpu_ratio_of_turns": [round(ratio, 2) for ratio in turns],
            "wall_ratio": round(float(replayed[1] / alone[1]), 3),
        }
        print(json.dumps(record))
        if arguments.profile:
            part = transcripts[:8]
            cProfile.runctx("replay(part, base, compressed)", globals(), locals(), sort="tottime")


if __name__ == "__main__":
    main()
