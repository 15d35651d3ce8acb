"""Which layers to keep: the choice within a budget, and the method string that says so."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from acenv.compressors.method import Method, Pass, parse
from acenv.studies.exchange import block_of

_DIGIT = re.compile(r"\d+")


def choose(
    costs: Mapping[str, float], budget: float, regained: Mapping[str, float], regain: Callable[[Sequence[str]], float]
) -> tuple[str, ...]:
    """Take what regains most per unit of cost, again and again, until the budget is spent.

    What a layer regains depends on the layers that are kept already. So after each choice the best is measured again
    together with those, and taken if it is still the best: the accelerated greedy algorithm of Minoux (*Optimization
    Techniques*, 1978). It equals the plain one where layers regain less the more are kept; where they help each other,
    which happens, it may take another that was better before.

    Args:
        costs: What each candidate costs, above 0.
        budget: What all together may cost.
        regained: What each regains alone.
        regain: Measures what some regain together.

    Returns:
        The chosen ones, in the order in which they were taken.

    >>> value = {"a": 3.0, "b": 2.0, "c": 2.0}
    >>> choose({"a": 1, "b": 1, "c": 1}, 2, value, lambda kept: sum(value[k] for k in kept) - ("b" in kept))
    ('a', 'c')
    """
    chosen: list[str] = []
    left, have = budget, 0.0
    # (what is regained per cost, negated; position, so that ties keep their order; for how many choices it holds)
    queue = [(-regained[name] / costs[name], i, name, 0) for i, name in enumerate(costs)]
    heapq.heapify(queue)
    while queue:
        gain, i, name, measured_at = heapq.heappop(queue)
        if costs[name] > left * (1 + 1e-9):
            continue
        if measured_at < len(chosen):
            value = regain([*chosen, name]) - have
            heapq.heappush(queue, (-value / costs[name], i, name, len(chosen)))
            continue
        if gain >= 0:
            break
        chosen.append(name)
        left -= costs[name]
        have -= gain * costs[name]
    return tuple(chosen)


def outer_first(candidates: Mapping[str, Sequence[str]]) -> list[str]:
    """The candidates of the first block, then of the last, the second, the last but one: what many keep by habit."""
    blocks = list(dict.fromkeys(block_of(members[0]) for members in candidates.values()))
    order = [blocks[i // 2] if i % 2 == 0 else blocks[-1 - i // 2] for i in range(len(blocks))]
    return sorted(candidates, key=lambda name: order.index(block_of(candidates[name][0])))


def fill(order: Sequence[str], costs: Mapping[str, float], budget: float) -> tuple[str, ...]:
    """As many as fit, in a given order; what does not fit is passed over."""
    taken = []
    for name in order:
        if costs[name] <= budget * (1 + 1e-9):
            taken.append(name)
            budget -= costs[name]
    return tuple(taken)


def shortest_globs(keep: Collection[str], layers: Collection[str]) -> tuple[str, ...]:
    """Few and short patterns that match these layers and no others.

    Args:
        keep: Names of modules, at least one.
        layers: All that can be compressed.

    >>> names = [f"model.layers.{i}.{part}" for i in range(12) for part in ("attn.q", "attn.v", "mlp.up")]
    >>> shortest_globs([n for n in names if ".2." in n or n.endswith(".up")], names)
    ('*.2.*', '*.up')
    >>> shortest_globs(["model.layers.0.attn.q", "model.layers.1.attn.q", "model.layers.11.attn.q"], names)
    ('*.11.attn.q', '*.[01].attn.q')
    """
    wanted = set(keep)
    candidates = {
        glob: matched
        for glob in sorted({glob for name in wanted for glob in _patterns(name, wanted, layers)})
        if (matched := {name for name in layers if fnmatchcase(name, glob)}) <= wanted
    }
    chosen: list[str] = []
    left = set(wanted)
    while left:
        # A pattern costs its letters and the separator.
        best = max(candidates, key=lambda glob: len(candidates[glob] & left) / (len(glob) + 1))
        chosen.append(best)
        left -= candidates[best]
    for glob in list(chosen):  # what later ones have made superfluous
        others = [g for g in chosen if g != glob]
        if wanted <= set().union(*(candidates[g] for g in others)):
            chosen = others
    return tuple(sorted(chosen))


def _patterns(name: str, wanted: Collection[str], layers: Collection[str]) -> set[str]:
    """Patterns that match a layer, and perhaps too much."""
    parts = name.split(".")
    place = next((i for i, part in enumerate(parts) if _DIGIT.fullmatch(part)), None)
    if place is None:
        return {name, f"*.{parts[-1]}"}
    number, inside = parts[place], parts[place + 1 :]
    tails = {"*", ".".join(inside), *(f"{'.'.join(inside[:i])}.*" for i in range(1, len(inside)))}
    found = {name, f"*.{parts[-1]}", *(f"*.{tail}" for tail in tails - {"*"})}
    for tail in tails:
        found.add(f"*.{number}.{tail}")
        head = ".".join(parts[:place])
        digits = [
            digit
            for digit in "0123456789"
            if (of := {n for n in layers if fnmatchcase(n, f"{head}.{number[:-1]}{digit}.{tail}")})
            and of <= set(wanted)
        ]
        if len(digits) > 1:
            found.add(f"*.{number[:-1]}[{_ranges(digits)}].{tail}")
    return found


def _ranges(digits: Sequence[str]) -> str:
    """``0123`` as ``0-3``."""
    runs = [[digits[0]]]
    for digit in digits[1:]:
        if int(digit) == int(runs[-1][-1]) + 1:
            runs[-1].append(digit)
        else:
            runs.append([digit])
    return "".join(f"{run[0]}-{run[-1]}" if len(run) > 3 else "".join(run) for run in runs)


def keeping(method: str, globs: Sequence[str], bits: int | None = None) -> str:
    """The method string that leaves some layers dense, or stores them in more bits.

    Args:
        method: A method string.
        globs: Patterns over the names of the layers.
        bits: The bits of these layers in the pass that quantises; ``None`` leaves them dense, in all passes.

    Raises:
        ValueError: The method does not quantise, or does not know these bits.

    >>> keeping("rtn:bits=3,group_size=32", ["*.0.*"])
    'rtn:bits=3,group_size=32,ignore=*.0.*'
    >>> keeping("rtn:bits=3,group_size=32", ["*.0.*", "*.up_proj"], bits=8)
    'rtn:bits=3,group_size=32@*.0.*:bits=8@*.up_proj:bits=8'
    """
    plan = parse(method)
    if bits is None:
        return str(Method(tuple(_ignoring(step, globs) for step in plan.passes)))
    last = plan.passes[-1]
    if last.prunes:
        raise ValueError(f"{last.name} does not quantise, so that a layer cannot have more bits; keep it dense")
    overrides = "".join(f"@{glob}:bits={bits}" for glob in globs)
    return str(parse("+".join([*map(str, plan.passes[:-1]), f"{last}{overrides}"])))


def _ignoring(step: Pass, globs: Sequence[str]) -> Pass:
    return replace(step, ignore=tuple(dict.fromkeys((*step.ignore, *globs))))
