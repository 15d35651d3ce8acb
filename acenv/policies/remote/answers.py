"""What a chat server answers, checked, and as the text that environments read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from acenv.policies.remote.client import Fault, Refusal, complaint
from acenv.types import FinishReason, Usage

_LENGTH = frozenset({"length", "max_tokens", "model_length"})
_BROKEN_OFF = frozenset({"error", "abort", "network_error"})
_CONTEXT = re.compile(
    r"context[ _]?(length|window|size|limit)|maximum (model|input) length|longer than the (maximum )?model"
    r"|(prompt|input) (is )?too long|reduce the length of|tokens `? ?\+ ?`?max_new_tokens|`inputs` must have less"
    r"|too large for model with|input tokens exceed|input token count|max_model_len",
    re.IGNORECASE,
)
_SPENT = re.compile(r"could not finish the message because max_tokens", re.IGNORECASE)


class WithheldError(Exception):
    """The service's own filter kept the answer back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a chat server.

    Attributes:
        content: The text, without what the model thought.
        calls: Structured tool calls, as the server gave them.
        finish: Why it ended.
        usage: Tokens, those of the thoughts included.
        logprobs: Of the written tokens, where the server gives them.
        model: How the server calls the model that answered.
        fingerprint: The server's name for its configuration.
    """

    content: str
    calls: Sequence[Any] = ()
    finish: FinishReason = "stop"
    usage: Usage = Usage()
    logprobs: tuple[float, ...] | None = None
    model: str | None = None
    fingerprint: str | None = None

    @property
    def action(self) -> str:
        """The text for the environment: the content, and the calls in the form of :data:`acenv.chat.CALL_FORM`.

        Calls alone are JSON objects, one a line. Beside a text they stand in ``<tool_call>`` tags, so that JSON in the
        text is not taken for a call. Arguments stay as the model wrote them; those that are no JSON become a string,
        and the environment tells the model what is wrong with it.
        """
        calls = [call_text(call) for call in self.calls]
        if not self.content.strip():
            return "\n".join(calls) if calls else self.content
        # In JSON, < need not be written out; in a text it might be taken for a tag.
        tagged = [f"<tool_call>{call.replace('<', chr(92) + 'u003c')}</tool_call>" for call in calls]
        return "\n".join([self.content, *tagged])


def read_answer(data: Any) -> Answer:
    """Check a chat completion.

    Raises:
        Fault: It is none: fields are missing or of another type, or the server says that it failed.
        WithheldError: A filter kept it back.
    """
    if not isinstance(data, dict):
        raise Fault(f"the server answered with a JSON {type(data).__name__}, not with a completion")
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        words = complaint(data)[:200]
        raise Fault(f"the server's answer has no choices{': ' + words if words else ''}")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Fault("the server's answer has no message")
    reason = choice.get("finish_reason")
    if reason in _BROKEN_OFF:
        raise Fault(f"the server broke the answer off ({reason})")
    if reason == "content_filter":
        raise WithheldError("the server's content filter kept the answer back; the model is not to blame")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise Fault(f"tool_calls in the server's answer is a {type(calls).__name__}, not a list")
    content = _content(message.get("content"))
    if not content and not calls and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    model, fingerprint = data.get("model"), data.get("system_fingerprint")
    return Answer(
        content=without_thoughts(content),
        calls=calls,
        finish="length" if reason in _LENGTH else "stop",
        usage=_usage(data.get("usage")),
        logprobs=_logprobs(choice.get("logprobs")),
        model=model if isinstance(model, str) else None,
        fingerprint=fingerprint if isinstance(fingerprint, str) else None,
    )


def is_too_long(refusal: Refusal) -> bool:
    """Whether a conversation, with the answer asked for, does not fit into the model's context."""
    return refusal.status in (400, 413, 422) and _CONTEXT.search(str(refusal)) is not None


def is_spent(refusal: Refusal) -> bool:
    """Whether a reasoning model has thought up to the token limit and said nothing."""
    return refusal.status == 400 and _SPENT.search(str(refusal)) is not None


def without_thoughts(text: str) -> str:
    r"""What follows the thoughts of a reasoning model whose server leaves them in the text.

    A text that is JSON may hold such tags as data. Thoughts that never end leave nothing.

    >>> without_thoughts("<think>Left or right?</think>\n\ngo left")
    'go left'
    >>> without_thoughts('{"text": "</think>"}')
    '{"text": "</think>"}'
    """
    start = text.lstrip()
    if start.startswith(("{", "[")):
        return text
    if "</think>" in text:
        return text.rpartition("</think>")[2].lstrip()
    return "" if start.startswith("<think>") else text


def call_text(call: Any) -> str:
    r"""A structured call as the JSON object that stands for it in a text.

    >>> call_text({"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}})
    '{"name": "add", "arguments": {"a": 1}}'
    >>> call_text({"function": {"name": "add", "arguments": '{"a": 1'}})
    '{"name": "add", "arguments": "{\\"a\\": 1"}'
    """
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return _dump(call)
    arguments = function.get("arguments")
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        text = "{}"
    elif isinstance(arguments, str) and _is_json(arguments):
        text = arguments.strip()
    else:
        text = _dump(arguments)
    return f'{{"name": {_dump(function.get("name"))}, "arguments": {text}}}'


def is_sound(call: Any) -> bool:
    """Whether a call can be sent back as a part of the conversation: templates fail on arguments that are no object."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return False
    arguments = function.get("arguments")
    try:
        return isinstance(arguments, str) and isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def _content(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # parts; those that are no text are thoughts, or nothing that an agent could say
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(part for part in parts if isinstance(part, str))
    raise Fault(f"content in the server's answer is a {type(content).__name__}, not a text")


def _usage(usage: Any) -> Usage:
    counts = usage if isinstance(usage, dict) else {}
    prompt, completion = (counts.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return Usage(prompt if type(prompt) is int else 0, completion if type(completion) is int else 0)


def _logprobs(logprobs: Any) -> tuple[float, ...] | None:
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    values = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and not math.isnan(v)]
    return tuple(numbers) if len(numbers) == len(values) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
