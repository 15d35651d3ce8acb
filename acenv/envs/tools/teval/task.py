"""What a T-Eval task is, whether generated or read from the official files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from acenv.envs.tools.calls import dump_json
from acenv.types import Message

Kind = Literal["instruct", "plan", "reason", "retrieve", "understand", "review"]

Format = Literal["json", "str"]

FORMATS: tuple[Format, ...] = ("json", "str")


@dataclass(frozen=True, slots=True)
class TevalTask:
    """One question of one of the six tasks. Never changed, so copies share it.

    Attributes:
        kind: The task.
        format: What the answer is written in.
        messages: The opening messages.
        gold: The ground truth in the official layout: ``{"action", "args"}`` (instruct), a list of ``{"name", "id",
            "args"}`` (plan), ``{"thought", "name", "args"}`` (reason, retrieve, understand), or a letter or
            ``{"review": bool}`` (review).
        answer: A right answer.
        identity: What makes the task this task, whatever the format.
        template: How an instruct task wants the answer written: ``thought``, ``action``, ``args`` (the keys of the
            JSON), or ``thought_start``, ``thought_end``, ``action_start``, ... (what surrounds the parts).
        apis: Names of the tools that a plan in words can name, in the order in which they are looked for.
        unscorable: Why the official evaluator can score no answer; empty for sound records.
    """

    kind: Kind
    format: Format
    messages: tuple[Message, ...]
    gold: Any
    answer: str
    identity: str
    template: dict[str, str] | None = None
    apis: tuple[str, ...] = ()
    unscorable: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> TevalTask:
        return self


def write_call(template: dict[str, str], thought: str, action: str, args: dict[str, Any]) -> str:
    """A call in the form that an instruct task's template asks for."""
    if "thought" in template:
        return dump_json({template["thought"]: thought, template["action"]: action, template["args"]: args})
    return (
        f"{template['thought_start']}{thought}{template['thought_end']}{template['action_start']}{action}"
        f"{template['action_end']}{template['args_start']}{args}{template['args_end']}"
    )


def conversation(*turns: tuple[str, str]) -> tuple[Message, ...]:
    """Messages of ``(role, content)`` pairs."""
    return tuple(Message(role=role, content=content) for role, content in turns)
