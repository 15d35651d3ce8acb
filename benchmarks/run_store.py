"""How fast episodes are appended to a run, how fast a run of a million opens, and what memory that takes.

python benchmarks/run_store.py                     # 1,000,000 episodes, in a temporary folder (1.3 GB)
python benchmarks/run_store.py --episodes 100000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from acenv.store import RunStore
from acenv.types import Episode, Message, Step, Transcript, Usage

MANIFEST = {"policy": {"name": "benchmark"}, "env_ids": ["acenv/A-v0", "acenv/B-v0"], "env_kwargs": {}, "seeds": []}
OPEN = """
import json, resource, sys, time
from acenv.runs import Results
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
results = Results.load(sys.argv[1])
opened = time.perf_counter() - start
start = time.perf_counter()
means = results.mean_returns()
summed = time.perf_counter() - start
start = time.perf_counter()
key = results.episodes[len(results) // 2].key
results.transcript(key)
found = time.perf_counter() - start
private = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) / 1024
figures = {"episodes": len(results), "open": opened, "means": summed, "transcript": found, "anonymous_mb": private}
print(json.dumps(figures))
"""


def append(folder: Path, episodes: int) -> tuple[float, list[float]]:
    """Append episodes, and give the seconds and the memory (MB) at each tenth of them."""
    messages: list[Message] = [
        {"role": ("user", "assistant")[i % 2], "content": f"message {i}: " + "some words " * 10} for i in range(8)
    ]
    steps = [Step("some words", 0.125)] * 4
    memory = []
    start = time.perf_counter()
    with RunStore(folder, MANIFEST) as store:
        for seed in range(episodes):
            env_id = MANIFEST["env_ids"][seed % 2]
            metrics = {"success": float(seed % 3 == 0), "progress": 0.5, "grounding": 1.0}
            record = Episode(env_id, seed, seed % 11 / 10, 4, True, False, None, metrics, Usage(500, 40), 0.7)
            store.append(record, Transcript(env_id, seed, messages, [], steps))
            if (seed + 1) % max(1, episodes // 10) == 0:
                status = Path("/proc/self/status").read_text().splitlines()
                memory.append(next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024)
    return time.perf_counter() - start, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds, memory = append(Path(folder), arguments.episodes)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        print(f"append: {arguments.episodes / seconds:,.0f} episodes/s ({size:,.0f} MB on disk)")
        print("memory at each tenth, MB:", " ".join(f"{mb:.0f}" for mb in memory))
        done = subprocess.run([sys.executable, "-c", OPEN, folder], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        print(
            f"open {found['episodes']:,} episodes: {found['open']:.2f} s; mean returns {found['means']:.2f} s; "
            f"one transcript {1000 * found['transcript']:.1f} ms; memory {found['anonymous_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
