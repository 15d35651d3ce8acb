"""Tokens per second of the hf policy, beside a bare padded ``model.generate`` of the same prompts.

    python benchmarks/policy_throughput.py                        # random weights in the shape of the built-in model
    python benchmarks/policy_throughput.py --model PATH_OR_GGUF   # any checkpoint; GGUF files need: pip install gguf

Both answer the same prompts greedily, up to the same number of tokens and the same stop tokens, taking turns in one
process. The policy renders, tokenises and decodes as well; ``generate`` gets its tokens ready made.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from acenv.policies.transformers import HFPolicy
from acenv.types import Request

TEXT = "move the red block to the left of a blue box and take key from small table in room then open door"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_nano_shape(folder: Path) -> None:
    """Write a Llama of the built-in model's shape with random weights, and a tokenizer, to ``folder``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1536, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([TEXT] * 10, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1536,
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def make_requests(count: int, words: int, run: int) -> list[Request]:
    """Requests of ``words`` words or up to a quarter less; those of different runs have no common beginning."""
    rng = random.Random(run)
    texts = [
        " ".join([str(rng.random()), *rng.choices(TEXT.split(), k=rng.randint(3 * words // 4, words))])
        for _ in range(count)
    ]
    return [
        Request(slot=i, seed=i, step=0, messages=[{"role": "user", "content": text}]) for i, text in enumerate(texts)
    ]


def time_policy(policy: HFPolicy, requests: Sequence[Request]) -> tuple[int, float]:
    """Tokens written, and seconds."""
    start = time.perf_counter()
    decisions = policy.act(requests)
    seconds = time.perf_counter() - start
    if errors := [d.error for d in decisions if d.error]:
        raise SystemExit(f"the policy failed: {errors[0]}")
    return sum(d.usage.completion_tokens for d in decisions), seconds


def time_generate(policy: HFPolicy, requests: Sequence[Request]) -> tuple[int, float]:
    """Tokens written, and seconds, of ``model.generate`` on the same prompts."""
    texts = [policy.chat.render(r.messages, r.tools) for r in requests]
    policy.tokenizer.pad_token = policy.tokenizer.pad_token or policy.tokenizer.eos_token
    inputs = policy.tokenizer(texts, add_special_tokens=False, return_tensors="pt", padding=True)
    stops = sorted(policy.stop_ids)
    start = time.perf_counter()
    output = policy.model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        do_sample=False,
        max_new_tokens=policy.max_new_tokens,
        eos_token_id=stops,
        pad_token_id=policy.tokenizer.pad_token_id,
    )
    seconds = time.perf_counter() - start
    written = output[:, inputs["input_ids"].shape[1] :]
    # A row counts up to its first stop token; behind it there is padding.
    stopped = torch.isin(written, torch.tensor(stops)).int().cumsum(-1) > 0
    return int((~stopped).sum()), seconds


def main() -> None:
    """Print a row per batch size: medians of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder or .gguf file; by default random weights of the built-in model's shape")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--words", type=int, default=200, help="words of the longest prompts")
    parser.add_argument("--new", type=int, default=48, help="tokens to write")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dtype", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.model is None:
            write_nano_shape(Path(folder))
        policy = HFPolicy(
            arguments.model or folder,
            capacity=max(arguments.batch),
            max_new_tokens=arguments.new,
            dtype=arguments.dtype,
        )
        print(f"{policy.dtype}, {torch.get_num_threads()} threads, {arguments.runs} runs; tokens written per second")
        print(f"{'batch':>5} {'policy':>9} {'generate':>9} {'ratio':>6}  tokens")
        for batch in arguments.batch:
            speeds: dict[str, list[float]] = {"policy": [], "generate": []}
            totals: dict[str, int] = {}
            for run in range(arguments.runs + 1):
                requests = make_requests(batch, arguments.words, run)
                for name, measure in (("policy", time_policy), ("generate", time_generate)):
                    tokens, seconds = measure(policy, requests)
                    totals[name] = tokens
                    if run:  # the first one warms up
                        speeds[name].append(tokens / seconds)
            ours, bare = (statistics.median(speeds[name]) for name in ("policy", "generate"))
            same = f"{totals['policy']}" if totals["policy"] == totals["generate"] else f"{totals}"
            print(f"{batch:5} {ours:9.0f} {bare:9.0f} {ours / bare:6.2f}  {same}", flush=True)


if __name__ == "__main__":
    main()
