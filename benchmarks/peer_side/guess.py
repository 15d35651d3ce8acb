"""Steps a second of the game "guess the number" in GEM, TextArena or acenv; for ``peers.py``.

The player halves the range. Processor time counts, that of the player included, which is the same for all.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import sys
import time
from collections.abc import Callable, Iterator

LOW, HIGH, TURNS = 1, 50, 10


def guesses(say: Callable[[int], str], last: list[str]) -> Iterator[str]:
    """The player: what it says next; ``last[0]`` is what it was told."""
    low, high = LOW, HIGH
    while True:
        guess = (low + high) // 2
        yield say(guess)
        told = last[0].rpartition("target number is ")[2]
        low, high = (low, guess - 1) if told.startswith("lower") else (guess + 1, high)


def gem(episodes: int) -> int:
    import gem

    env = gem.make("game:GuessTheNumber-v0-hard", min_number=LOW, max_number=HIGH, max_turns=TURNS)
    steps = 0
    for seed in range(episodes):
        _, _ = env.reset(seed=seed)
        over, last = False, [""]
        player = guesses(lambda guess: f"\\boxed{{{guess}}}", last)
        while not over:
            last[0], _, terminated, truncated, _ = env.step(next(player))
            steps += 1
            over = terminated or truncated
    return steps


def textarena(episodes: int) -> int:
    import textarena

    steps = 0
    for seed in range(episodes):
        random.seed(seed)
        # A new one for each episode, as in its examples: its wrappers keep what was said in the episodes before.
        env = textarena.make("GuessTheNumber-v0", min_number=LOW, max_number=HIGH, max_turns=TURNS)
        env.reset(num_players=1, seed=seed)
        over, last = False, [""]
        player = guesses(lambda guess: f"[{guess}]", last)
        while not over:
            _, last[0] = env.get_observation()
            over, _ = env.step(next(player))
            steps += 1
        env.close()
    return steps


def acenv(episodes: int) -> int:
    import gymnasium
    import numpy as np

    from acenv.envs.base import ConversationEnv, Outcome

    class GuessEnv(ConversationEnv[tuple[int, int], dict[str, int]]):
        """The same rules on the base class of acenv's environments."""

        def sample_task(self, rng: np.random.Generator) -> tuple[int, int]:
            # The second number is there for train and test to have different tasks.
            return int(rng.integers(LOW, HIGH + 1)), int(rng.integers(1_000_000))

        def fingerprint(self, task: tuple[int, int]) -> str:
            return repr(task)

        def open(self, task: tuple[int, int]) -> tuple[dict[str, int], list[dict[str, str]], list[dict[str, object]]]:
            rules = f"Guess a number between {LOW} and {HIGH} within {TURNS} turns. You are told whether it is higher."
            return {}, [{"role": "user", "content": rules}], []

        def apply(self, action: str) -> Outcome:
            number, told = self.task[0], action.strip()
            if not told.isdigit():
                return Outcome("Say a number.", 0.0, valid=False)
            guess = int(told)
            if guess == number:
                return Outcome("", 1.0, terminated=True)
            return Outcome(f"The target number is {'lower' if guess > number else 'higher'}.", 0.0)

        def expert_action(self) -> str:
            return str(self.task[0])

    gymnasium.register("acenv/Guess-v0", entry_point=GuessEnv, disable_env_checker=True, order_enforce=False)
    env = gymnasium.make("acenv/Guess-v0", max_steps=TURNS)
    steps = 0
    for seed in range(episodes):
        messages, _ = env.reset(seed=seed)
        over, last = False, [""]
        player = guesses(str, last)
        while not over:
            messages, _, terminated, truncated, _ = env.step(next(player))
            last[0] = messages[-1]["content"]
            steps += 1
            over = terminated or truncated
    return steps


def main() -> None:
    play = {"gem": gem, "textarena": textarena, "acenv": acenv}[sys.argv[1]]
    with contextlib.redirect_stdout(io.StringIO()):  # what they print is nobody's business here
        play(3)  # for the imports
        began = time.process_time()
        steps = play(int(sys.argv[2]))
        seconds = time.process_time() - began
    print(json.dumps({"steps": steps, "seconds": seconds}))


if __name__ == "__main__":
    main()
