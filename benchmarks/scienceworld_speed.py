"""Steps per second of ``acenv/ScienceWorld-v0`` and of scienceworld's own ``step()``, on the same commands in one run.

    python benchmarks/scienceworld_speed.py [--episodes 4]

The package's ``step()`` builds the list of all valid actions each time; acenv does so on request.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import gymnasium
from scienceworld import ScienceWorldEnv

import acenv  # noqa: F401  (registers the environments)


def rollout(env: Any, seed: int) -> tuple[list[str], float]:
    """The expert's commands, and the seconds inside ``step``."""
    env.reset(seed=seed)
    commands, inside, over = [], 0.0, False
    while not over:
        commands.append(env.expert_action())
        began = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(commands[-1])
        inside += time.perf_counter() - began
        over = terminated or truncated
    return commands, inside


def bare(simulator: Any, task: Any, commands: list[str]) -> float:
    """Seconds that the package's own ``step()`` takes for the commands."""
    simulator.load(task.name, task.variation, task.simplifications, generateGoldPath=False)
    simulator.reset()
    began = time.perf_counter()
    for command in commands:
        simulator.step(command)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=4)
    episodes = parser.parse_args().episodes
    env = gymnasium.make("acenv/ScienceWorld-v0").unwrapped
    simulator = ScienceWorldEnv(envStepLimit=10_000)
    steps, ours, theirs = 0, 0.0, 0.0
    for seed in range(episodes):
        rollout(env, seed)  # Java compiles what it runs often; both are measured warm.
        commands, seconds = rollout(env, seed)
        steps, ours = steps + len(commands), ours + seconds
        theirs += bare(simulator, env.task, commands)
    env.close()
    simulator.close()
    print(
        f"{steps} steps: acenv {steps / ours:,.0f}/s, scienceworld {steps / theirs:,.1f}/s, {theirs / ours:.1f} times"
    )


if __name__ == "__main__":
    main()
