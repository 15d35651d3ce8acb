"""Episodes and transcripts that nobody played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acenv.types import Episode, Message, Step, Transcript


def tool(name: str, *needed: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in needed}
    parameters = {"type": "object", "properties": properties, "required": list(needed)}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def transcript(
    env_id: str, steps: Sequence[Step], told: Sequence[str] | None = None, tools: Sequence[dict[str, Any]] = ()
) -> Transcript:
    """A conversation in which each action is answered in other words, unless they are given."""
    answers = [f"answer {i}" for i in range(len(steps))] if told is None else list(told)
    messages: list[Message] = [{"role": "user", "content": "Do the task."}]
    for step, answer in zip(steps, answers, strict=True):
        messages += [{"role": "assistant", "content": step.action}, {"role": "user", "content": answer}]
    return Transcript(env_id, 0, messages, list(tools), list(steps))


def episode(
    told: Transcript, *, success: bool = False, truncated: bool = False, error: str | None = None, **metrics: float
) -> Episode:
    """The record of what was said."""
    return Episode(
        env_id=told.env_id,
        seed=told.seed,
        return_=sum(step.reward for step in told.steps) if error is None else float("nan"),
        length=len(told.steps),
        terminated=not truncated and error is None,
        truncated=truncated,
        error=error,
        metrics={"success": float(success), **metrics},
    )
