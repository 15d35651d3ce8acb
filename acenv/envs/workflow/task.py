"""What a workflow episode is about."""

from __future__ import annotations

from dataclasses import dataclass

from acenv.envs.workflow.graph import WorkflowGraph, render_graph
from acenv.types import Message


@dataclass(frozen=True, slots=True)
class WorkflowTask:
    """One task, generated or official.

    Attributes:
        messages: The opening messages.
        gold_text: The right answer, as text.
        gold: The right answer, parsed.
        kind: The official split that it is from, or what kind of task was generated.
        unscorable: Why the official evaluator can score no answer to it; empty for all sound records.
    """

    messages: tuple[Message, ...]
    gold_text: str
    gold: WorkflowGraph
    kind: str = ""
    unscorable: str = ""


def make_task(system: str, user: str, gold: WorkflowGraph, kind: str) -> WorkflowTask:
    """A generated task with a system and a user message, and the workflow as its answer."""
    messages = (Message(role="system", content=system), Message(role="user", content=user))
    return WorkflowTask(messages, render_graph(gold), gold, kind)
