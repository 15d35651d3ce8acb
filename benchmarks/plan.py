"""What a very large evaluation takes: node-hours, disk, memory and run folders, from what one node was measured to do.

    python benchmarks/plan.py --measure node.json        # measure this machine (some minutes)
    python benchmarks/plan.py --node node.json --episodes 1e8 --days 7

Every line of the plan says where it comes from: *measured* on the node that the file names, *assumed* (an option of
this script, or its default), *given* (measured elsewhere), or *computed* from those. Speeds are in processor time of a
core, so that what else ran on the machine while it was measured does not count. What a model on a GPU does cannot be
measured on a machine without one: it is assumed, unless ``--model-rate`` gives it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import acenv
from acenv.runs import Results
from acenv.store import RunStore
from acenv.types import Episode, Transcript

SUITE, DIFFICULTY = "quick", "medium"


@dataclass(frozen=True)
class Node:
    """What was measured on one machine.

    Rates are episodes a second of one core; ``*_bytes`` are bytes an episode.
    """

    machine: str
    suite: str
    difficulty: str
    environments_rate: float
    nano_rate: float
    store_rate: float
    open_rate: float
    episodes_bytes: float
    transcripts_bytes: float
    index_bytes: float
    resume_bytes: float


@dataclass(frozen=True)
class Wish:
    """What is assumed."""

    episodes: int
    days: float
    cores: int
    gpus: int
    model_rate: float
    model_rate_from: str
    folder_episodes: int


@dataclass(frozen=True)
class Line:
    """A line of the plan."""

    name: str
    value: float
    unit: str
    source: str


def measure(episodes: int, stored: int) -> Node:
    """Measure this machine.

    Args:
        episodes: Episodes of each environment that are acted.
        stored: Episodes that are stored, and opened again.
    """
    keywords = {"difficulty": DIFFICULTY}
    ids = acenv.suites[SUITE]
    acenv.evaluate(list(ids), "oracle", range(2), env_kwargs=keywords)  # what loads once
    used = time.process_time()
    results = acenv.evaluate(list(ids), "oracle", range(episodes), env_kwargs=keywords)
    environments = len(results) / (time.process_time() - used)
    records = [(episode, results.transcript(episode.key)) for episode in results.episodes]
    options = {"capacity": 32, "max_new_tokens": 64}
    policy = acenv.load_policy("nano", **options)
    acenv.evaluate(list(ids), policy, range(1), env_kwargs=keywords)
    used = time.process_time()
    acted = acenv.evaluate(list(ids), policy, range(max(1, episodes // 5)), env_kwargs=keywords)
    nano = len(acted) / (time.process_time() - used)
    with tempfile.TemporaryDirectory() as folder:
        return Node(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            SUITE,
            DIFFICULTY,
            environments,
            nano,
            **_measure_store(Path(folder), records, stored),
        )


def _measure_store(folder: Path, records: list[tuple[Episode, Transcript]], stored: int) -> dict[str, float]:
    manifest: dict[str, Any] = {"policy": {"name": "plan"}, "env_ids": [], "env_kwargs": {}, "seeds": []}
    used = time.process_time()
    with RunStore(folder, manifest) as store:
        for episode, transcript in _many(records, stored):
            store.append(episode, transcript)
    append = time.process_time() - used
    used = time.process_time()
    Results.load(folder)
    opened = time.process_time() - used
    tracemalloc.start()
    results = Results.load(folder)
    index = tracemalloc.get_traced_memory()[0]
    del results
    before = tracemalloc.get_traced_memory()[0]
    with RunStore(folder, manifest) as store:
        resume = tracemalloc.get_traced_memory()[0] - before
        assert len(store.finished) == stored
    tracemalloc.stop()
    return {
        "store_rate": stored / append,
        "open_rate": stored / opened,
        "episodes_bytes": (folder / "episodes.jsonl").stat().st_size / stored,
        "transcripts_bytes": (folder / "transcripts.jsonl").stat().st_size / stored,
        "index_bytes": index / stored,
        "resume_bytes": resume / stored,
    }


def _many(records: list[tuple[Episode, Transcript]], count: int) -> Iterator[tuple[Episode, Transcript]]:
    """The records again and again, with seeds of their own."""
    for number in range(count):
        episode, transcript = records[number % len(records)]
        seed = number // len(records) * len(records) + episode.seed
        fields = {name: getattr(episode, name) for name in Episode.__slots__}
        yield (
            Episode(**{**fields, "seed": seed}),
            Transcript(transcript.env_id, seed, transcript.messages, transcript.tools, transcript.steps),
        )


def plan(node: Node, wish: Wish) -> list[Line]:
    """The arithmetic.

    Raises:
        ValueError: A number that has to be positive is not.
    """
    for name, value in {**asdict(node), **asdict(wish)}.items():
        if not isinstance(value, str) and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be more than 0, not {value}")
    n, hours = wish.episodes, 3600.0
    wanted = n / (wish.days * 24 * hours)
    env_hours = n / node.environments_rate / hours
    gpu_hours = n / wish.model_rate / hours
    folders = math.ceil(n / wish.folder_episodes)
    measured, assumed, computed = "measured", "assumed", "computed"
    disk = node.episodes_bytes + node.transcripts_bytes
    nodes_env = wanted / (node.environments_rate * wish.cores)
    nodes_gpu = wanted / (wish.model_rate * wish.gpus)
    return [
        Line("episodes", n, "", assumed),
        Line("days", wish.days, "", assumed),
        Line("cores a node", wish.cores, "", assumed),
        Line("GPUs a node", wish.gpus, "", assumed),
        Line("episodes in a run folder", wish.folder_episodes, "", assumed),
        Line("environments and expert, one core", node.environments_rate, "episodes/s", measured),
        Line("built-in model, one core", node.nano_rate, "episodes/s", measured),
        Line("model on one GPU", wish.model_rate, "episodes/s", wish.model_rate_from),
        Line("store, one core", node.store_rate, "episodes/s", measured),
        Line("episodes.jsonl", node.episodes_bytes, "bytes/episode", measured),
        Line("transcripts.jsonl", node.transcripts_bytes, "bytes/episode", measured),
        Line("index of an open run", node.index_bytes, "bytes/episode", measured),
        Line("a run that is taken up again", node.resume_bytes, "bytes/episode", measured),
        Line("speed that is needed", wanted, "episodes/s", computed),
        Line("environments", env_hours, "core-hours", computed),
        Line("environments", env_hours / wish.cores, "node-hours", computed),
        Line("built-in model instead of a GPU", n / node.nano_rate / hours, "core-hours", computed),
        Line("model", gpu_hours, "GPU-hours", computed),
        Line("model", gpu_hours / wish.gpus, "node-hours", computed),
        Line("nodes for the environments", math.ceil(nodes_env), "", computed),
        Line("nodes for the model", math.ceil(nodes_gpu), "", computed),
        Line("nodes, both side by side", math.ceil(max(nodes_env, nodes_gpu)), "", computed),
        Line("store", n / node.store_rate / hours, "core-hours", computed),
        Line("stores at once, at least", math.ceil(wanted / node.store_rate), "", computed),
        Line("disk", n * disk / 1e12, "TB", computed),
        Line("run folders", folders, "", computed),
        Line("disk of a folder", wish.folder_episodes * disk / 1e9, "GB", computed),
        Line("opening a folder", wish.folder_episodes / node.open_rate, "s", computed),
        Line("index of a folder", wish.folder_episodes * node.index_bytes / 1e6, "MB", computed),
        Line("taking up a folder again", wish.folder_episodes * node.resume_bytes / 1e6, "MB", computed),
        Line("index of all folders at once", n * node.index_bytes / 1e9, "GB", computed),
        Line("taking up all of it in one folder", n * node.resume_bytes / 1e9, "GB", computed),
    ]


def shown(value: float) -> str:
    """A number with three digits that count.

    >>> shown(1234567.0), shown(0.01234), shown(12.0)
    ('1,230,000', '0.0123', '12')
    """
    if value == 0 or abs(value) >= 100:
        digits = 0 if value == 0 else 2 - math.floor(math.log10(abs(value)))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, metavar="FILE", help="Measure this machine, and write what was found.")
    parser.add_argument("--node", type=Path, metavar="FILE", help="What was measured.")
    parser.add_argument("--acted", type=int, default=50, help="Episodes of each environment that are measured.")
    parser.add_argument("--stored", type=int, default=50_000, help="Episodes that are stored to measure the store.")
    parser.add_argument("--episodes", type=float, default=1e8)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--cores", type=int, default=64, help="Cores of a node.")
    parser.add_argument("--gpus", type=int, default=8, help="GPUs of a node.")
    parser.add_argument(
        "--model-rate", type=float, help="Episodes a second of your model on one GPU, as you measured it."
    )
    parser.add_argument("--folder-episodes", type=float, default=1e6, help="Episodes in one run folder.")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if (arguments.measure is None) == (arguments.node is None):
        parser.error("give one of --measure FILE and --node FILE")
    if arguments.measure is not None:
        node = measure(arguments.acted, arguments.stored)
        arguments.measure.write_text(json.dumps(asdict(node), indent=2) + "\n", encoding="utf-8")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{arguments.measure}: {node.machine} (peak memory {peak:,.0f} MB)")
        return
    node = Node(**json.loads(arguments.node.read_text(encoding="utf-8")))
    known = arguments.model_rate is not None
    wish = Wish(
        int(arguments.episodes),
        arguments.days,
        arguments.cores,
        arguments.gpus,
        arguments.model_rate if known else 2.0,
        "given" if known else "assumed",
        int(arguments.folder_episodes),
    )
    lines = plan(node, wish)
    if arguments.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
        return
    print(f"measured: {node.machine}; suite {node.suite}, {node.difficulty}, oracle\n")
    for line in lines:
        print(f"{line.name:36} {shown(line.value):>12} {line.unit:14} {line.source}")


if __name__ == "__main__":
    main()
