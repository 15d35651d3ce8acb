"""Hostile episodes from bytes: a fuzzer turns its bytes into actions, and every step is checked.

Most of what is said is nearly right, since that goes deepest: the expert's action with a piece put in, taken out or
repeated, calls of the tools on offer with values that nobody expects, commands with words of the conversation.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import gymnasium

from acenv.types import Fault, Message

MAX_STEPS = 12
"""Actions of one program."""

SEEDS = 4
"""Tasks of an environment that programs start from."""

FRAGMENTS: tuple[str, ...] = (
    *('{"name": "', '"arguments": {', "}", "]", '"', "{", "[", "(", ")", ",", ":", "\\", "\n", " ", "=", "'", "`", "|"),
    *(
        "<tool_call>",
        "</tool_call>",
        "</think>",
        "```json\n",
        "```",
        "Action:",
        " with Action Input: {",
        "Finish",
        "check",
    ),
    *("Node:\n1: a\n", "Edge: (START,1) (1,END)", "(1,1)", "(99999999999,END)", "1: ", "search[", "click[", "go to "),
    *("NaN", "-Infinity", "1e400", "-0", "1_000", "0x1F", "9" * 5000, "1" + "0" * 400, "٣", "½", "²", "1e-400", "True"),
    *("[" * 3000, "{" * 3000, '{"a":' * 2000, "(" * 3000, "\\u", "\\ud800", "\\" * 2000, '"' * 999, "-" * 3000),
    *(
        "a" * 20_001,
        " " * 9000,
        "\n" * 5000,
        "\t",
        "\x00",
        "\ufeff",
        "\u202e",
        "\u2028",
        "\ud800",
        "İ",
        "ß",
        "ﬁ",
        "😀",
        "𝟙",
    ),
    *(
        "=SUM(A1:ZZ99999)",
        "=1/0",
        "=A1",
        "=" + "(" * 200,
        "' OR 1=1 --",
        "; DROP TABLE x",
        "%s%n",
        "{0.__class__}",
        "${x}",
    ),
    *(
        "../../etc/passwd",
        "2024-02-30",
        "25:61",
        "Monday",
        "<script>",
        "&amp;",
        "__import__('os')",
        "lambda: 0",
        "*" * 900,
    ),
    *(
        "f(a=1)",
        "[f(a=1), g()]",
        "f(**x)",
        "f(1 if 1 else 2)",
        "a.b.c(d=[1,2])",
        "f(x=9**9**9)",
        "f(x=-" + "-" * 500 + "1)",
    ),
)
"""What goes wrong in parsers."""

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**63,
        10**400,
        0.5,
        -0.0,
        1e308,
        "",
        "a",
        " ",
        "0",
        "-1",
        "1e999",
        "\ud800",
        "\x00",
    ),
    *([], {}, [[]], {"": ""}, [None], ["a", 1], {"name": "finish"}, "A1", "A0", "ZZ9999999", "A1:B2", "=A1", "9" * 400),
)
"""What no schema asks for."""


class Source:
    """Decisions from bytes; at their end all decisions are 0."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def __bool__(self) -> bool:
        return self.place < len(self.data)

    def number(self, below: int) -> int:
        """Less than ``below``; of one byte, or two."""
        width = 1 if below <= 256 else 2
        found = int.from_bytes(self.data[self.place : self.place + width], "big")
        self.place += width
        return found % below if below else 0

    def pick(self, items: Sequence[Any]) -> Any:
        return items[self.number(len(items))] if items else ""

    def text(self) -> str:
        """Any text of up to 63 characters."""
        size = self.number(64)
        piece = self.data[self.place : self.place + size]
        self.place += size
        return piece.decode("utf-8", "surrogateescape")


@dataclass(slots=True)
class Arena:
    """An environment that is played in again and again.

    Attributes:
        env_id: Which one.
        difficulty: Of its tasks.
        starts: Snapshots of the first states, with the messages and the tools.
        steps: Actions played.
        slowest: Seconds of the slowest step, and the action.
        on_step: Gives the time; that of the thread, so that others on the machine do not count.
    """

    env_id: str
    difficulty: str
    clock: Callable[[], float] = time.thread_time
    env: Any = None
    starts: list[tuple[Any, list[Message], list[Any]]] = field(default_factory=list)
    steps: int = 0
    slowest: tuple[float, str] = (0.0, "")

    def __post_init__(self) -> None:
        self.env = gymnasium.make(self.env_id, difficulty=self.difficulty, disable_env_checker=True).unwrapped
        for seed in range(SEEDS):
            messages, info = self.env.reset(seed=seed)
            self.starts.append((self._snapshot(seed), messages, info.get("tools", [])))
        self.play(b"\x00" * 8)  # what is loaded at the first step is no matter of the step
        self.play(b"\x00" + b"\x04" * 8)
        self.steps, self.slowest = 0, (0.0, "")

    def play(self, data: bytes) -> None:
        """One program.

        Raises:
            AssertionError: A promise is broken; the message has the actions.
        """
        source = Source(data)
        saved, messages, tools = source.pick(self.starts)
        self._restore(saved)
        said: list[str] = []
        score = 0.0
        for _ in range(MAX_STEPS):
            action = self._action(source, messages, tools)
            said.append(repr(action)[:200])
            began = self.clock()
            try:
                messages, reward, terminated, truncated, info = self.env.step(action)
                took = self.clock() - began
                score += reward
                _check(messages, score, info)
            except Exception as error:
                raise AssertionError(f"{self.env_id} ({self.difficulty}): {error!r} after {said}") from error
            self.steps += 1
            if took > self.slowest[0]:
                self.slowest = (took, said[-1])
            if terminated or truncated or not source:
                break

    def _snapshot(self, seed: int) -> Any:
        with contextlib.suppress(NotImplementedError):
            if getattr(self.env, "branches", True):
                return self.env.snapshot()
        return seed

    def _restore(self, saved: Any) -> None:
        if isinstance(saved, int):
            self.env.reset(seed=saved)
        else:
            self.env.restore(saved)

    def _expert(self) -> str:
        try:
            return str(self.env.expert_action())
        except Exception:  # experts may know no way on from where nonsense has led
            return ""

    def _action(self, source: Source, messages: Sequence[Message], tools: Sequence[Any]) -> Any:
        kind = source.number(12)
        if kind in (0, 1):
            return self._expert()
        if kind in (2, 3, 4):
            return _mutated(source, self._expert(), messages)
        if kind == 5:
            return "".join(source.pick(FRAGMENTS) for _ in range(1 + source.number(4)))
        if kind == 6:
            return source.text()
        if kind == 7 and source.number(16) == 0:
            return source.pick((None, 3, b"x", ["a"], {"role": "assistant"}, float("nan"), "x" * 10**6))
        if kind in (7, 8, 9) and tools:
            return _call(source, messages, tools, brackets=kind == 9)
        if kind in (10, 11) or not tools:
            return _command(source, self.env, messages)
        return source.text()


def _mutated(source: Source, text: str, messages: Sequence[Message]) -> str:
    """A text with up to three changes."""
    for _ in range(1 + source.number(3)):
        at = source.number(len(text) + 1)
        to = at + source.number(min(len(text) - at, 20) + 1)
        match source.number(6):
            case 0:
                text = text[:at] + source.pick(FRAGMENTS) + text[at:]
            case 1:
                text = text[:at] + text[to:]
            case 2:
                text = text[:to] + text[at:to] * source.pick((1, 2, 30, 400)) + text[to:]
            case 3:
                text = text[:at] + _word(source, messages) + text[to:]
            case 4:
                text = text[:at] + chr(source.number(0x10000)) + text[at:]
            case _:
                text = text[:at] + json.dumps(source.pick(VALUES)) + text[to:]
        text = text[:30_000]
    return text


def _call(source: Source, messages: Sequence[Message], tools: Sequence[Any], *, brackets: bool) -> str:
    """Calls of tools on offer, in form, with any values."""
    calls = []
    for _ in range(source.pick((1, 1, 1, 2, 17))):
        function = source.pick(tools)["function"]
        parameters = function.get("parameters", {}).get("properties", {})
        arguments = {name: _value(source, schema, messages) for name, schema in parameters.items()}
        if source.number(8) == 0:
            arguments[_word(source, messages)] = source.pick(VALUES)
        calls.append((function["name"], arguments))
    if brackets:
        return "[" + ", ".join(f"{n}({', '.join(f'{k}={v!r}' for k, v in a.items())})" for n, a in calls) + "]"
    if source.number(3) == 0:
        return f"Action: {calls[0][0]} with Action Input: {json.dumps(calls[0][1])}"
    return "\n".join(json.dumps({"name": name, "arguments": arguments}) for name, arguments in calls)


def _value(source: Source, schema: Any, messages: Sequence[Message]) -> Any:
    kind = schema.get("type") if isinstance(schema, dict) else None
    choice = source.number(8)
    if choice == 0:
        return source.pick(VALUES)
    if choice == 1:
        return source.pick(FRAGMENTS)[:200]
    if isinstance(schema, dict) and schema.get("enum"):
        return source.pick(schema["enum"])
    if kind == "integer":
        return source.pick((0, 1, 2, 7, -1, 10**9, source.number(1000)))
    if kind in ("number", "float"):
        return source.pick((0, 0.5, -3, 1e9, source.number(1000)))
    if kind == "boolean":
        return bool(source.number(2))
    if kind in ("array", "list"):
        return [_word(source, messages) for _ in range(source.number(4))]
    return _word(source, messages)


def _word(source: Source, messages: Sequence[Message]) -> str:
    """A word that was said before."""
    words = source.pick(messages[-6:])["content"][-3000:].split()
    return str(source.pick(words)).strip('.,:;()[]"{}')


def _command(source: Source, env: Any, messages: Sequence[Message]) -> str:
    """A command that is possible now, or its first word with words that were said; often behind a label."""
    possible: list[str] = []
    if hasattr(env, "valid_actions") and source.number(2):
        with contextlib.suppress(NotImplementedError):
            possible = list(env.valid_actions())
    text = str(source.pick(possible)) if possible else _word(source, messages)
    if source.number(3) == 0:
        text = " ".join([*text.split()[:2], *(_word(source, messages) for _ in range(source.number(4)))])
    return source.pick(("", "", "Action: ", "> ", "Thought: x\nAction: ")) + text


def _check(messages: Any, score: float, info: dict[str, Any]) -> None:
    assert math.isfinite(score) and -1e-9 <= score <= 1 + 1e-9, f"the score is {score}"
    assert messages and all(isinstance(m["content"], str) for m in messages[-2:]), "messages hold texts"
    messages[-1]["content"].encode()
    messages[-2]["content"].encode()
    assert info.get("fault", "unparsable") in get_args(Fault), f"there is no fault {info['fault']!r}"
    assert all(isinstance(value, float) and not math.isinf(value) for value in info["metrics"].values()), "metrics"


def programs(random: Any, size: int = 160) -> Iterator[bytes]:
    """Programs without guidance."""
    while True:
        yield random.randbytes(random.randrange(1, size))
