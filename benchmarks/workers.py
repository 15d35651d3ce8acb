"""How much faster two worker processes are than one, where the environments are what keeps the processor busy.

    python benchmarks/workers.py [--env Ruler] [--episodes 200] [--workers 2] [--rounds 5]

Rounds with one worker and with several alternate, so that what else runs on the machine falls on both. Starting the
workers is counted apart: it is paid once a run. Two ratios are given. By the clock: seconds with one worker divided by
seconds with several, both without the start. By processor time: what the busiest process has used, the parent's share
included, against what the one process uses; this is the ratio that the clock would show on a machine with nothing else
to do and a core for each of them, and hardly moves with the load. The parent's work counts as if it were done on the
busiest core.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from pathlib import Path
from statistics import median

import acenv
from acenv.engines.processes import ProcessPool
from acenv.engines.shards import Job, specs_of
from acenv.engines.spreading import Done, Lost, Ready, spread
from acenv.loop import THREADS, run
from acenv.policies import OraclePolicy
from acenv.registry import resolve_env_ids
from acenv.starts import Start


class TimedPool(ProcessPool):
    """Notes when the workers are ready, and what each has used when it has ended its last episode."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.ready_at = 0.0
        self.used: dict[int, float] = {}
        self.at_start: dict[int, float] = {}

    def wait(self) -> list[Ready | Done | Lost]:
        events = super().wait()
        for event in events:
            seconds = processor_seconds(self._workers[event.worker]._process.pid)
            if isinstance(event, Ready):
                self.ready_at = time.perf_counter()
                self.at_start[event.worker] = seconds
            self.used[event.worker] = seconds - self.at_start[event.worker]
        return events


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(env_id: str, seeds: range, difficulty: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor, in one process."""
    clock, used = time.perf_counter(), time.process_time()
    starts = deque(Start(env_id, seed) for seed in seeds)
    for _ in run(OraclePolicy(), starts, THREADS, THREADS, {"difficulty": difficulty}):
        pass
    return time.perf_counter() - clock, time.process_time() - used


def several(env_id: str, seeds: range, difficulty: str, workers: int) -> tuple[float, float, float]:
    """Seconds by the clock after the start, of the busiest process with the parent's share, and of the start."""
    clock = time.perf_counter()
    job = Job(OraclePolicy(), {"difficulty": difficulty}, specs_of([env_id]), slots=THREADS)
    starts = deque(Start(env_id, seed) for seed in seeds)
    with TimedPool(job) as pool:
        used = time.process_time()
        for _ in spread(pool, workers, starts, THREADS):
            pass
        ended, used = time.perf_counter(), time.process_time() - used
        busiest = max(pool.used.values())
        total = sum(pool.used.values()) + used
        # On as many cores as workers: no core can be done before the busiest worker, nor before its share of it all.
        return ended - pool.ready_at, max(busiest, total / workers), pool.ready_at - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="Ruler")
    parser.add_argument("--difficulty", default="hard")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file for the figures.")
    arguments = parser.parse_args()
    (env_id,) = resolve_env_ids(arguments.env)
    seeds = range(arguments.episodes)
    acenv.evaluate(env_id, "oracle", range(2), env_kwargs={"difficulty": arguments.difficulty})  # what loads once
    clocks, shares, starts = [], [], []
    for number in range(arguments.rounds):
        alone, alone_used = one(env_id, seeds, arguments.difficulty)
        together, busiest, start = several(env_id, seeds, arguments.difficulty, arguments.workers)
        clocks.append(alone / together)
        shares.append(alone_used / busiest)
        starts.append(start)
        print(
            f"round {number + 1}: one {alone:.2f} s ({alone_used:.2f} s of processor), {arguments.workers} workers "
            f"{together:.2f} s (busiest core {busiest:.2f} s): {clocks[-1]:.2f} by the clock, {shares[-1]:.2f} by the "
            f"processor; start {start:.2f} s; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    figures = {
        "env_id": env_id,
        "episodes": arguments.episodes,
        "workers": arguments.workers,
        "cores": os.cpu_count(),
        "ratio_clock": median(clocks),
        "ratio_processor": median(shares),
        "start_seconds": median(starts),
    }
    print(json.dumps(figures))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
