"""A million hostile actions: no environment raises, and none takes long.

    python benchmarks/fuzz.py --actions 1000000 --out fuzz.json     # guided by coverage
    python benchmarks/fuzz.py --actions 20000 --engine random --envs acenv/BabyAI-v0

With atheris (``pip install 'acenv[fuzz]'``) the bytes that programs are made of (``tests/fuzz/programs.py``) are
changed so that new lines of acenv are reached. The environments take turns; each gets an equal share of the actions.
Times are the thread's, so that what else the machine does counts for nothing; of simulators in processes of their own
it is the clock's. What was found is printed, with the programs, and written as JSON; the exit code is 1 if there is
anything.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SLOW = 0.1
"""Seconds that a step may take."""

OTHER_PROCESSES = ("ScienceWorld", "TextWorldExpress", "MiniWoB")


class Campaign:
    """Plays programs in turn, until each environment has had its actions."""

    def __init__(self, env_ids: list[str], difficulties: list[str], actions: int) -> None:
        """Open every environment at every difficulty."""
        from tests.fuzz.programs import Arena

        self.arenas = []
        for env_id in env_ids:
            clock = time.perf_counter if any(name in env_id for name in OTHER_PROCESSES) else time.thread_time
            self.arenas += [Arena(env_id, difficulty, clock) for difficulty in difficulties]
        self.share = -(-actions // len(self.arenas))
        self.open = list(self.arenas)
        self.turn = 0
        self.seconds = dict.fromkeys(map(id, self.arenas), 0.0)
        self.found: list[dict[str, Any]] = []
        self.seen: set[str] = set()

    def play(self, data: bytes) -> None:
        """A program in the environment whose turn it is."""
        self.turn += 1
        arena = self.open[self.turn % len(self.open)]
        before, arena.slowest = arena.slowest, (0.0, "")
        began = time.thread_time()
        try:
            arena.play(data)
        except AssertionError as error:
            arena.steps += 1
            cause = error.__cause__ or error
            self._note(arena, f"{type(cause).__name__}: {cause}", data, str(error))
        self.seconds[id(arena)] += time.thread_time() - began
        if arena.slowest[0] > SLOW:
            # Once more, so that neither the garbage collector nor the page cache is blamed on an action.
            first, arena.slowest, steps = arena.slowest, (0.0, ""), arena.steps
            try:
                arena.play(data)
            finally:
                arena.steps = steps
            if arena.slowest[0] > SLOW:
                self._note(arena, "slow", data, f"{arena.slowest[0]:.3f} s: {arena.slowest[1]}")
            arena.slowest = min(first, arena.slowest)
        arena.slowest = max(before, arena.slowest)
        if arena.steps >= self.share:
            self.open.remove(arena)

    def _note(self, arena: Any, kind: str, data: bytes, message: str) -> None:
        if (key := f"{arena.env_id} {kind}") in self.seen:
            return
        self.seen.add(key)
        program = base64.b64encode(data).decode()
        self.found.append(
            {"env": arena.env_id, "difficulty": arena.difficulty, "kind": kind, "program": program, "what": message}
        )
        print(f"FOUND {arena.env_id} ({arena.difficulty}) {kind}: {message[:1500]}", flush=True)

    def table(self) -> list[dict[str, Any]]:
        """Actions and the slowest step of every environment."""
        rows = {}
        for arena in self.arenas:
            row = rows.setdefault(arena.env_id, {"env": arena.env_id, "actions": 0, "seconds": 0.0, "slowest_ms": 0.0})
            row["actions"] += arena.steps
            row["seconds"] += round(self.seconds[id(arena)], 1)
            if 1000 * arena.slowest[0] > row["slowest_ms"]:
                row |= {"slowest_ms": round(1000 * arena.slowest[0], 1), "by": arena.slowest[1][:80]}
        return list(rows.values())


def main() -> None:
    """Read the arguments, and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=1_000_000, help="in all")
    parser.add_argument("--engine", choices=["atheris", "random"], default="atheris")
    parser.add_argument("--envs", nargs="*", help="default: all that need no simulator")
    parser.add_argument("--difficulty", nargs="+", default=["easy", "medium", "hard"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many, whatever is left")
    parser.add_argument("--every", type=int, default=10_000, help="programs after which the table is written")
    parser.add_argument("--out", type=Path, help="where to write what was found (JSON)")
    arguments = parser.parse_args()
    run = _atheris if arguments.engine == "atheris" else _random
    run(arguments)


def _campaign(arguments: argparse.Namespace) -> Campaign:
    import acenv
    from acenv.registry import SIMULATORS

    env_ids = arguments.envs or [env_id for env_id in acenv.env_ids() if env_id not in SIMULATORS]
    return Campaign(env_ids, arguments.difficulty, arguments.actions)


def _random(arguments: argparse.Namespace) -> None:
    from tests.fuzz.programs import programs

    campaign = _campaign(arguments)
    began = time.monotonic()
    generate = programs(random.Random(arguments.seed))
    while campaign.open and time.monotonic() - began < arguments.seconds:
        campaign.play(next(generate))
    _finish(campaign, arguments)


def _atheris(arguments: argparse.Namespace) -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install 'acenv[fuzz]', or take --engine random")
    with atheris.instrument_imports(include=["acenv.envs"]):
        campaign = _campaign(arguments)
    began = time.monotonic()

    def one(data: bytes) -> None:
        if campaign.turn % arguments.every == 0:
            _write(campaign, arguments)
        if not campaign.open or time.monotonic() - began >= arguments.seconds:
            _finish(campaign, arguments)
        campaign.play(data)

    from tests.fuzz.programs import programs

    options = ("-max_len=160", "-len_control=0", "-rss_limit_mb=0", "-verbosity=0", f"-seed={arguments.seed + 1}")
    with tempfile.TemporaryDirectory() as corpus:
        for i, program in zip(range(500), programs(random.Random(arguments.seed)), strict=False):
            (Path(corpus) / str(i)).write_bytes(program)
        # libFuzzer ends by itself only at a crash, and none gets through to it.
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()


def _write(campaign: Campaign, arguments: argparse.Namespace) -> None:
    if arguments.out:
        found = {"environments": campaign.table(), "found": campaign.found}
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def _finish(campaign: Campaign, arguments: argparse.Namespace) -> None:
    rows = campaign.table()
    _write(campaign, arguments)
    print(f"{'environment':32} {'actions':>10} {'seconds':>8} {'slowest ms':>10}")
    for row in rows:
        print(
            f"{row['env']:32} {row['actions']:10,} {row['seconds']:8.1f} {row['slowest_ms']:10.1f}  {row.get('by', '')}"
        )
    total = sum(row["actions"] for row in rows)
    print(f"{total:,} actions, {len(campaign.found)} findings")
    sys.stdout.flush()
    leave: Callable[[int], Any] = os._exit  # libFuzzer would take an orderly exit for a crash
    leave(1 if campaign.found else 0)


if __name__ == "__main__":
    main()
