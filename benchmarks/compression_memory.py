"""How much memory compression takes, beside what it may take.

    python benchmarks/compression_memory.py                     # a Llama of 0.5 billion random weights, all methods
    python benchmarks/compression_memory.py --small rtn gptq:bits=4,group_size=32

Each method runs in a process of its own, once with a model so small that only the libraries count (the base) and once
with the real one. What is sampled is anonymous memory (RssAnon and RssShmem of the process and its children), every few
milliseconds. Mapped files are left out: the pages of a mapped checkpoint lie in the page cache, and the system takes
them back when it wants to. The bound is the base, the model in the type that it is computed in, and twice its largest
layer; methods that stream (magnitude, rtn) do without the model while they compress. Before that the dense model
says what it makes of the held-out texts (prepare), and afterwards the compressed one (check).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer as WordTokenizer
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from acenv.checkpoint import Tensor, tensor_bytes
from acenv.compressors.checkpoint import read_source
from acenv.compressors.estimate import largest_layer
from acenv.compressors.job import compute_dtype
from acenv.compressors.layout import STREAMING
from acenv.compressors.method import parse
from acenv.compressors.stream import write_stored

METHODS = ("magnitude", "rtn", "wanda", "sparsegpt", "gptq")
WORDS = 256
VOCABULARY = 8192
TEXTS, TEXT_LENGTH = 16, 128
RUN = """
import json, sys, time
from acenv.compressors import compress
compress(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
print(time.monotonic())
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """Anonymous memory, in bytes, at a time of the system's monotonic clock."""

    seconds: float
    used: int


def write_llama(folder: Path, *, layers: int, hidden: int, inner: int) -> None:
    """A Llama of random bf16 weights, written tensor by tensor, with a tokenizer of a few words."""
    folder.mkdir(parents=True)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, hidden)}
    for i in range(layers):
        layer = f"model.layers.{i}."
        shapes |= {f"{layer}self_attn.{name}_proj.weight": (hidden, hidden) for name in "qkvo"}
        shapes |= {f"{layer}mlp.{name}_proj.weight": (inner, hidden) for name in ("gate", "up")}
        shapes[f"{layer}mlp.down_proj.weight"] = (hidden, inner)
        shapes |= {f"{layer}{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
    shapes["model.norm.weight"] = (hidden,)
    layout = {name: Tensor("BF16", shape, tensor_bytes("BF16", shape)) for name, shape in shapes.items()}
    generator = torch.Generator().manual_seed(0)
    weights = (
        (name, torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 0.02)
        for name, shape in shapes.items()
    )
    write_stored(folder, layout, ((name, weight.bfloat16()) for name, weight in weights), 10**9)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 32,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    words = WordTokenizer(models.WordLevel({f"w{i}": i for i in range(WORDS)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", eos_token="w1").save_pretrained(folder)


def calibration() -> list[str]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, WORDS, (TEXTS, TEXT_LENGTH), generator=generator)
    return [" ".join(f"w{i}" for i in row) for row in ids.tolist()]


def watch(model: Path, method: str, out: Path) -> dict[str, int]:
    """Compress in a process of its own and sample its memory.

    Returns:
        The peak of each phase, in bytes.
    """
    command = [sys.executable, "-c", RUN, str(model), method, str(out), json.dumps(calibration())]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    # Into a file: a full pipe that nobody reads would stop the process.
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        samples = []
        while process.poll() is None:
            samples.append(Sample(time.monotonic(), sum(map(anonymous, family(process.pid)))))
            time.sleep(0.005)
        log.seek(0)
        output = log.read()
    if process.returncode:
        sys.exit(f"{method} failed:\n{output[-3000:]}")
    seconds = json.loads((out / "compression.json").read_text())["measured"]["seconds"]
    done = float(output.split()[-1])
    check = done - seconds["check"]
    compress = check - seconds["compress"]
    # What lies between two phases belongs to neither, and is short.
    spans = {"prepare": (0.0, compress - 0.1), "compress": (compress + 0.1, check - 0.1), "check": (check + 0.1, done)}
    return {
        phase: max((s.used for s in samples if start <= s.seconds < end), default=0)
        for phase, (start, end) in spans.items()
    }


def family(pid: int) -> list[int]:
    """A process and its children's children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def anonymous(pid: int) -> int:
    """Bytes that a process holds and that are in no file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--small", action="store_true", help="30 million weights in place of 0.5 billion")
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=1024)
    arguments = parser.parse_args()
    layers, hidden = (16, 384) if arguments.small else (arguments.layers, arguments.hidden)
    with tempfile.TemporaryDirectory() as folder:
        base, model = Path(folder, "base"), Path(folder, "model")
        write_llama(base, layers=2, hidden=128, inner=256)
        write_llama(model, layers=layers, hidden=hidden, inner=128 * round(hidden / 48))
        source = read_source(model)
        width = compute_dtype(source).itemsize
        parameters = source.parameters
        print(f"{parameters / 1e6:.0f} M weights, computed in {compute_dtype(source)}; sizes in MB")
        print(f"{'method':34} {'phase':9} {'base':>7} {'peak':>7} {'bound':>7}  peak above the base / model")
        for i, method in enumerate(arguments.methods):
            idle = max(watch(base, method, Path(folder, f"base-{i}")).values())
            for phase, peak in watch(model, method, Path(folder, f"out-{i}")).items():
                streams = phase == "compress" and all(step.name in STREAMING for step in parse(method).passes)
                bound = idle + (0 if streams else parameters * width) + 2 * largest_layer(source) * width
                numbers = " ".join(f"{n / 1e6:7.0f}" for n in (idle, peak, bound))
                verdict = "" if peak <= bound else "  ABOVE THE BOUND"
                print(f"{method:34} {phase:9} {numbers}  {(peak - idle) / parameters / width:.2f}{verdict}", flush=True)


if __name__ == "__main__":
    main()
