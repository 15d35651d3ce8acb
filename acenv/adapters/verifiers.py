"""Environments for Prime Intellect's ``verifiers``: episodes as rollouts, returns as rewards.

Tested with verifiers 0.4.0, whose interface is ``verifiers.v1``::

    env = make_env("acenv/ToolSandbox-v0", range(100), difficulty="easy")
    episodes = await run(env, model="my-model", base_url="http://127.0.0.1:8000/v1")

A task of the taskset is an episode, with the environment's opening messages as its prompt. The environment plays the
user: what the model says is an action, what the environment answers is the next turn. The trace gets the episode's
return as its reward, and the environment's metrics. An episode that cannot be scored is an error, never a 0.

Models are asked by a harness that lives in this process, and not by a program in a container: acenv's environments run
no code of a model's. It sends the environment's tools as tools; a structured call is said to the environment as the
JSON text of :data:`acenv.chat.CALL_FORM`, and its answer is the tool's message.

verifiers finds plugins by the name of a top-level module. In this process ``acenv_verifiers`` is one once this module
is imported; for the command line of verifiers, write a file ``acenv_verifiers.py`` with the one line ``from
acenv.adapters.verifiers import *``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import verifiers.v1 as vf

from acenv.adapters.session import Session
from acenv.policies.remote.answers import Answer

__all__ = ["ConversationEnv", "ConversationHarness", "ConversationTaskset", "make_env", "run"]

PLUGIN = "acenv_verifiers"
"""The name under which verifiers finds this module."""

sys.modules.setdefault(PLUGIN, sys.modules[__name__])


class ConversationData(vf.TaskData):  # type: ignore[misc]
    """One episode: which environment, which seed, and the tools on offer."""

    env_id: str
    seed: int
    env_kwargs: dict[str, Any]
    tools: list[dict[str, Any]]


class ConversationTask(vf.Task[ConversationData]):  # type: ignore[misc]
    """The task of an episode; the environment scores it."""


class ConversationTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which episodes.

    Attributes:
        env_id: An id, or its short form such as ``"pddl"``.
        seeds: Seeds of the episodes.
        env_kwargs: Keywords for the environment.
    """

    env_id: str
    seeds: list[int] = list(range(100))
    env_kwargs: dict[str, Any] = {}


class ConversationTaskset(vf.Taskset[ConversationTask, ConversationTasksetConfig]):  # type: ignore[misc]
    """The episodes of an environment."""

    def load(self) -> Iterator[ConversationTask]:
        """One task a seed."""
        config = self.config
        session = Session(config.env_id, **config.env_kwargs)
        try:
            for seed in config.seeds:
                opening = session.reset(seed)
                data = ConversationData(
                    name=f"{session.env_id}#{seed}",
                    prompt=[_KINDS[message["role"]](content=message["content"]) for message in opening],
                    env_id=session.env_id,
                    seed=seed,
                    env_kwargs=config.env_kwargs,
                    tools=list(session.tools),
                )
                yield ConversationTask(data, config.task)
        finally:
            session.close()


_KINDS = {"system": vf.SystemMessage, "user": vf.UserMessage, "assistant": vf.AssistantMessage, "tool": vf.UserMessage}


class ConversationHarness(vf.Harness[vf.HarnessConfig]):  # type: ignore[misc]
    """Asks the model for one message, with the tools of the task."""

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: Any,
        trace: Any,
        runtime: Any,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: ConversationData,
    ) -> vf.ProgramResult:
        """One request to the rollout's endpoint, which records it."""
        from verifiers.v1.dialects.chat import message_to_wire

        body: dict[str, Any] = {"model": ctx.model, "messages": [message_to_wire(message) for message in data.prompt]}
        if data.system_prompt:
            body["messages"].insert(0, {"role": "system", "content": data.system_prompt})
        if data.tools:
            body["tools"] = data.tools
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
            answer = await client.post(f"{endpoint.rstrip('/')}/chat/completions", json=body, headers=headers)
        if answer.is_error:
            return vf.ProgramResult(1, "", f"{answer.status_code}: {answer.text[:2000]}")
        return vf.ProgramResult(0, "", "")


class ConversationEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """Who plays: the model under evaluation or in training."""

    player: vf.AgentConfig = vf.AgentConfig(harness=vf.HarnessConfig(id=PLUGIN), runtime=vf.SubprocessConfig())


class ConversationEnv(vf.Env[ConversationEnvConfig]):  # type: ignore[misc]
    """Lets the player act in the environment until the episode is over."""

    async def run(self, task: ConversationTask, agents: Any) -> None:
        """Play one episode, and write its return and metrics into the player's trace."""
        session = Session(task.data.env_id, **task.data.env_kwargs)
        try:
            await asyncio.to_thread(session.reset, task.data.seed)
            async with agents.player.interaction(task) as interaction:
                segment = await interaction.turn()
                while not segment.terminated:
                    said = segment.messages[-1]
                    await asyncio.to_thread(session.step, _action(said))
                    if session.over:
                        break
                    segment = await interaction.turn(_reply(said, session.messages[-1]["content"]))
            if session.error:
                raise ValueError(f"the episode cannot be scored: {session.error}")
            if interaction.trace.has_error:
                return  # the model failed, and that is recorded; a part of an episode has no score
            interaction.trace.record_reward("episode_return", session.return_)
            interaction.trace.record_metrics(session.metrics)
        finally:
            session.close()


def make_env(env_id: str, seeds: Iterable[int], **env_kwargs: Any) -> ConversationEnv:
    """An environment of verifiers for episodes of one of acenv's.

    Args:
        env_id: An id, or its short form such as ``"pddl"``.
        seeds: One task each.
        env_kwargs: Keywords for the environment, such as ``difficulty="easy"``.
    """
    taskset = ConversationTasksetConfig(id=PLUGIN, env_id=env_id, seeds=list(seeds), env_kwargs=env_kwargs)
    return ConversationEnv(ConversationEnvConfig(id=PLUGIN, taskset=taskset))


async def run(
    env: ConversationEnv, *, model: str, base_url: str, api_key_var: str = "OPENAI_API_KEY", at_once: int = 8
) -> list[vf.Episode]:
    """Let a model behind an OpenAI-compatible server play every task of an environment; the episodes, in order.

    Args:
        env: From :func:`make_env`.
        model: The server's name of the model.
        base_url: The server, with its ``/v1``.
        api_key_var: The environment variable that holds the key.
        at_once: Episodes under way at once.
    """
    client = vf.EvalClientConfig(base_url=base_url, api_key_var=api_key_var)
    context, gate = vf.ModelContext(model=model, client=client), asyncio.Semaphore(at_once)
    async with env.serving():
        slots = [slot for task in env.taskset for slot in env.slots(task)]
        return list(await asyncio.gather(*(env.run_slot(slot, context, gate) for slot in slots)))


def _action(said: Any) -> str:
    calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in said.tool_calls or ()]
    return Answer(said.content or "", calls).action


def _reply(said: Any, text: str) -> str | list[Any]:
    calls = [call.id for call in said.tool_calls or ()]
    return [vf.ToolMessage(tool_call_id=c, content=text if c == calls[0] else "") for c in calls] if calls else text
