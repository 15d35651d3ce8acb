"""Environments for algorithms that take arrays: what to say next is chosen from a list by its number.

Tested with stable-baselines3 2.9.2 and torchrl 0.14.1 (``GymWrapper``), on gymnasium 1.4.0::

    env = ChoiceEnv("acenv/BabyAI-v0", actions=["turn left", "move forward", "go to red ball 1"])
    PPO("MlpPolicy", env).learn(4000)

Text spaces are out of reach of these libraries: an action of theirs is a number, and an observation an array. Here the
conversation is encoded (by default as hashed words and letter trigrams, which needs no model), and the action is the
number of a candidate. What is lost is what makes the environments hard for language models: to *write* the action. Use
it to test algorithms on these tasks, not to compare language models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from acenv.adapters.session import Session
from acenv.envs.encoders import Encoder, HashEncoder

Array = NDArray[np.float32]
Candidates = Callable[[Any], Sequence[str]]
"""Takes the environment, and gives what could be said now."""


class ChoiceEnv(gymnasium.Env[Array, np.int64]):
    """A conversation environment as a choice among candidates.

    With a fixed list, action ``i`` always says the same. Otherwise action ``i`` says the ``i``-th of the present
    candidates, and the observation holds these too.

    The observation is one vector: the encoding of the opening message, that of the latest message that is not the
    agent's, and, for candidates that change, those of the candidates (zeros for absent ones). ``info["choices"]`` has
    the candidates as text, ``info["messages"]`` the conversation.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        env_id: str,
        actions: Sequence[str] | Candidates | None = None,
        *,
        choices: int = 32,
        encoder: Encoder | None = None,
        **env_kwargs: Any,
    ) -> None:
        """Make the environment.

        Args:
            env_id: An id, or its short form such as ``"babyai"``.
            actions: The texts to choose from; or what gives the present ones; or None for the environment's
                ``valid_actions()``.
            choices: How many candidates there are room for where they change; further ones are left out.
            encoder: Turns texts into vectors; default: hashed words, 128 wide.
            env_kwargs: Keywords for the environment, such as ``difficulty="easy"``.

        Raises:
            ValueError: The environment has no ``valid_actions()``, and none were given; or a number makes no sense.
        """
        self._session = Session(env_id, **env_kwargs)
        self._encoder: Encoder = encoder or HashEncoder(128)
        self._fixed: tuple[str, ...] | None = None
        if actions is None and not hasattr(self._session.env, "valid_actions"):
            raise ValueError(f"{self._session.env_id} has no valid_actions(): give actions=, a list or a function")
        if actions is None:
            self._candidates: Candidates = lambda env: env.valid_actions()
        elif callable(actions):
            self._candidates = actions
        else:
            self._fixed = tuple(actions)
            self._candidates = lambda env: self._fixed or ()
        count = choices if self._fixed is None else len(self._fixed)
        if count < 1:
            raise ValueError(f"there must be at least 1 choice, not {count}")
        self._size = self._encoder.encode(["x"]).shape[1]
        rows = 2 + (count if self._fixed is None else 0)
        self.observation_space = Box(-1.0, 1.0, (rows * self._size,), np.float32)
        self.action_space = Discrete(count)
        self._choices: list[str] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start an episode; without a seed, that of the next seed that this environment's generator draws."""
        super().reset(seed=seed)
        self._session.reset(int(self.np_random.integers(2**31)) if seed is None else seed)
        return self._observe()

    def step(self, action: np.int64 | int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Say the candidate of this number; a number without a candidate says nothing, which environments refuse.

        Raises:
            ValueError: The number is outside of the action space.
        """
        if not 0 <= int(action) < int(self.action_space.n):  # type: ignore[attr-defined]
            raise ValueError(f"the action must be one of {self.action_space}, not {action}")
        reward = self._session.step(self._choices[action] if int(action) < len(self._choices) else "")
        observation, info = self._observe()
        return observation, reward, self._session.terminated, self._session.truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Which numbers have a candidate now, as ``MaskablePPO`` of sb3-contrib asks."""
        return np.arange(int(self.action_space.n)) < len(self._choices)  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the environment inside."""
        self._session.close()

    def _observe(self) -> tuple[Array, dict[str, Any]]:
        session = self._session
        count = int(self.action_space.n)  # type: ignore[attr-defined]
        self._choices = [] if session.over and self._fixed is None else list(self._candidates(session.env))[:count]
        heard = [message["content"] for message in session.messages if message["role"] != "assistant"]
        texts = [heard[0], heard[-1], *(self._choices if self._fixed is None else ())]
        vector = np.zeros(self.observation_space.shape or (0,), dtype=np.float32)
        encoded = self._encoder.encode(texts).reshape(-1)
        vector[: len(encoded)] = encoded
        return np.clip(vector, -1.0, 1.0), {
            "choices": list(self._choices),
            "messages": [message.copy() for message in session.messages],
            "metrics": dict(session.metrics),
            "labels": dict(session.labels),
        }
