"""The checks for environments of one's own: a good one passes, and each broken promise is found and named."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from acenv.envs.base import ConversationEnv, Outcome
from acenv.testing import check_env
from acenv.types import Message, Tool


class GuessEnv(ConversationEnv[int, list[str]]):
    """Say the number that is in the question."""

    def sample_task(self, rng: np.random.Generator) -> int:
        return int(rng.integers(1000))

    def fingerprint(self, task: int) -> str:
        return str(task)

    def open(self, task: int) -> tuple[list[str], list[Message], list[Tool]]:
        return [], [{"role": "user", "content": f"Say {task}."}], []

    def apply(self, action: str) -> Outcome:
        self.state.append(action)
        return Outcome("", float(action == str(self.task)), terminated=True)

    def expert_action(self) -> str:
        return str(self.task)


class RaisesEnv(GuessEnv):
    def apply(self, action: str) -> Outcome:
        return Outcome("", float(int(action) == self.task), terminated=True)


class WrongExpertEnv(GuessEnv):
    def expert_action(self) -> str:
        return str(self.task + 1)


class GlobalRandomEnv(GuessEnv):
    def sample_task(self, rng: np.random.Generator) -> int:
        random.random()
        return super().sample_task(rng)


class UnseededEnv(GuessEnv):
    def sample_task(self, rng: np.random.Generator) -> int:
        return int(np.random.default_rng().integers(10**9))


class SharedStateEnv(GuessEnv):
    """Remembers the question in the class, so that the instance that asked last decides for all."""

    asked = 0

    def open(self, task: int) -> tuple[list[str], list[Message], list[Tool]]:
        SharedStateEnv.asked = task
        return super().open(task)

    def apply(self, action: str) -> Outcome:
        return Outcome(f"It was {self.asked}.", float(action == str(self.task)), terminated=True)


class TooMuchEnv(GuessEnv):
    def apply(self, action: str) -> Outcome:
        return Outcome("", 2.0, terminated=True)


class LeakyEnv(GuessEnv):
    def _observation(self) -> list[Message]:
        return self._running.messages


class ForgetfulEnv(GuessEnv):
    def step(self, action: str) -> Any:
        try:
            return super().step(action)
        except ResetNeeded:
            return [{"role": "user", "content": ""}], 0.0, True, False, {"metrics": {}}


class ShallowEnv(GuessEnv):
    """Its second branch from a snapshot sees what the first one did."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(max_steps=3, **keywords)

    def snapshot(self) -> Any:
        return self._progress

    def restore(self, snapshot: Any) -> list[Message]:
        self._progress = snapshot
        return self._observation()


class BadToolEnv(GuessEnv):
    def open(self, task: int) -> tuple[list[str], list[Message], list[Tool]]:
        state, messages, _ = super().open(task)
        return state, messages, [{"type": "function", "function": {"name": "say", "parameters": {"type": "text"}}}]


def test_a_good_environment_passes() -> None:
    check_env(GuessEnv)
    check_env("acenv/ToolSandbox-v0", difficulty="easy")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (RaisesEnv, r"raised ValueError: invalid literal for int"),
        (WrongExpertEnv, r"the expert solves it: the expert's return with seed 0 is 0\.0"),
        (GlobalRandomEnv, r"use self\.np_random"),
        (UnseededEnv, r"gymnasium accepts it"),
        (SharedStateEnv, r"two instances that are stepped in turn disturb each other"),
        (TooMuchEnv, r"the return is 2\.0, not in \[0, 1\]|the expert's return with seed 0 is 2\.0"),
        (LeakyEnv, r"gymnasium accepts it|give out copies"),
        (ForgetfulEnv, r"must raise gymnasium\.error\.ResetNeeded"),
        (ShallowEnv, r"restore\(\) gives another observation|branches"),
        (BadToolEnv, r"parameters of tool 'say' are no JSON Schema"),
    ],
)
def test_a_broken_promise_is_named(broken: Any, complaint: str) -> None:
    with pytest.raises(AssertionError, match=rf"{broken.__name__}: .*({complaint})"):
        check_env(broken)


def test_an_unknown_id_is_an_error_of_the_check() -> None:
    with pytest.raises(AssertionError, match="NoSuchThing"):
        check_env("acenv/NoSuchThing-v0")
