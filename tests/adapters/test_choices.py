"""Choosing by number: Gymnasium's vectors, Stable-Baselines3 and TorchRL take acenv's environments."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import acenv
from acenv.adapters.choices import ChoiceEnv

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GRIPPER: dict[str, Any] = {"difficulty": "easy", "domain": "gripper"}


class TestVectors:
    """Conversations need no adapter for ``gymnasium.make_vec``: texts come as tuples."""

    def test_a_synchronous_vector_plays_what_single_environments_play(self) -> None:
        vector = gymnasium.make_vec("acenv/PDDL-v0", 3, vectorization_mode="sync", **GRIPPER)
        singles = [gymnasium.make("acenv/PDDL-v0", **GRIPPER).unwrapped for _ in range(3)]
        observations, infos = vector.reset(seed=[4, 5, 6])
        assert list(observations) == [env.reset(seed=seed)[0] for env, seed in zip(singles, (4, 5, 6), strict=True)]
        assert observations in vector.observation_space
        assert [list(tools) for tools in infos["tools"]] == [[], [], []]
        actions = tuple(env.expert_action() for env in singles)  # type: ignore[attr-defined]
        assert actions in vector.action_space
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        expected = [env.step(action) for env, action in zip(singles, actions, strict=True)]
        assert list(observations) == [step[0] for step in expected]
        assert rewards.tolist() == [step[1] for step in expected]
        assert infos["metrics"]["grounding"].tolist() == [step[4]["metrics"]["grounding"] for step in expected]
        assert not terminated.any() and not truncated.any()

    def test_it_starts_the_next_episode_by_itself(self) -> None:
        vector = gymnasium.make_vec("acenv/PDDL-v0", 2, vectorization_mode="sync", max_steps=1, **GRIPPER)
        vector.reset(seed=0)
        *_, truncated, _ = vector.step(("look", "look"))
        assert truncated.all()
        observations, *_, truncated, _ = vector.step(("look", "look"))
        assert [len(messages) for messages in observations] == [1, 1] and not truncated.any()

    def test_sampled_actions_are_taken(self) -> None:
        vector = gymnasium.make_vec("acenv/ToolSandbox-v0", 2, vectorization_mode="sync", difficulty="easy")
        vector.reset(seed=0)
        vector.action_space.seed(0)
        for _ in range(20):
            vector.step(vector.action_space.sample())

    def test_shared_memory_is_refused_with_the_way_out(self) -> None:
        with pytest.raises(ValueError, match="shared_memory=False"):
            gymnasium.make_vec("acenv/PDDL-v0", 2, vectorization_mode="async")

    def test_an_asynchronous_vector_without_shared_memory_is_right(self) -> None:
        options = {"shared_memory": False}
        vector = gymnasium.make_vec("acenv/PDDL-v0", 2, vectorization_mode="async", vector_kwargs=options, **GRIPPER)
        try:
            observations, _ = vector.reset(seed=[4, 5])
            env = gymnasium.make("acenv/PDDL-v0", **GRIPPER)
            assert list(observations) == [env.reset(seed=4)[0], env.reset(seed=5)[0]]
        finally:
            vector.close()


class TestChoices:
    def test_gymnasium_checks_pass(self) -> None:
        check_env(ChoiceEnv("pddl", **GRIPPER), skip_render_check=True)
        check_env(ChoiceEnv("pddl", ["look", "move to hall"], **GRIPPER), skip_render_check=True)

    def test_the_expert_is_among_the_choices_and_earns_the_whole_return(self) -> None:
        env = ChoiceEnv("pddl", **GRIPPER)
        _, info = env.reset(seed=1)
        total, over = 0.0, False
        while not over:
            expert = env._session.env.expert_action()
            assert env.action_masks().sum() == len(info["choices"])
            _, reward, terminated, truncated, info = env.step(info["choices"].index(expert))
            total, over = total + reward, terminated or truncated
        assert total == pytest.approx(1.0)
        assert info["metrics"]["success"] == 1.0

    def test_a_number_without_a_candidate_is_refused_by_the_environment(self) -> None:
        env = ChoiceEnv("pddl", choices=30, **GRIPPER)
        _, info = env.reset(seed=0)
        assert len(info["choices"]) < 30
        *_, info = env.step(29)
        assert info["metrics"]["grounding"] == 0.0

    def test_observations_tell_states_apart_and_stay_in_the_space(self) -> None:
        env = ChoiceEnv("pddl", **GRIPPER)
        first, info = env.reset(seed=0)
        second, *_ = env.step(0)
        assert first in env.observation_space and second in env.observation_space
        assert not np.array_equal(first, second)
        assert np.array_equal(first, env.reset(seed=0)[0])

    def test_candidates_may_come_from_a_function(self) -> None:
        env = ChoiceEnv("needle", lambda inner: [inner.expert_action(), "I do not know"], difficulty="easy")
        env.reset(seed=0)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(0)
            total, over = total + reward, terminated or truncated
        assert total == pytest.approx(1.0)

    def test_wrong_use_is_told(self) -> None:
        with pytest.raises(ValueError, match=r"has no valid_actions\(\): give actions="):
            ChoiceEnv("needle")
        with pytest.raises(ValueError, match="at least 1 choice"):
            ChoiceEnv("pddl", [])
        env = ChoiceEnv("pddl", ["look"])
        env.reset(seed=0)
        with pytest.raises(ValueError, match="must be one of Discrete"):
            env.step(1)


@pytest.mark.skipif(
    bool(acenv.registry.missing("acenv/BabyAI-v0")), reason="minigrid is not installed: make simulators"
)
def test_ppo_learns_an_errand() -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'acenv[sb3]'")
    command = [sys.executable, str(EXAMPLES / "train_ppo.py"), "--steps", "2048", "--episodes", "60"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = map(float, re.findall(r"(?:before|PPO) (\d\.\d+)", done.stdout))
    assert before < 0.55 and after > before + 0.2


class TestTorchRL:
    @pytest.fixture(autouse=True)
    def needs_torchrl(self) -> None:
        pytest.importorskip("torchrl", reason="pip install 'acenv[torchrl]'")

    def test_text_goes_through(self) -> None:
        from torchrl.envs import check_env_specs

        from acenv.adapters.torchrl import ConversationEnv

        env = ConversationEnv("pddl", seed=3, **GRIPPER)
        check_env_specs(env)

        def expert(td: Any) -> Any:
            td["action"] = env.session.env.expert_action()
            return td

        env.set_seed(3)
        rollout = env.rollout(20, expert)
        assert rollout["next", "return"][-1].item() == pytest.approx(1.0)
        assert rollout["next", "reward"].sum().item() == pytest.approx(1.0)
        assert rollout["next", "terminated"][-1].item()
        assert rollout["seed"].flatten().unique().tolist() == [3]
        assert '"role": "assistant"' in rollout[-1]["next", "messages"]

    def test_their_wrapper_takes_choices(self) -> None:
        from torchrl.envs import GymWrapper, check_env_specs

        env = GymWrapper(ChoiceEnv("pddl", **GRIPPER))
        check_env_specs(env)
        assert env.rollout(5)["observation"].shape[-1] == (2 + 32) * 128
