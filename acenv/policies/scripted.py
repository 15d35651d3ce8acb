"""Policies without a model: the environment's own expert, a random one, and any function of the user's."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from acenv.types import Decision, Request

_ALPHABET = 'abcdefghij klmnopqrstuvwxyz{}[]():,."0123456789_\n\t\\éß中🙂\u202e\u0000'
_WORDS = ("go", "north", "search", "name", "arguments", "finish", "Node:", "Edge:", "(1,2)", "START", "END", "unknown")


class OraclePolicy:
    """Acts as the environment's expert does; its mean return tells whether an environment can be solved."""

    portable = True

    def __init__(self, *, capacity: int = 64) -> None:
        """``capacity`` is how many conversations are taken at once."""
        self.name = "oracle"
        self.capacity = capacity

    def describe(self) -> dict[str, Any]:
        """What changes the answers: nothing but the kind of policy."""
        return {"policy": "oracle"}

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """Ask every environment's expert; an environment without one gives an error."""
        return [_guarded(request.expert, "this environment has no expert_action()") for request in batch]


class RandomPolicy:
    """Says random things: words, JSON fragments, whole JSON calls of the tools on offer, any Unicode.

    The text depends on the episode's seed and step alone, so a run can be repeated and resumed.
    """

    portable = True

    def __init__(self, *, capacity: int = 64) -> None:
        """``capacity`` is how many conversations are taken at once."""
        self.name = "random"
        self.capacity = capacity

    def describe(self) -> dict[str, Any]:
        """What changes the answers: nothing but the kind of policy."""
        return {"policy": "random"}

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """A random text for every request."""
        return [Decision(_random_text(request)) for request in batch]


class FunctionPolicy:
    """Lets a plain function act: ``messages -> text``, or ``(messages, tools) -> text``.

    >>> from acenv.types import Request
    >>> policy = FunctionPolicy(lambda messages: messages[-1]["content"].upper())
    >>> policy.act([Request(slot=0, seed=0, step=0, messages=[{"role": "user", "content": "hello"}])])[0].action
    'HELLO'
    """

    def __init__(self, function: Callable[..., str], *, name: str | None = None, capacity: int = 64) -> None:
        """Wrap ``function``.

        Args:
            function: Takes the messages, or the messages and the tools, and gives the assistant's text.
            name: How reports call the policy; the function's own name by default.
            capacity: How many conversations are taken at once.

        Raises:
            TypeError: The function takes neither one nor two positional arguments.
        """
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.capacity = capacity
        self._function = function
        self._takes_tools = _positional_arguments(function) == 2

    def describe(self) -> dict[str, Any]:
        """The function's name, which is all that is known of it."""
        return {"policy": "function", "name": self.name}

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """Call the function for every request; what it raises becomes that request's error."""
        return [_guarded(lambda request=request: self._call(request)) for request in batch]  # type: ignore[misc]

    def _call(self, request: Request) -> str:
        messages = [m.copy() for m in request.messages]
        return self._function(messages, list(request.tools)) if self._takes_tools else self._function(messages)


def _guarded(function: Callable[[], Any] | None, missing: str = "") -> Decision:
    if function is None:
        return Decision("", error=missing)
    try:
        text = function()
    except Exception as error:
        # Whatever somebody's function raises belongs to this one episode; the others go on.
        return Decision("", error=f"{type(error).__name__}: {error}")
    if not isinstance(text, str):
        return Decision("", error=f"TypeError: a policy's function must return text, not {type(text).__name__}")
    return Decision(text)


def _positional_arguments(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1  # some callables of C code have no signature
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(p.default is p.empty for p in positional)
    takes_any = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    if required == 2:
        return 2
    if required <= 1 and (positional or takes_any):
        return 1
    raise TypeError(
        f"a policy's function takes (messages) or (messages, tools), but {function!r} takes "
        f"{required} positional arguments"
    )


def _random_text(request: Request) -> str:
    rng = np.random.default_rng([request.seed & 0xFFFFFFFFFFFFFFFF, request.step])
    kind = int(rng.integers(4))
    if kind == 0:
        return " ".join(_WORDS[i] for i in rng.integers(len(_WORDS), size=int(rng.integers(1, 8))))
    if kind == 1:
        return "".join(_ALPHABET[i] for i in rng.integers(len(_ALPHABET), size=int(rng.integers(0, 64))))
    names = [str(tool.get("function", tool).get("name", "tool")) for tool in request.tools] or ["tool"]
    word, other = (_WORDS[i] for i in rng.integers(len(_WORDS), size=2))
    call = {"name": names[int(rng.integers(len(names)))], "arguments": {word: other, "n": int(rng.integers(100))}}
    text = json.dumps(call, ensure_ascii=False)
    return text if kind == 2 else text[: int(rng.integers(len(text)))]
