"""Steps per second of acenv/ScienceWorld-v0 beside those of ``scienceworld.ScienceWorldEnv``, on the same commands.

    python benchmarks/scienceworld_speed.py [--rounds 6] [--tasks boil use-thermometer ...]

The commands are the start of the simulator's walkthroughs. Both sides take them in turn, so that a busy machine slows
down both. Only time inside of ``step`` counts, and only in the second half of the rounds: Java first compiles what it
runs often.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import gymnasium
from scienceworld import ScienceWorldEnv

import acenv  # noqa: F401  (registers the environments)

TASKS = (
    "find-plant",
    "lifespan-longest-lived",
    "identify-life-stages-2",
    "chemistry-mix",
    "use-thermometer",
    "test-conductivity",
    "power-component",
    "boil",
)
LONGEST = 25


def seconds_of(step: Any, commands: list[str]) -> float:
    began = time.perf_counter()
    for command in commands:
        step(command)
    return time.perf_counter() - began


def record(env: Any) -> list[str]:
    """The expert's commands, up to the end or :data:`LONGEST`."""
    commands: list[str] = []
    env.reset(seed=0)
    over = False
    while not over and len(commands) < LONGEST:
        commands.append(env.expert_action())
        _, _, terminated, truncated, _ = env.step(commands[-1])
        over = terminated or truncated
    return commands


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    arguments = parser.parse_args()
    holder = gymnasium.make("acenv/ScienceWorld-v0").unwrapped  # keeps Java running between the tasks
    holder.reset(seed=0)
    bare = ScienceWorldEnv()
    commands: dict[str, list[str]] = {}
    totals = {name: [0, 0.0, 0.0] for name in arguments.tasks}
    for number in range(arguments.rounds):
        for name in arguments.tasks:
            env = gymnasium.make("acenv/ScienceWorld-v0", task=name).unwrapped
            if name not in commands:
                commands[name] = record(env)
            env.reset(seed=0)
            bare.load(name, env.task.variation, env.task.simplifications)
            bare.reset()
            seconds = seconds_of(bare.step, commands[name]), seconds_of(env.step, commands[name])
            if number >= arguments.rounds // 2:
                totals[name] = [t + n for t, n in zip(totals[name], (len(commands[name]), *seconds), strict=True)]
            env.close()
    holder.close()
    bare.close()
    totals["all"] = [sum(column) for column in zip(*totals.values(), strict=True)]
    print(f"{'task':30} {'ScienceWorldEnv':>16} {'acenv':>10} {'ratio':>7}   steps/s")
    for name, (steps, slow, fast) in totals.items():
        print(f"{name:30} {steps / slow:16,.1f} {steps / fast:10,.1f} {slow / fast:7.1f}")


if __name__ == "__main__":
    main()
