"""From requests to the messages that a chat server takes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acenv.chat import prepare
from acenv.policies.remote.answers import Answer, is_sound
from acenv.types import Message, Tool

_JOINT_RESULT = "See the last result."


@dataclass(frozen=True, slots=True)
class Said:
    """A turn of the model's own.

    Attributes:
        action: The text that the environment got.
        message: What the server is given in its place later on, with structured calls; ``None`` for the text itself.
    """

    action: str
    message: Mapping[str, Any] | None = None


def said(answer: Answer, step: int) -> Said:
    """Remember an answer for the turns to come."""
    if not answer.calls or not all(is_sound(call) for call in answer.calls):
        return Said(answer.action)
    calls = []
    for i, call in enumerate(answer.calls):
        function = {name: call["function"][name] for name in ("name", "arguments")}
        name = call.get("id")
        calls.append(
            {"id": name if isinstance(name, str) and name else f"call_{step}_{i}", "type": "function"}
            | {"function": function}
        )
    if len({call["id"] for call in calls}) < len(calls):
        calls = [call | {"id": f"call_{step}_{i}"} for i, call in enumerate(calls)]
    return Said(answer.action, {"role": "assistant", "content": answer.content, "tool_calls": calls})


def chat_messages(
    messages: Sequence[Message],
    tools: Sequence[Tool],
    past: Sequence[Said] = (),
    *,
    takes_tools: bool,
    takes_system: bool,
    takes_repeated_roles: bool,
) -> list[dict[str, Any]]:
    """The conversation as a server takes it.

    A conversation holds text alone. Where the model's turns were structured calls, they are so again, and what the
    environment answered are their results, because that is what the server's chat template makes a prompt of that the
    model knows.

    Args:
        messages: The conversation so far.
        tools: On offer.
        past: The model's own turns in this episode, from the first to the last.
        takes_tools: Whether tools go beside the messages; if not, they are put into the system message.
        takes_system: Whether there may be a system message.
        takes_repeated_roles: Whether neighbours may have the same role.
    """
    prepared: list[dict[str, Any]] = [
        dict(message)
        for message in prepare(
            messages,
            tools,
            takes_tools=takes_tools,
            takes_system=takes_system,
            takes_tool_role=False,  # The API wants to know which call such a message answers.
            takes_repeated_roles=takes_repeated_roles,
        )
    ]
    spoken = [i for i, message in enumerate(prepared) if message["role"] == "assistant"]
    if not past or len(spoken) < len(past):
        return prepared
    turns = dict(zip(spoken[-len(past) :], past, strict=True))
    if any(prepared[i]["content"] != turn.action for i, turn in turns.items()):
        return prepared  # The environment keeps another text than the model's.
    result: list[dict[str, Any]] = []
    waiting: list[str] = []
    for i, message in enumerate(prepared):
        if waiting and message["role"] == "user":
            result += _results(waiting, message["content"])
        else:
            turn = turns.get(i)
            result.append(dict(turn.message) if turn is not None and turn.message is not None else message)
        waiting = [call["id"] for call in result[-1].get("tool_calls", ())]
    return result


def _results(calls: Sequence[str], observation: str) -> list[dict[str, Any]]:
    """One result a call; an observation with a line for each is shared out among them."""
    lines = observation.split("\n")
    if len(lines) != len(calls):
        lines = [*[_JOINT_RESULT] * (len(calls) - 1), observation]
    return [{"role": "tool", "tool_call_id": call, "content": line} for call, line in zip(calls, lines, strict=True)]


def seed_of(seed: int, step: int) -> int:
    """A seed for one request: below 2^31, which every server takes.

    >>> seed_of(3, 0) == seed_of(3, 0) != seed_of(0, 3)
    True
    """
    digest = hashlib.blake2b(f"{seed}:{step}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1
