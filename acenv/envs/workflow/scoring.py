"""Node F1 and graph F1 of a workflow, as the WorfBench evaluator computes them, faults included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from acenv.envs.encoders import Encoder
from acenv.envs.matching import (
    Scores,
    candidates,
    harmonic_scores,
    is_matching,
    longest_increasing,
    match_nodes,
    similarities,
)
from acenv.envs.workflow.graph import END, START, Edge, WorkflowGraph

MAX_ORDERS = 20
"""Topological orders of the gold workflow that the node score looks at."""

MAX_SORTED_NODES = 9
"""Workflows with more nodes than this, START and END included, are not sorted at all."""


class UnscorableError(ValueError):
    """A workflow on which the official evaluator ends with an exception instead of a score."""


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


def node_scores(predicted: WorkflowGraph, gold: WorkflowGraph, encoder: Encoder) -> Scores:
    """The official node score: the longest run of right nodes in a right order, against the best gold order.

    Its faults are part of the score. One node counts as right even when none is. A gold workflow of ten or more nodes
    is compared with START and END, which an answer cannot have. Only 20 orders are looked at. The order of the answer
    is its numbering; its edges are not used.

    Raises:
        UnscorableError: The answer or the gold workflow has no node.
    """
    answer = [text for text in predicted.nodes if text not in (START, END)]
    orders = topological_orders(gold)
    if not answer:
        raise UnscorableError("the answer has edges but no numbered node")
    if not orders[0]:
        raise UnscorableError("the gold workflow has no node")
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
    return harmonic_scores(right / len(answer), right / len(orders[0]))


def _only_choices(answer: Sequence[str], gold: Sequence[str], encoder: Encoder) -> list[str] | None:
    """What an answer is matched with, in its order, if no node has a choice: then the order of gold is irrelevant."""
    if len(set(gold)) < len(gold):
        return None
    pairs = candidates(similarities(answer, gold, encoder))
    return [gold[j] for _, j in pairs] if is_matching(pairs) else None


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
