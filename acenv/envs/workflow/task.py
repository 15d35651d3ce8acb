"""What a workflow episode is about."""

from __future__ import annotations

from dataclasses import dataclass

from acenv.envs.workflow.graph import WorkflowGraph
from acenv.types import Message


@dataclass(frozen=True, slots=True)
class WorkflowTask:
    """One task, generated or official.

    Attributes:
        messages: The opening messages.
        gold_text: The right answer, as text.
        gold: The right answer, parsed.
    """

    messages: tuple[Message, ...]
    gold_text: str
    gold: WorkflowGraph
