"""Expert transcripts: what the environments' own experts say, for cloning and for calibrating compressors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import gymnasium

from acenv.types import Conversation


def expert_conversation(env: gymnasium.Env[Any, Any], seed: int) -> Conversation:
    """Let the environment's expert act for one episode.

    Raises:
        ValueError: The environment has no ``expert_action``.
    """
    expert = getattr(env.unwrapped, "expert_action", None)
    if expert is None:
        raise ValueError(f"{env.unwrapped} has no expert_action(), so there is no expert transcript of it")
    messages, info = env.reset(seed=seed)
    over = False
    while not over:
        messages, _, terminated, truncated, _ = env.step(expert())
        over = terminated or truncated
    return Conversation(messages, info["tools"])


def expert_conversations(
    env_ids: Iterable[str], seeds: Iterable[int], env_kwargs: Mapping[str, Any] | None = None
) -> Iterator[Conversation]:
    """Expert transcripts of all pairs of environment and seed, seeds outermost, of the *train* split.

    Args:
        env_ids: Ids of environments.
        seeds: Seeds of the train split.
        env_kwargs: Keywords for all the environments, such as ``{"difficulty": "easy"}``.
    """
    envs = [gymnasium.make(env_id, **{"split": "train", **(env_kwargs or {})}) for env_id in env_ids]
    try:
        for seed in seeds:
            for env in envs:
                yield expert_conversation(env, seed)
    finally:
        for env in envs:
            env.close()
