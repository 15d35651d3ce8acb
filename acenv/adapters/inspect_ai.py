"""Tasks and a model provider for ``inspect-ai``: an environment and its seeds as an evaluation of Inspect's.

Tested with inspect-ai 0.3.285::

    task = make_task("acenv/ToolSandbox-v0", range(100), difficulty="easy")
    inspect_ai.eval(task, model="openai/gpt-4o-mini")
    inspect_ai.eval(task, model=make_model("nano"))  # any policy of acenv's

A sample is an episode, with the environment's opening messages as its input. The solver lets the model speak turn by
turn; the scorer gives the episode's return and the environment's metrics, each with mean and standard error. An episode
that cannot be scored is an error of its sample, never a 0.

Models get the environment's tools as Inspect passes tools, and a structured call is said to the environment as the JSON
text of :data:`acenv.chat.CALL_FORM`, so that what is scored is what :func:`acenv.evaluate` scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import anyio.to_thread
from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolChoice, ToolInfo, ToolParams

from acenv.adapters.session import Session
from acenv.policies import load_policy
from acenv.policies.remote.answers import Answer
from acenv.types import Message, Policy, Request, Tool

_EPISODE = "acenv_episode"
"""Where the solver leaves the score for the scorer, in the sample's store."""


def make_task(env_id: str, seeds: Iterable[int], **env_kwargs: Any) -> Task:
    """An environment and seeds as a task.

    Args:
        env_id: An id, or its short form such as ``"pddl"``.
        seeds: One sample each.
        env_kwargs: Keywords for the environment, such as ``difficulty="easy"``.
    """
    session = Session(env_id, **env_kwargs)
    samples = [
        Sample(
            input=[_to_inspect(message) for message in session.reset(seed)],
            id=f"{session.env_id}#{seed}",
            metadata={"env_id": session.env_id, "seed": seed, **session.labels},
        )
        for seed in seeds
    ]
    session.close()
    return Task(
        dataset=MemoryDataset(samples, name=session.env_id),
        solver=act(session.env_id, **env_kwargs),
        scorer=episode_score(),
        name=session.env_id.replace("/", "_"),
        metadata={"env_kwargs": env_kwargs},
    )


@solver  # type: ignore[untyped-decorator]
def act(env_id: str, **env_kwargs: Any) -> Solver:
    """Let the model act for the episode of the sample's seed."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        session = Session(env_id, **env_kwargs)
        try:
            opening = await anyio.to_thread.run_sync(session.reset, state.metadata["seed"])
            state.messages = [_to_inspect(message) for message in opening]
            tools = [_tool_info(tool) for tool in session.tools]
            while not session.over:
                state.output = await get_model().generate(state.messages, tools)
                if state.output.stop_reason == "model_length":
                    session.cut()
                    break
                said = state.output.message
                state.messages.append(said)
                await anyio.to_thread.run_sync(session.step, _action(said))
                reply = session.messages[-1]
                if reply["role"] != "assistant":
                    state.messages += _answer(said, reply)
            if session.error:
                raise RuntimeError(f"the episode cannot be scored: {session.error}")
            state.store.set(_EPISODE, {"return": session.return_, **session.metrics})
            state.completed = True
            return state
        finally:
            session.close()

    return solve


@scorer(metrics={"*": [mean(), stderr()]})  # type: ignore[untyped-decorator]
def episode_score() -> Scorer:
    """The return of the episode, and the environment's metrics."""

    async def score(state: TaskState, target: Target) -> Score:
        values = state.store.get(_EPISODE)
        if values is None:
            raise RuntimeError("there is no episode to score: the task's solver must be act()")
        return Score(value=dict(values), answer=state.output.completion)

    return score


class PolicyAPI(ModelAPI):  # type: ignore[misc]
    """A policy of acenv's as a model of Inspect's."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **options: Any,
    ) -> None:
        """Load the policy; ``options`` are those of :func:`acenv.load_policy`."""
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self._policy: Policy = load_policy(model_name, **options)
        self._limiter = anyio.CapacityLimiter(1)

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Ask the policy; one request at a time."""
        messages: list[Message] = [{"role": m.role, "content": _action(m)} for m in input]
        offered: list[Tool] = [{"type": "function", "function": t.model_dump(exclude_none=True)} for t in tools]
        step = sum(message["role"] == "assistant" for message in messages)
        request = Request(slot=0, seed=config.seed or 0, step=step, messages=messages, tools=offered)
        [decision] = await anyio.to_thread.run_sync(self._policy.act, [request], limiter=self._limiter)
        if decision.error is not None:
            raise RuntimeError(f"policy {self._policy.name}: {decision.error}")
        reasons = {"stop": "stop", "length": "max_tokens", "context": "model_length"}
        output = ModelOutput.from_content(self.model_name, decision.action, reasons[decision.finish])
        read, written = decision.usage.prompt_tokens, decision.usage.completion_tokens
        output.usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
        return output


@modelapi(name="acenv")  # type: ignore[untyped-decorator]
def _provider() -> type[ModelAPI]:
    return PolicyAPI


def make_model(spec: str, **options: Any) -> Model:
    """A policy as a model for ``inspect_ai.eval``; arguments as for :func:`acenv.load_policy`."""
    return get_model(f"acenv/{spec}", memoize=False, **options)


def _to_inspect(message: Message) -> ChatMessage:
    kinds = {"system": ChatMessageSystem, "assistant": ChatMessageAssistant}
    return kinds.get(message["role"], ChatMessageUser)(content=message["content"])


def _tool_info(tool: Tool) -> ToolInfo:
    function = tool["function"]
    return ToolInfo(
        name=function["name"],
        description=function.get("description", ""),
        parameters=ToolParams(**{"type": "object", **function.get("parameters", {})}),
    )


def _action(message: Any) -> str:
    """What was said, structured calls as text."""
    calls = getattr(message, "tool_calls", None) or ()
    wire = [{"function": {"name": call.function, "arguments": call.arguments}} for call in calls]
    return Answer(message.text, wire).action


def _answer(said: Any, reply: Message) -> list[ChatMessage]:
    """What the environment answered, in the form that a model which made structured calls must get."""
    if not said.tool_calls:
        return [ChatMessageUser(content=reply["content"])]
    first, *others = said.tool_calls
    return [
        ChatMessageTool(content=reply["content"], tool_call_id=first.id, function=first.function),
        *(ChatMessageTool(content="", tool_call_id=call.id, function=call.function) for call in others),
    ]
