"""Node F1 and graph F1 of a workflow, as the WorfBench evaluator computes them, faults included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from scipy.optimize import linear_sum_assignment

from acenv.envs.base import UnscorableError
from acenv.envs.encoders import Encoder
from acenv.envs.matching import (
    MATCH_THRESHOLD,
    Scores,
    Similarities,
    harmonic_scores,
    longest_increasing,
    match_nodes,
    similarities,
)
from acenv.envs.workflow.graph import END, START, Edge, WorkflowGraph

MAX_ORDERS = 20
"""Topological orders of the gold workflow that the node score looks at."""

MAX_SORTED_NODES = 9
"""Workflows with more nodes than this, START and END included, are not sorted at all."""

_SPARE_NODES = 8
_MOST_NODES = 100
_MATCHING_EFFORT = 7_000
_MARGIN = 1e-5


@lru_cache(maxsize=1024)
def topological_orders(graph: WorkflowGraph) -> tuple[tuple[str, ...], ...]:
    """The orders in which a workflow may be carried out, as far as the official node score looks at them.

    Returns:
        The node texts of the first 20 orders that networkx yields, START and END left out. A workflow of ten or more
        nodes, START and END counted, gives one order instead: its nodes as they are numbered, *with* START and END.

    Raises:
        UnscorableError: The workflow has a cycle, so that there is no order.
    """
    if len(graph.nodes) > MAX_SORTED_NODES:
        return (graph.nodes,)
    if any(b >= len(graph.nodes) for edge in graph.edges for b in edge):
        raise UnscorableError("the gold workflow has an edge to a node that does not exist")
    orders = [[graph.nodes[i] for i in order] for order in islice(_all_orders(graph), MAX_ORDERS)]
    if not orders:
        raise UnscorableError("the gold workflow has a cycle")
    return tuple(tuple(text for text in order if text not in (START, END)) for order in orders)


def _all_orders(graph: WorkflowGraph) -> Iterator[list[int]]:
    """All topological orders, in the order in which ``networkx.all_topological_sorts`` yields them, in less time.

    Of the nodes that could come next, the one that became free last is taken first.
    """
    successors: list[list[int]] = [[] for _ in graph.nodes]
    missing = [0] * len(graph.nodes)
    for a, b in dict.fromkeys(graph.edges):
        successors[a].append(b)
        missing[b] += 1
    order: list[int] = []
    levels = [[node for node, count in enumerate(missing) if not count]]  # at each depth, the nodes that could be next
    tried = [0]
    while levels:
        if tried[-1]:
            for successor in successors[order.pop()]:
                missing[successor] += 1
        if tried[-1] == len(levels[-1]):
            levels.pop()
            tried.pop()
            continue
        *rest, node = levels[-1]
        levels[-1] = [node, *rest]
        tried[-1] += 1
        order.append(node)
        for successor in successors[node]:
            missing[successor] -= 1
        if len(order) == len(missing):
            yield [*order]
        levels.append(rest + [successor for successor in successors[node] if not missing[successor]])
        tried.append(0)


def looked_at(answer: Sequence[str], gold: WorkflowGraph, encoder: Encoder) -> list[int]:
    """Which nodes of an answer are matched, so that one that repeats itself without end is scored in bounded time.

    These are all, if the answer is up to eight nodes longer than the gold workflow. Of a longer one, nodes that
    resemble no gold node, and so change nothing, are left out, and of the others the first 100 are kept. It is fewer
    only if they can be matched in several equally good ways, as where the answer says the same again and again, and so
    many resemble so many gold nodes that it would take long to find the official one. All nodes count in the precision,
    kept or not.

    Returns:
        Positions in ``answer``, in order.
    """
    sure = len(gold.nodes) + _SPARE_NODES
    if len(answer) <= sure:
        return list(range(len(answer)))
    cosines = similarities(answer, gold.nodes, encoder)
    resembling = (cosines > MATCH_THRESHOLD).sum(axis=1)
    kept: list[int] = np.flatnonzero(resembling)[:_MOST_NODES].tolist()
    if _sole_matching(cosines[kept, 1:-1]) is not None:
        return kept
    # A matching takes time with the pairs that are possible, and with the nodes that can be matched; there is one for
    # each order of the gold workflow, and two for the other scores.
    effort = len(gold.nodes) * (len(topological_orders(gold)) + 2)
    bearable = int((np.cumsum(resembling[kept]) * effort <= _MATCHING_EFFORT).sum())
    return kept[: max(sure, bearable)]


def match(cosines: Similarities) -> dict[int, int]:
    """The same as :func:`~acenv.envs.matching.match_nodes`, in less time if no other matching is as good."""
    sole = _sole_matching(cosines)
    return match_nodes(cosines) if sole is None else sole


def _sole_matching(cosines: Similarities) -> dict[int, int] | None:
    """The best matching, if it is so by more than rounding, so that every right algorithm finds it; else None."""
    weights = np.where(cosines > MATCH_THRESHOLD, cosines, 0.0).astype(np.float64)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    best = weights[rows, columns].sum()
    matching = dict.fromkeys(range(len(weights)), -1)
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        weight = weights[i, j]
        if not weight:
            continue
        matching[i] = j
        weights[i, j] = 0.0  # the best matching without this pair
        if weights[linear_sum_assignment(weights, maximize=True)].sum() > best - _MARGIN:
            return None
        weights[i, j] = weight
    return matching


def node_scores(predicted: WorkflowGraph, gold: WorkflowGraph, encoder: Encoder) -> Scores:
    """The official node score: the longest run of right nodes in a right order, against the best gold order.

    Its faults are part of the score. One node counts as right even when none is. A gold workflow of ten or more nodes
    is compared with START and END, which an answer cannot have. Only 20 orders are looked at. The order of the answer
    is its numbering; its edges are not used.

    Raises:
        UnscorableError: The answer or the gold workflow has no node.
    """
    nodes = [text for text in predicted.nodes if text not in (START, END)]
    orders = topological_orders(gold)
    if not nodes:
        raise UnscorableError("the answer has edges but no numbered node")
    if not orders[0]:
        raise UnscorableError("the gold workflow has no node")
    answer = [nodes[i] for i in looked_at(nodes, gold, encoder)]
    right = 1  # officially every node starts as a run of one, matched or not
    possible = min(len(answer), len(orders[0]))
    choices = _only_choices(answer, orders[0], encoder)
    for order in orders:
        if choices is not None:
            place = {text: j for j, text in enumerate(order)}
            run = [place[text] for text in choices]
        else:
            run = [j for j in match_nodes(similarities(answer, order, encoder)).values() if j != -1]
        right = max(right, longest_increasing(run))
        if right == possible:
            break
    return harmonic_scores(right / len(nodes), right / len(orders[0]))


def _only_choices(answer: Sequence[str], gold: Sequence[str], encoder: Encoder) -> list[str] | None:
    """What an answer is matched with, in its order, if only one matching is best: then gold's order is irrelevant."""
    if len(set(gold)) < len(gold):
        return None
    matching = _sole_matching(similarities(answer, gold, encoder))
    return None if matching is None else [gold[j] for j in matching.values() if j != -1]


def graph_scores(predicted: WorkflowGraph, gold: WorkflowGraph, matching: Mapping[int, int]) -> Scores:
    """The official graph score: the largest connected part that answer and gold workflow share.

    Its faults are part of the score. START and END match themselves, so that it is never 0. Edges are compared by the
    numbers of their nodes, whatever the nodes are matched with.

    Args:
        predicted: The answer.
        gold: The right workflow.
        matching: :func:`~acenv.envs.matching.match_nodes` of all nodes, START and END included.
    """
    nodes = {i for i, j in matching.items() if j != -1}
    gold_nodes = {j for j in matching.values() if j != -1}
    gold_edges = {(a, b) for a, b in gold.edges if a in gold_nodes and b in gold_nodes}
    shared = [(a, b) for a, b in predicted.edges if a in nodes and b in nodes and (a, b) in gold_edges]
    return harmonic_scores(
        _largest_component(nodes, shared) / len(predicted.nodes),
        _largest_component(gold_nodes, shared) / len(gold.nodes),
    )


def _largest_component(nodes: set[int], edges: Iterable[Edge]) -> int:
    part = {node: {node} for node in nodes}
    for a, b in edges:
        if part[a] is not part[b]:
            part[a] |= part[b]
            for node in part[b]:
                part[node] = part[a]
    return max(map(len, part.values()), default=0)
