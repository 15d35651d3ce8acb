"""One episode after another in one environment, with the score kept: what the adapters have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium

from acenv.registry import check_installed, resolve_env_ids
from acenv.types import Episode, Message, Tool, Usage


class Session:
    """An environment whose episode is driven from outside, and what has become of it so far.

    >>> session = Session("acenv/PDDL-v0", difficulty="easy", domain="gripper")
    >>> session.reset(0)[-1]["role"]
    'user'
    >>> while not session.over:
    ...     reward = session.step(session.env.expert_action())
    >>> session.episode().return_
    1.0

    Attributes:
        env: The environment, unwrapped.
        env_id: Its id.
        seed: Seed of the episode.
        messages: The conversation so far.
        tools: JSON Schemas of the tools on offer.
        rewards: The reward of each action so far.
        metrics: As in ``info["metrics"]``.
        labels: As in ``info["labels"]``.
        terminated: Whether the task is over.
        truncated: Whether the episode ended without the task being over.
        error: Why the episode cannot be scored; None if it can.
    """

    def __init__(self, env_id: str, **env_kwargs: Any) -> None:
        """Make the environment.

        Args:
            env_id: An id, or its short form such as ``"pddl"``.
            env_kwargs: Keywords for the environment, such as ``difficulty="easy"``.

        Raises:
            ValueError: There is no such environment, or the name is that of a suite.
            MissingSimulatorError: What it stands on is not installed.
        """
        ids = resolve_env_ids(env_id)
        if len(ids) != 1:
            raise ValueError(f"{env_id!r} is a suite of {len(ids)} environments, and one is wanted: {', '.join(ids)}")
        check_installed(ids)
        self.env_id = ids[0]
        self.env: Any = gymnasium.make(self.env_id, **env_kwargs).unwrapped
        self._clear(0)

    def _clear(self, seed: int) -> None:
        self.seed = seed
        self.messages: list[Message] = []
        self.tools: Sequence[Tool] = ()
        self.rewards: list[float] = []
        self.metrics: Mapping[str, float] = {}
        self.labels: Mapping[str, str] = {}
        self.terminated = self.truncated = False
        self.error: str | None = None
        self._began = time.perf_counter()

    def reset(self, seed: int) -> list[Message]:
        """Start the episode of a seed; the opening messages."""
        self._clear(seed)
        self.messages, info = self.env.reset(seed=seed)
        self.tools = info.get("tools", ())
        self.metrics, self.labels = info.get("metrics", {}), info.get("labels", {})
        return self.messages

    def step(self, action: str) -> float:
        """Take the assistant's text; the reward.

        Raises:
            gymnasium.error.ResetNeeded: There is no episode under way.
        """
        self.messages, reward, self.terminated, self.truncated, info = self.env.step(action)
        self.metrics = info.get("metrics", {})
        self.error = info.get("unscored") or None
        self.rewards.append(float(reward))
        return float(reward)

    def cut(self) -> None:
        """End the episode as truncated: what acts can go on no further."""
        self.truncated = True

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated

    @property
    def return_(self) -> float:
        """Sum of the rewards so far, in [0, 1]; ``nan`` where the episode cannot be scored."""
        return math.nan if self.error else math.fsum(self.rewards)

    def episode(self, usage: Usage | None = None) -> Episode:
        """The record of the episode, as the evaluation loop makes it."""
        return Episode(
            env_id=self.env_id,
            seed=self.seed,
            return_=self.return_,
            length=len(self.rewards),
            terminated=self.terminated,
            truncated=self.truncated,
            error=f"unscored: {self.error}" if self.error else None,
            metrics={name: float(value) for name, value in self.metrics.items()},
            usage=usage or Usage(),
            seconds=time.perf_counter() - self._began,
            labels={name: str(value) for name, value in self.labels.items()},
        )

    def close(self) -> None:
        """Close the environment."""
        self.env.close()
