"""What every environment promises: the checks behind :func:`check_env`."""

from __future__ import annotations

import copy
import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env as check_gymnasium

from acenv.spaces import Messages, Text

Make = Callable[[], Any]
"""Makes one more instance of the environment in question, unwrapped."""

NASTY_ACTIONS: tuple[Any, ...] = (
    "",
    " ",
    "🙂" * 50,
    '{"name": "finish", "arguments": {',
    '{"name": null}',
    "[" * 5000,
    "{" * 5000,
    "lone \ud800 surrogate",
    "Node:\n" + "1: a\n" * 500 + "Edge: (1,1)",
    "a" * 20_001,
    "x" * 10_000_000,
    None,
    7,
    b"bytes",
    "\x00\x1b[31m",
    "NaN",
    '{"name": "finish", "arguments": {"answer": 1e999}}',
)
"""Actions on which programs that read text have come to grief."""

_TOLERANCE = 1e-9
_RANDOM_ACTIONS = 200
_LONGEST_EPISODE = 10_000


def check_env(env: str | Callable[..., Any], **keywords: Any) -> None:
    """Check that an environment keeps the contract of acenv's environments.

    Args:
        env: A registered id, or what makes an instance (such as the class).
        keywords: For making it, such as ``difficulty="easy"``.

    Raises:
        AssertionError: A promise is broken; the message says which, and where.
    """
    name = env if isinstance(env, str) else getattr(env, "__name__", repr(env))

    def make() -> Any:
        made = gymnasium.make(env, **keywords) if isinstance(env, str) else env(**keywords)
        return made.unwrapped

    for check in ENV_CHECKS:
        try:
            check(make)
        except AssertionError as error:
            raise AssertionError(f"{name}: {check.__name__.replace('_', ' ')}: {error}") from error
        except Exception as error:
            raise AssertionError(
                f"{name}: {check.__name__.replace('_', ' ')}: raised {type(error).__name__}: {error}"
            ) from error


def gymnasium_accepts_it(make: Make) -> None:
    """Gymnasium's own checks pass."""
    with _closing(make()) as env:
        check_gymnasium(env, skip_render_check=not env.metadata.get("render_modes"))


def observations_are_conversations(make: Make) -> None:
    """Spaces, messages, tools and metrics are what the loop and the policies rely on."""
    with _closing(make()) as env:
        _require(isinstance(env.action_space, Text), f"action_space must be acenv.spaces.Text, not {env.action_space}")
        _require(
            isinstance(env.observation_space, Messages),
            f"observation_space must be acenv.spaces.Messages, not {env.observation_space}",
        )
        messages, info = env.reset(seed=0)
        _check_messages(env, messages)
        _require(messages[-1]["role"] != "assistant", "the first observation must wait for the assistant's message")
        for tool in info.get("tools", ()):
            function = tool.get("function", {})
            _require(
                tool.get("type") == "function" and isinstance(function.get("name"), str),
                f"info['tools'] must hold {{'type': 'function', 'function': {{'name', …}}}}, not {tool!r}",
            )
            _check_schema(function)
        json.dumps(info.get("tools", ()))
        _check_metrics(info)


def the_same_seed_gives_the_same_episode(make: Make) -> None:
    """Also when two instances are stepped in turn."""
    with _closing(make()) as one, _closing(make()) as two, _closing(make()) as three:
        alone = [_play(one, seed) for seed in (3, 4)]
        again = [_play(one, seed) for seed in (3, 4)]
        _require(alone == again, "a second episode with the same seed differs: what random numbers does it use?")
        ends: list[Any] = [None, None]
        for steps in zip_longest(_steps(two, 3), _steps(three, 4)):
            ends = [step or end for step, end in zip(steps, ends, strict=True)]
        _require(
            [messages for messages, _, _ in ends] == [messages for messages, _, _ in alone],
            "two instances that are stepped in turn disturb each other: do they share state?",
        )


def the_global_generators_are_left_alone(make: Make) -> None:
    """Randomness comes from ``self.np_random`` alone."""
    states = (random.getstate(), np.random.get_state())
    try:
        random.seed(1)
        np.random.seed(1)
        before = random.getstate(), copy.deepcopy(np.random.get_state())
        with _closing(make()) as env:
            _play(env, 0)
        untouched = random.getstate() == before[0] and all(
            np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1], strict=True)
        )
        _require(untouched, "it draws from the global generators; use self.np_random")
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def the_expert_solves_it(make: Make) -> None:
    """Where there is an expert, its return is 1; without one the check passes."""
    with _closing(make()) as env:
        if not callable(getattr(env, "expert_action", None)):
            return
        for seed in range(5):
            _, total, info = _play(env, seed)
            _require(abs(total - 1.0) < _TOLERANCE, f"the expert's return with seed {seed} is {total}, not 1")
            _require(info["metrics"]["success"] == 1.0, f"the expert's success with seed {seed} is not 1")


def no_action_raises(make: Make) -> None:
    """Whatever an agent says, the answer is an observation, and the return stays in [0, 1]."""
    with _closing(make()) as env:
        env.action_space.seed(0)
        env.reset(seed=0)
        seed, total = 0, 0.0
        for action in (*NASTY_ACTIONS, *(env.action_space.sample() for _ in range(_RANDOM_ACTIONS))):
            shown = f"{action!r:.60}"
            try:
                messages, reward, terminated, truncated, info = env.step(action)
            except Exception as error:
                raise AssertionError(f"the action {shown} raised {type(error).__name__}: {error}") from error
            _check_messages(env, messages)
            _check_metrics(info)
            _require(math.isfinite(reward), f"the action {shown} was rewarded with {reward}")
            total += reward
            _require(
                -_TOLERANCE <= total <= 1 + _TOLERANCE, f"after the action {shown} the return is {total}, not in [0, 1]"
            )
            if terminated or truncated:
                seed, total = seed + 1, 0.0
                env.reset(seed=seed)


def an_observation_is_a_copy(make: Make) -> None:
    """Changing what was given out changes nothing inside."""
    with _closing(make()) as env, _closing(make()) as other:
        for instance, meddle in ((env, True), (other, False)):
            messages, info = instance.reset(seed=0)
            if meddle:
                messages[0]["content"] = "changed"
                messages.clear()
                for value in info.values():
                    if isinstance(value, (list, dict)):
                        value.clear()
        _require(
            env.step("nonsense")[:4] == other.step("nonsense")[:4],
            "changing an observation or info changed the episode: give out copies",
        )


def steps_out_of_order_are_refused(make: Make) -> None:
    """A step before ``reset`` or after the end is an error of the caller's, and said to be."""
    with _closing(make()) as env:
        for moment in ("before reset()", "after the end of an episode"):
            try:
                env.step("x")
            except ResetNeeded:
                pass
            else:
                raise AssertionError(f"step() {moment} must raise gymnasium.error.ResetNeeded")
            if moment == "before reset()":
                _play(env, 0)


def a_snapshot_can_be_continued_any_number_of_times(make: Make) -> None:
    """Where there are snapshots, every branch from one is the same; without them the check passes."""
    with _closing(make()) as env:
        if not (callable(getattr(env, "snapshot", None)) and callable(getattr(env, "restore", None))):
            return
        start, _ = env.reset(seed=1)
        try:
            before = env.snapshot()
        except NotImplementedError:
            return
        branches = []
        for _ in range(2):
            _require(env.restore(before) == start, "restore() gives another observation than the one of the snapshot")
            branches.append(list(_from_here(env)))
            env.reset(seed=2)  # What happens after the branch must not reach into the snapshot.
        _require(branches[0] == branches[1], "two branches from one snapshot differ under the same actions")


ENV_CHECKS: tuple[Callable[[Make], None], ...] = (
    gymnasium_accepts_it,
    observations_are_conversations,
    the_same_seed_gives_the_same_episode,
    the_global_generators_are_left_alone,
    the_expert_solves_it,
    no_action_raises,
    an_observation_is_a_copy,
    steps_out_of_order_are_refused,
    a_snapshot_can_be_continued_any_number_of_times,
)
"""All checks of :func:`check_env`; each takes what makes an instance."""


class _closing:
    """Closes an environment at the end of a ``with`` block."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def __enter__(self) -> Any:
        return self.env

    def __exit__(self, *_: object) -> None:
        self.env.close()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _steps(env: Any, seed: int) -> Iterator[tuple[Any, float, dict[str, Any]]]:
    messages, info = env.reset(seed=seed)
    yield messages, 0.0, info
    yield from _from_here(env)


def _from_here(env: Any) -> Iterator[tuple[Any, float, dict[str, Any]]]:
    """The expert's steps to the end of the episode; those of an agent that talks nonsense where there is no expert."""
    expert = getattr(env, "expert_action", None)
    total = 0.0
    for _ in range(_LONGEST_EPISODE):
        action = expert() if callable(expert) else "nonsense"
        messages, reward, terminated, truncated, info = env.step(action)
        total += reward
        yield messages, total, info
        if terminated or truncated:
            return
    raise AssertionError(f"an episode does not end within {_LONGEST_EPISODE:,} steps")


def _play(env: Any, seed: int) -> tuple[Any, float, dict[str, Any]]:
    return deque(_steps(env, seed), maxlen=1).pop()


def _check_messages(env: Any, messages: Any) -> None:
    _require(messages in env.observation_space, f"{messages!r:.200} is no conversation of acenv.spaces.Messages")
    for message in messages:
        try:
            message["content"].encode()
        except UnicodeEncodeError as error:
            raise AssertionError(f"a message cannot be written as UTF-8: {error}") from error


def _check_metrics(info: dict[str, Any]) -> None:
    metrics = info.get("metrics")
    _require(isinstance(metrics, dict), "info['metrics'] must be a dict")
    assert isinstance(metrics, dict)
    for name in ("success", "progress", "grounding"):
        _require(name in metrics, f"info['metrics'] lacks {name!r}")
    for name, value in metrics.items():
        _require(isinstance(value, (int, float)), f"info['metrics'][{name!r}] must be a number, not {value!r}")


def _check_schema(function: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(function.get("parameters", {}))
    except SchemaError as error:
        raise AssertionError(
            f"the parameters of tool {function['name']!r} are no JSON Schema: {error.message}"
        ) from error
