"""All scores of an answer: the official ones, and beside them scores without the official faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx

from acenv.envs.encoders import Encoder
from acenv.envs.matching import ZERO, Scores, harmonic_scores, match_nodes, similarities
from acenv.envs.workflow.graph import WorkflowGraph
from acenv.envs.workflow.scoring import UnscorableError, graph_scores, node_scores


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of one answer.

    Attributes:
        node: Official node score.
        graph: Official graph score.
        node_corrected: See :func:`corrected_scores`.
        graph_corrected: See :func:`corrected_scores`.
        unscored: The official evaluator would crash on this answer; all scores are 0.
    """

    node: Scores = ZERO
    graph: Scores = ZERO
    node_corrected: Scores = ZERO
    graph_corrected: Scores = ZERO
    unscored: bool = False

    @property
    def score(self) -> float:
        """The mean of the official node F1 and graph F1."""
        return (self.node.f1 + self.graph.f1) / 2

    def metrics(self) -> dict[str, float]:
        """All of it as floats, the official scores under their official names."""
        return {
            "node_precision": self.node.precision,
            "node_recall": self.node.recall,
            "node_f1": self.node.f1,
            "graph_precision": self.graph.precision,
            "graph_recall": self.graph.recall,
            "graph_f1": self.graph.f1,
            "node_f1_corrected": self.node_corrected.f1,
            "graph_f1_corrected": self.graph_corrected.f1,
            "unscored": float(self.unscored),
        }


def evaluate_workflow(predicted: WorkflowGraph | None, gold: WorkflowGraph, encoder: Encoder) -> Evaluation:
    """Score an answer.

    Args:
        predicted: The parsed answer; None, where the parser gives up, scores 0, as officially.
        gold: The right workflow.
        encoder: Compares the texts of the nodes.
    """
    if predicted is None:
        return Evaluation()
    try:
        node = node_scores(predicted, gold, encoder)
    except UnscorableError:
        return Evaluation(unscored=True)
    cosines = similarities(predicted.nodes, gold.nodes, encoder)
    graph = graph_scores(predicted, gold, match_nodes(cosines))
    return Evaluation(node, graph, *corrected_scores(predicted, gold, match_nodes(cosines[1:-1, 1:-1])))


def corrected_scores(
    predicted: WorkflowGraph, gold: WorkflowGraph, matching: Mapping[int, int]
) -> tuple[Scores, Scores]:
    """Node and edge scores without the faults of the official ones.

    The node score counts the largest set of matched nodes whose numbering goes against no path of the gold workflow:
    START and END do not count, all topological orders do, and an answer without a right node scores 0. The graph score
    counts the edges that are edges of the gold workflow after their nodes have been replaced with the nodes that they
    are matched with: renumbering an answer costs nothing, superfluous edges cost precision, and without a matched node
    the score is 0. Steps with the same text are matched in their order.

    Args:
        predicted: The answer.
        gold: The right workflow, without cycles.
        matching: :func:`~acenv.envs.matching.match_nodes` of the nodes between START and END, counted from 0.

    Returns:
        Node scores and graph scores.
    """
    mapped = _in_order({i + 1: j + 1 for i, j in matching.items() if j != -1}, predicted)
    edges, gold_edges = set(predicted.edges), set(gold.edges)
    if not mapped:
        return ZERO, ZERO
    right = _largest_ordered_set(list(mapped.values()), gold)
    node = harmonic_scores(right / len(predicted.inner), right / len(gold.inner))
    if not edges or not gold_edges:
        return node, ZERO
    mapped |= {0: 0, predicted.end: gold.end}
    shared = sum((mapped.get(a), mapped.get(b)) in gold_edges for a, b in edges)
    return node, harmonic_scores(shared / len(edges), shared / len(gold_edges))


def _in_order(mapped: dict[int, int], predicted: WorkflowGraph) -> dict[int, int]:
    """The same matching, but repeated texts are matched in their order: the first with the first, and so on."""
    groups: dict[str, list[int]] = {}
    for i in mapped:
        groups.setdefault(predicted.nodes[i], []).append(i)
    pairs = (zip(group, sorted(mapped[i] for i in group), strict=True) for group in groups.values())
    return dict(sorted(pair for group in pairs for pair in group))


def _largest_ordered_set(sequence: list[int], gold: WorkflowGraph) -> int:
    """How many of these different gold nodes can be kept so that the rest comes in a possible order."""
    # "a stands before b, but b must come before a" is a strict partial order (of positions, and of gold paths), so that
    # the largest set without such a pair is a largest antichain: by Dilworth, all nodes less a maximum matching.
    before = _ancestors(gold)
    conflicts = [(a, str(b)) for k, a in enumerate(sequence) for b in sequence[k + 1 :] if b in before[a]]
    if not conflicts:
        return len(sequence)
    matching = nx.bipartite.maximum_matching(nx.Graph(conflicts), top_nodes={a for a, _ in conflicts})
    return len(sequence) - len(matching) // 2


def _ancestors(graph: WorkflowGraph) -> list[set[int]]:
    """Of each node, the nodes that must come before it."""
    successors: list[list[int]] = [[] for _ in graph.nodes]
    for a, b in set(graph.edges):
        successors[a].append(b)
    before: list[set[int]] = [set() for _ in graph.nodes]
    for start in range(len(graph.nodes)):
        waiting = [*successors[start]]
        while waiting:
            node = waiting.pop()
            if start not in before[node]:
                before[node].add(start)
                waiting += successors[node]
    return before
