"""Steps per second of every environment with its expert, on one core.

    python benchmarks/env_speed.py [--seconds 3] [--difficulty easy medium hard]

``step`` counts the time inside ``env.step`` alone, validation and scoring included; ``episode`` counts everything that
an episode takes: drawing the task, the expert's thinking, and the steps.
"""

from __future__ import annotations

import argparse
import time

import gymnasium

import acenv


def measure(env_id: str, difficulty: str, seconds: float) -> tuple[float, float]:
    """Steps a second, by step time and by whole episodes."""
    env = gymnasium.make(env_id, difficulty=difficulty).unwrapped
    env.reset(seed=0)
    steps, seed, inside = 0, 0, 0.0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        env.reset(seed=seed)
        seed += 1
        over = False
        while not over:
            action = env.expert_action()
            before = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(action)
            inside += time.perf_counter() - before
            steps += 1
            over = terminated or truncated
    return steps / inside, steps / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--difficulty", nargs="+", default=["easy", "medium", "hard"])
    arguments = parser.parse_args()
    print(f"{'environment':32} {'difficulty':10} {'step':>10} {'episode':>10}   steps/s")
    for env_id in acenv.env_ids():
        for difficulty in arguments.difficulty:
            by_step, by_episode = measure(env_id, difficulty, arguments.seconds)
            print(f"{env_id:32} {difficulty:10} {by_step:10,.0f} {by_episode:10,.0f}")


if __name__ == "__main__":
    main()
