"""What is wrong with calls that are not the right ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from acenv.envs.tools.calls import Call
from acenv.types import Fault


def stray(call: Call, right: Iterable[Call]) -> Fault | Literal[""]:
    """The fault of a call that was carried out to no avail; empty for a right call, which may come too early or again.

    Args:
        call: What the agent called.
        right: The calls of the solution.

    >>> stray(Call("add", {"n": 2}), [Call("add", {"n": 1})]), stray(Call("drop"), [Call("add", {"n": 1})])
    ('wrong argument', 'wrong tool')
    """
    calls = list(right)
    if call in calls:
        return ""
    return "wrong argument" if any(call.name == other.name for other in calls) else "wrong tool"


def refused(call: Call, right: Iterable[Call]) -> Fault:
    """The fault of a call that the world did not allow.

    Args:
        call: What the agent called.
        right: The calls of the solution.

    >>> refused(Call("add", {"n": 2}), [Call("add", {"n": 1})]), refused(Call("drop"), [Call("add", {"n": 1})])
    ('wrong argument', 'invalid in this world')
    """
    return "wrong argument" if stray(call, right) == "wrong argument" else "invalid in this world"


def compare_names(ours: Counter[str], theirs: Counter[str]) -> Fault:
    """What is wrong with calls, by the names of the tools alone.

    >>> compare_names(Counter("a"), Counter("ab")), compare_names(Counter("b"), Counter("a"))
    ('gave up early', 'wrong tool')
    """
    if ours == theirs:
        return "wrong argument"
    return "gave up early" if ours < theirs else "wrong tool"
