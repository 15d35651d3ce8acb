"""Steps per second of acenv/BabyAI-v0 beside those of the bare simulator, on the same missions and moves, on one core.

    python benchmarks/babyai_speed.py [--episodes 60] [--difficulty easy medium hard]

The expert's moves are recorded first. Then every episode is played three times, in turn: by ``step`` of acenv, with
text, scoring and conversation; by ``step`` of the level as ``gymnasium.make`` gives it, with its wrappers and its own
observation; and by ``step`` of the level without wrappers. Only time inside of ``step`` counts.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from typing import Any

import gymnasium

import acenv  # noqa: F401  (registers the environments)
from acenv.envs.simulators.babyai_commands import MOVES
from acenv.envs.simulators.babyai_levels import level_id


def seconds_of(env: gymnasium.Env[Any, Any], actions: list[Any]) -> float:
    inside = 0.0
    for action in actions:
        before = time.perf_counter()
        env.step(action)
        inside += time.perf_counter() - before
    return inside


def measure(difficulty: str, episodes: int) -> tuple[int, float, float, float]:
    """Number of steps, and the seconds that they take in acenv, in the wrapped and in the unwrapped level."""
    env = gymnasium.make("acenv/BabyAI-v0", difficulty=difficulty)
    steps, totals = 0, [0.0, 0.0, 0.0]
    for seed in range(episodes):
        env.reset(seed=seed)
        task, actions, over = env.unwrapped.task, [], False
        while not over:
            actions.append(env.unwrapped.expert_action())
            _, _, terminated, truncated, _ = env.step(actions[-1])
            over = terminated or truncated
        bare = gymnasium.make(level_id(task.level))
        moves = [MOVES.index(action) for action in actions]
        steps += len(actions)
        with contextlib.redirect_stdout(io.StringIO()):
            env.reset(seed=seed)
            totals[0] += seconds_of(env, actions)
            bare.reset(seed=task.seed)
            totals[1] += seconds_of(bare, moves)
            bare.reset(seed=task.seed)
            totals[2] += seconds_of(bare.unwrapped, moves)
    return steps, totals[0], totals[1], totals[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--difficulty", nargs="+", default=["easy", "medium", "hard"])
    arguments = parser.parse_args()
    print(f"{'difficulty':10} {'acenv':>8} {'made':>8} {'unwrapped':>10}   steps/s; acenv to made, to unwrapped")
    for difficulty in arguments.difficulty:
        steps, ours, made, unwrapped = measure(difficulty, arguments.episodes)
        speeds = f"{steps / ours:8,.0f} {steps / made:8,.0f} {steps / unwrapped:10,.0f}"
        print(f"{difficulty:10} {speeds}   {made / ours:.2f}, {unwrapped / ours:.2f}")


if __name__ == "__main__":
    main()
