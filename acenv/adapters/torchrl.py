"""Conversations as a TorchRL environment: messages and actions stay text, as ``NonTensor`` data.

Tested with torchrl 0.14.1 and tensordict 0.14.3::

    env = ConversationEnv("acenv/PDDL-v0", difficulty="easy", seed=0)
    rollout = env.rollout(20, policy)  # policy: reads td["messages"], sets td["action"]

For algorithms that take arrays, TorchRL's own ``GymWrapper`` takes :class:`acenv.adapters.choices.ChoiceEnv`.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Categorical, Composite, NonTensor, Unbounded
from torchrl.envs import EnvBase

from acenv.adapters.session import Session


class ConversationEnv(EnvBase):  # type: ignore[misc]
    """An acenv environment with keys ``messages``, ``tools`` (JSON texts) and ``action`` (text).

    ``messages`` and ``tools`` are JSON, because a list would be taken for a batch. ``return`` is the return so far, and
    ``seed`` that of the episode; the session is at ``env.session``.
    """

    def __init__(self, env_id: str, *, seed: int = 0, **env_kwargs: Any) -> None:
        """Make the environment.

        Args:
            env_id: An id, or its short form such as ``"pddl"``.
            seed: Seed of the first episode; each reset goes on to the next.
            env_kwargs: Keywords for the environment, such as ``difficulty="easy"``.
        """
        super().__init__(batch_size=torch.Size(()))
        self.session = Session(env_id, **env_kwargs)
        self._next_seed = seed
        self.observation_spec = Composite(
            {
                "messages": NonTensor(example_data="[]", shape=()),
                "tools": NonTensor(example_data="[]", shape=()),
                "return": Unbounded(shape=(1,)),
                "seed": Unbounded(shape=(1,), dtype=torch.int64),
            },
            shape=(),
        )
        self.action_spec = Composite({"action": NonTensor(example_data="", shape=())}, shape=())
        self.reward_spec = Unbounded(shape=(1,))
        flag = Categorical(2, shape=(1,), dtype=torch.bool)
        self.full_done_spec = Composite({"done": flag, "terminated": flag.clone(), "truncated": flag.clone()}, shape=())

    def _reset(self, tensordict: TensorDictBase | None, **_: Any) -> TensorDictBase:
        self.session.reset(self._next_seed)
        self._next_seed += 1
        return self._told()

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        reward = self.session.step(tensordict["action"])
        return self._told(reward=torch.tensor([reward]))

    def _set_seed(self, seed: int | None) -> None:
        if seed is not None:
            self._next_seed = seed

    def _told(self, **more: torch.Tensor) -> TensorDictBase:
        session = self.session
        return TensorDict(
            {
                "messages": json.dumps(session.messages, ensure_ascii=False),
                "tools": json.dumps(list(session.tools), ensure_ascii=False),
                "return": torch.tensor([session.return_], dtype=torch.float32),
                "seed": torch.tensor([session.seed]),
                "done": torch.tensor([session.over]),
                "terminated": torch.tensor([session.terminated]),
                "truncated": torch.tensor([session.truncated]),
                **more,
            },
            batch_size=(),
        )
