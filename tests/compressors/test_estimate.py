"""What a compression would take, beside what it took."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from acenv.compressors import METHODS, parse
from acenv.compressors.checkpoint import read_source
from acenv.compressors.estimate import Machine, Work, estimate, largest_layer
from acenv.compressors.job import Job, layers_of
from acenv.policies import NANO

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

WORDS = "the red block is in the room north of the door and a key opens it for the agent that calls the tool"
CASES = [
    "magnitude",
    "magnitude:pattern=1:4",
    "rtn:bits=5,group_size=32",
    "rtn:bits=4,group_size=32,ignore=*.down_proj@*.q_proj:bits=8,group_size=-1",
    "gptq:bits=4,group_size=32",
    "gptq:bits=3,group_size=32,sym=false@*.up_proj:bits=8",
    "gptq:bits=2,group_size=32,ignore=*.o_proj",
    "wanda:sparsity=0.25",
    "sparsegpt:pattern=2:4",
    "magnitude:pattern=2:4+rtn:bits=4,group_size=32",
    "awq:group_size=32",
    "smoothquant",
    "fp8",
    "fp8:activations=none",
]


def installed(method: str) -> bool:
    names = [part.partition(":")[0] for part in method.split("+")]
    return all(name in METHODS and importlib.util.find_spec(METHODS[name].package) is not None for name in names)


def written(source_folder: Path, method: str, out: Path) -> tuple[int, float]:
    """Bytes of the weight files that the engines write, and bits a weight in what they compress."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(source_folder)
    sequences = [tokenizer(WORDS)["input_ids"] for _ in range(8)]
    source, compressed = read_source(source_folder), set()
    for i, step in enumerate(parse(method).passes):
        folder = out / str(i)
        folder.mkdir(parents=True)
        layers = layers_of(source, step)
        compressed |= layers.keys()
        engine = importlib.import_module(step.engine.module)
        engine.run(Job(source, step.name, step.options, layers, sequences, folder, keep_zeros=i > 0))
        files = list(folder.glob("*.safetensors"))
        if i + 1 < len(parse(method).passes):
            source = read_source(folder)
    from acenv.checkpoint import read_tensors

    inside = sum(t.size for name, t in read_tensors(files).items() if name.rpartition(".")[0] in compressed)
    weights = sum(rows * width for name, (rows, width) in source.linears.items() if name in compressed)
    return sum(file.stat().st_size for file in files), 8 * inside / weights


FIRST = {method.partition(":")[0]: method for method in reversed(CASES)}  # of each method


@pytest.mark.parametrize(
    ("model", "method"), [*(("tiny", method) for method in CASES), *(("nano", method) for method in FIRST.values())]
)
def test_disk_is_known_before(tiny: Path, tmp_path: Path, model: str, method: str) -> None:
    if not installed(method):
        pytest.skip(f"needs the engine of {method}")
    source = tiny if model == "tiny" else NANO
    expected = estimate(source, method)
    size, bits = written(source, method, tmp_path)
    assert expected.disk_bytes == pytest.approx(size, rel=0.02)
    assert expected.bits_per_weight == pytest.approx(bits, rel=1e-6)


def test_what_is_compressed_and_what_is_kept(tiny: Path) -> None:
    source = read_source(tiny)
    whole, part = estimate(tiny, "magnitude"), estimate(tiny, "magnitude:ignore=*.down_proj@*.q_proj:keep")
    assert whole.compressed_parameters == sum(a * b for a, b in source.linears.values())
    assert whole.compressed_parameters + whole.kept_parameters == source.parameters
    assert part.compressed_parameters == whole.compressed_parameters - 2 * (64 * 128 + 64 * 64)
    assert part.work_bytes == part.disk_bytes
    chain = estimate(tiny, "magnitude+rtn:bits=4,group_size=32")
    assert chain.work_bytes == whole.disk_bytes + chain.disk_bytes
    assert chain.seconds > 0


def test_memory_grows_with_the_model_and_its_largest_layer(tiny: Path) -> None:
    source = read_source(tiny)
    assert largest_layer(source) == 4 * 64 * 64 + 3 * 64 * 128 + 2 * 64
    ours, nano = estimate(tiny, "magnitude"), estimate(NANO, "magnitude")
    there = read_source(NANO)
    grown = 4 * (there.parameters - source.parameters + 2 * (largest_layer(there) - largest_layer(source)))
    assert nano.memory_bytes - ours.memory_bytes == pytest.approx(grown, abs=2)


def test_more_texts_take_longer_where_they_are_looked_at(tiny: Path) -> None:
    pytest.importorskip("llmcompressor")
    from acenv.compressors.estimate import work

    source = read_source(tiny)
    for method, looks in (("wanda", True), ("sparsegpt", True), ("magnitude", False), ("rtn:group_size=32", False)):
        plan = parse(method)
        few, many = (work(plan, source, tokens) for tokens in (1000, 100_000))
        assert (many.flops > few.flops) == looks
        assert many.elements >= few.elements
    assert Machine(1.0, 10.0, 100.0, 1000.0).seconds(Work(1, 2, 3, 4)) == 4321.0


def test_nothing_is_loaded(tiny: Path, tmp_path: Path) -> None:
    """A model whose weights cannot be read beyond their headers is estimated all the same."""
    import shutil

    folder = Path(shutil.copytree(tiny, tmp_path / "copy"))
    file = folder / "model.safetensors"
    size = file.stat().st_size
    header = file.read_bytes()[: 8 + int.from_bytes(file.read_bytes()[:8], "little")]
    file.write_bytes(header)
    with file.open("r+b") as handle:
        handle.truncate(size)  # a hole in place of the weights
    assert estimate(folder, "magnitude").disk_bytes == estimate(tiny, "magnitude").disk_bytes
    code = (
        "import sys; from acenv.compressors.estimate import estimate\n"
        f"estimate({str(tiny)!r}, 'magnitude'); print('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_it_takes_seconds_and_not_minutes(tiny: Path) -> None:
    start = time.process_time()
    estimate(tiny, "magnitude")
    assert time.process_time() - start < 30


def test_mistakes_are_found_before(tiny: Path) -> None:
    for method, message in (
        ("magnitude:sparsity=2", "sparsity must be"),
        ("rtn:group_size=256", "does not divide"),
        ("magnitude@*.nothing:sparsity=0.1", "matches no layer"),
    ):
        if installed(method.partition("@")[0]):
            with pytest.raises(ValueError, match=message):
                estimate(tiny, method)
