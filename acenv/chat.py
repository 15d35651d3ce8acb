"""From messages and tools to the text that a model reads, whatever its chat template can and cannot do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from acenv.types import Message, Tool

CALL_FORM = (
    "You can call tools. To call one, answer with a JSON object of this form and nothing else: "
    '{"name": "<tool>", "arguments": {...}}. The tools, one a line:'
)
"""What stands above the tools, for models whose chat template knows no tools."""

_PROBE = "PROBE"
PROBE_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": "probe_tool",
        "description": "A probe.",
        "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
    },
}
"""What is offered to find out whether tools reach a model."""


class Chat:
    """Renders conversations with a tokenizer's chat template, and makes up for what the template lacks.

    What a template can do is found out by rendering small conversations: a template that ignores tools gets them in the
    system message; one that refuses or drops system or tool messages gets them as part of the user's; one that insists
    on alternating roles gets neighbours of equal role merged. Without a template the text is ``role: content`` lines.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Probe the template of ``tokenizer`` (a transformers tokenizer)."""
        self._tokenizer = tokenizer
        self.has_template = bool(getattr(tokenizer, "chat_template", None))
        self.takes_tools = self.has_template and self._template_shows_tools()
        self.takes_system = self._shows("system", "user")
        self.takes_tool_role = self._shows("user", "assistant", "tool")
        self.takes_repeated_roles = self._shows("user", "user")

    @property
    def marks_assistant(self) -> bool:
        """Whether the template marks the assistant's tokens (``{% generation %}``)."""
        return self.has_template and "{% generation" in str(self._tokenizer.chat_template).replace("{%-", "{%")

    def prepare(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[Message]:
        """The messages in the form that the template can render."""
        return prepare(
            messages,
            tools,
            takes_tools=self.takes_tools,
            takes_system=self.takes_system,
            takes_tool_role=self.takes_tool_role,
            takes_repeated_roles=self.takes_repeated_roles,
        )

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, add_generation_prompt: bool = True
    ) -> str:
        """The text of a conversation; with ``add_generation_prompt`` it ends where the assistant begins to speak.

        Raises:
            ValueError: The chat template fails on this conversation.
        """
        return self.render_prepared(self.prepare(messages, tools), tools, add_generation_prompt=add_generation_prompt)

    def render_prepared(
        self, prepared: Sequence[Message], tools: Sequence[Tool] = (), *, add_generation_prompt: bool
    ) -> str:
        """Like :meth:`render`, for messages that went through :meth:`prepare`.

        Raises:
            ValueError: The chat template fails on this conversation.
        """
        if not self.has_template:
            lines = "".join(f"{m['role']}: {m['content']}\n" for m in prepared)
            return lines + ("assistant:" if add_generation_prompt else "")
        try:
            return self._apply(prepared, tools if self.takes_tools else (), add_generation_prompt)
        except Exception as error:  # templates raise what they like, through Jinja
            roles = ", ".join(m["role"] for m in prepared)
            raise ValueError(f"the chat template cannot render a conversation of roles {roles}: {error}") from error

    def _apply(self, messages: Sequence[Message], tools: Sequence[Tool], add_generation_prompt: bool) -> str:
        text = self._tokenizer.apply_chat_template(
            [dict(m) for m in messages],
            tools=list(tools) or None,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
        return str(text)

    def _template_shows_tools(self) -> bool:
        messages: list[Message] = [{"role": "system", "content": "s"}, {"role": "user", "content": _PROBE}]
        for start in (messages, messages[1:]):
            try:
                return self._apply(start, [PROBE_TOOL], True) != self._apply(start, (), True)
            except Exception:  # this template takes no system message, or no tools: the next one tells
                continue
        return False

    def _shows(self, *roles: str) -> bool:
        """Whether a conversation of these roles is rendered, with nothing left out."""
        if not self.has_template:
            return True
        messages: list[Message] = [{"role": role, "content": f"{_PROBE}{i}"} for i, role in enumerate(roles)]
        try:
            text = self._apply(messages, (), True)
        except Exception:
            return False
        return all(m["content"] in text for m in messages)


def prepare(
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    *,
    takes_tools: bool,
    takes_system: bool,
    takes_tool_role: bool,
    takes_repeated_roles: bool,
) -> list[Message]:
    """Messages in the form that a template of these abilities can render; see :class:`Chat`."""
    prepared: list[Message] = [{"role": m["role"], "content": m["content"]} for m in messages]
    if tools and not takes_tools:
        prepared = _with_tools(prepared, tools)
    system_to_user = bool(prepared) and prepared[0]["role"] == "system" and not takes_system
    for i, message in enumerate(prepared):
        # A system message later on is refused by most templates that take one at the start.
        misplaced = message["role"] == "system" and (i > 0 or not takes_system)
        if misplaced or (message["role"] == "tool" and not takes_tool_role):
            message["role"] = "user"
    return _merged(prepared, everywhere=not takes_repeated_roles, at_start=system_to_user)


def _with_tools(messages: list[Message], tools: Sequence[Tool]) -> list[Message]:
    lines = [json.dumps(t.get("function", t), ensure_ascii=False, separators=(",", ":")) for t in tools]
    text = "\n".join([CALL_FORM, *lines])
    if messages and messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _merged(messages: list[Message], *, everywhere: bool, at_start: bool) -> list[Message]:
    """Join neighbours of equal role: all of them, or only what was the system message with what follows it."""
    merged: list[Message] = []
    for i, message in enumerate(messages):
        if merged and merged[-1]["role"] == message["role"] and (everywhere or (at_start and i == 1)):
            merged[-1]["content"] += f"\n\n{message['content']}"
        else:
            merged.append(message)
    return merged
