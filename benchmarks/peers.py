"""acenv beside other projects on like work: processor time, or ratios of it within one run.

    python benchmarks/peers.py --install          # GEM, TextArena and inspect-ai, each in an environment of its own
    python benchmarks/peers.py                    # all that is installed; resuming takes several minutes
    python benchmarks/peers.py --only games bfcl

minigrid, BFCL's executor and the WorfBench algorithm run in acenv's own environment, where their packages are. The two
sides take turns, so that what else the machine does falls on both. docs/peers.md says what is compared.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SIDE = HERE / "peer_side"
CACHE = Path(os.environ.get("ACENV_CACHE", Path.home() / ".cache" / "acenv")) / "peers"
PEERS = {"gem": "gem-llm==0.1.0", "textarena": "textarena==0.7.4", "inspect": "inspect-ai==0.3.285"}
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment."""
    return Path(sys.executable) if peer == "acenv" else CACHE / peer / "bin" / "python"


def install() -> None:
    """Make the environments of the peers, with uv."""
    for peer, package in PEERS.items():
        subprocess.run(["uv", "venv", "--quiet", "--clear", str(CACHE / peer)], check=True)
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(python_of(peer)), package], check=True)


def call(peer: str, script: str, *arguments: object) -> dict[str, Any]:
    """Run a script with a peer's interpreter, and read the JSON in its last line."""
    command = [str(python_of(peer)), str(SIDE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=ONE_THREAD)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def games(episodes: int = 3000, rounds: int = 5) -> None:
    """The same game in three frameworks."""
    sides = [peer for peer in ("acenv", "gem", "textarena") if python_of(peer).exists()]
    speeds: dict[str, list[float]] = {peer: [] for peer in sides}
    for _ in range(rounds):
        for peer in sides:
            found = call(peer, "guess.py", peer, episodes)
            speeds[peer].append(found["steps"] / found["seconds"])
    for peer in sides:
        ratio = statistics.median(a / b for a, b in zip(speeds["acenv"], speeds[peer], strict=True))
        print(f"guess the number, {peer}: {statistics.median(speeds[peer]):,.0f} steps/s; acenv to it {ratio:.2f}")


def bfcl(rounds: int = 3) -> None:
    """Gold calls of the multi-turn tasks."""
    found = call("acenv", "bfcl.py", rounds)
    ours, theirs = found["calls"] / found["acenv"], found["calls"] / found["official"]
    print(f"BFCL: official {theirs:,.0f} calls/s, acenv {ours:,.0f}, {ours / theirs:.2f} times; same results ", end="")
    print(f"{found['same']} of {found['calls']}")


def scripts() -> None:
    """The two comparisons that have scripts of their own."""
    for script, arguments in (("babyai_speed.py", ["--episodes", "30"]), ("workflow_scoring.py", ["--pairs", "1000"])):
        print(script, flush=True)
        subprocess.run([sys.executable, str(HERE / script), *arguments], check=True, env=ONE_THREAD)


def resume(samples: int) -> None:
    """Take up a run of which one sample is missing."""
    for peer in ("acenv", "inspect"):
        if python_of(peer).exists():
            with tempfile.TemporaryDirectory() as folder:
                call(peer, "resume.py", peer, "begin", folder, samples)
                found = call(peer, "resume.py", peer, "resume", folder, samples)
            assert found["samples"] == samples and found["acted"] == 1, found
            print(f"resume {samples:,} samples, {peer}: {found['cpu']:.1f} s of CPU, {found['wall']:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--only", nargs="+", choices=("games", "bfcl", "scripts", "resume"))
    parser.add_argument("--samples", type=int, default=50_000)
    arguments = parser.parse_args()
    if arguments.install:
        install()
        return
    packages = {name: importlib.metadata.version(name) for name in ("acenv", "gymnasium", "minigrid", "bfcl-eval")}
    print(platform.platform(), "Python", platform.python_version(), packages, PEERS)
    work = {"games": games, "bfcl": bfcl, "scripts": scripts, "resume": lambda: resume(arguments.samples)}
    for name in arguments.only or work:
        work[name]()


if __name__ == "__main__":
    main()
