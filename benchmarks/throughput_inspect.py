"""The part of ``throughput.py`` that runs inspect-ai: in an environment with torch and transformers, without acenv."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import inspect_ai
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver


@solver
def scripted() -> Solver:
    """Says the user's turns one after another, whatever is answered."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for turn in state.metadata["turns"]:
            state.messages.append(ChatMessageUser(content=turn))
            state = await generate(state)
        return state

    return solve


def main() -> None:
    """Play all episodes and print the seconds and the tokens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--capacity", type=int, required=True)
    parser.add_argument("--new", type=int, required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--scripts", type=Path, required=True)
    arguments = parser.parse_args()
    import torch

    dtype = arguments.dtype
    if dtype == "auto":
        native = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
        dtype = "bfloat16" if native or torch.cuda.is_available() else "float32"
    # Its provider always samples, and of one token only the most probable is left.
    model = get_model(
        "hf/local",
        model_path=arguments.model,
        dtype=getattr(torch, dtype),
        device="cuda:0" if torch.cuda.is_available() else "cpu",
        batch_size=arguments.capacity,
        config=GenerateConfig(max_tokens=arguments.new, top_k=1, max_connections=arguments.capacity),
    )
    samples = [
        Sample(input=[ChatMessageSystem(content=script["system"])], metadata={"turns": script["user"]})
        for script in json.loads(arguments.scripts.read_text())
    ]
    with tempfile.TemporaryDirectory() as logs:
        start = time.perf_counter()
        (log,) = inspect_ai.eval(
            Task(dataset=samples, solver=scripted()),
            model=model,
            max_samples=arguments.capacity,
            log_dir=logs,
            display="none",
            score=False,
        )
        seconds = time.perf_counter() - start
    if log.status != "success":
        raise SystemExit(f"inspect-ai ended with {log.status}: {log.error}")
    usage = list(log.stats.model_usage.values())
    counts = {"prompt": sum(u.input_tokens for u in usage), "new": sum(u.output_tokens for u in usage)}
    print(json.dumps({"seconds": seconds, **counts}))


if __name__ == "__main__":
    main()
