"""All scores of an answer: the official ones, and beside them scores without the official faults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import networkx as nx

from acenv.envs.base import UnscorableError
from acenv.envs.encoders import Encoder
from acenv.envs.matching import ZERO, Scores, harmonic_scores, similarities
from acenv.envs.workflow.graph import WorkflowGraph, edge_labels, node_texts, parse_graph
from acenv.envs.workflow.scoring import graph_scores, looked_at, match, node_scores, topological_orders

_WORD = re.compile(r"\w+")
_CUT_PAIR = re.compile(r"\(\s*+(\d++)\s*+,\s*+$")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of one answer.

    Attributes:
        node: Official node score; None where the official evaluator crashes.
        graph: Official graph score.
        node_corrected: See :func:`corrected_scores`.
        graph_corrected: See :func:`corrected_scores`.
        unscored: Why the official evaluator crashes on this answer; empty if it does not.
    """

    node: Scores | None = ZERO
    graph: Scores = ZERO
    node_corrected: Scores = ZERO
    graph_corrected: Scores = ZERO
    unscored: str = ""

    @property
    def score(self) -> float:
        """The mean of the official node F1 and graph F1, or of the corrected ones where there is no official score."""
        if self.node is None:
            return (self.node_corrected.f1 + self.graph_corrected.f1) / 2
        return (self.node.f1 + self.graph.f1) / 2

    def metrics(self) -> dict[str, float]:
        """All of it as floats, the official scores under their official names; none for nodes where there is none."""
        official = {"graph": self.graph} if self.node is None else {"node": self.node, "graph": self.graph}
        return {
            **{
                f"{kind}_{field.name}": getattr(scores, field.name)
                for kind, scores in official.items()
                for field in fields(scores)
            },
            "node_f1_corrected": self.node_corrected.f1,
            "graph_f1_corrected": self.graph_corrected.f1,
            "unscored": float(bool(self.unscored)),
        }


def evaluate_workflow(predicted: WorkflowGraph | None, gold: WorkflowGraph, encoder: Encoder) -> Evaluation:
    """Score an answer.

    Args:
        predicted: The parsed answer; None, where the parser gives up, scores 0, as officially.
        gold: The right workflow.
        encoder: Compares the texts of the nodes.

    Raises:
        UnscorableError: The gold workflow is at fault, so that no answer can be scored.
    """
    topological_orders(gold)  # raises where it is the gold workflow that is at fault
    if predicted is None:
        return Evaluation()
    rows = [0, *(i + 1 for i in looked_at(predicted.inner, gold, encoder)), predicted.end]
    cosines = similarities([predicted.nodes[i] for i in rows], gold.nodes, encoder)
    graph = graph_scores(predicted, gold, {rows[i]: j for i, j in match(cosines).items()})
    try:
        node, reason = node_scores(predicted, gold, encoder), ""
    except UnscorableError as error:
        node, reason = None, str(error)
    inner = {rows[i + 1]: j + 1 for i, j in match(cosines[1:-1, 1:-1]).items() if j != -1}
    return Evaluation(node, graph, *corrected_scores(predicted, gold, inner), unscored=reason)


def evaluate_text(text: str, gold: WorkflowGraph, encoder: Encoder, *, stop_at_end: bool = False) -> Evaluation:
    """Score an answer as it was written.

    ACBench generates with the stop string "END", so that every answer ends before its first edge to END, and no answer
    can reach a graph F1 of 1. The corrected scores are therefore those of the answer that :func:`restore_end` gives, if
    they are better: some gold workflows have nodes that lead nowhere.

    Args:
        text: The answer.
        gold: The right workflow.
        encoder: Compares the texts of the nodes.
        stop_at_end: Give the official scores of the answer up to its first "END", as in ACBench.
    """
    scored = text.split("END", 1)[0] if stop_at_end else text
    official, *whole = (
        evaluate_workflow(parse_graph(variant), gold, encoder)
        for variant in dict.fromkeys((scored, text, restore_end(text)))
    )
    best = max((official, *whole), key=lambda evaluation: evaluation.graph_corrected.f1)
    return replace(official, node_corrected=best.node_corrected, graph_corrected=best.graph_corrected)


def restore_end(text: str) -> str:
    r"""Complete an answer that was cut at the stop string "END": every node without a successor leads to END.

    Edges between nodes that stood behind the first edge to END are lost. Other texts are returned as they are.

    >>> restore_end("Node:\n1: mix\n2: eat\nEdge: (START,1) (START,2) (1,")
    'Node:\n1: mix\n2: eat\nEdge: (START,1) (START,2) (1,END) (2,END)'
    """
    stripped = text.rstrip()
    cut = _CUT_PAIR.search(stripped, max(0, len(stripped) - 60))
    if cut is None:
        return text
    last = {cut[1].lstrip("0")} | {a.lstrip("0") for a, _ in edge_labels(text)}
    loose = [str(i) for i in range(1, len(node_texts(text)) + 1) if str(i) not in last]
    return " ".join([f"{stripped}END)", *(f"({label},END)" for label in loose)])


def corrected_scores(
    predicted: WorkflowGraph, gold: WorkflowGraph, matching: Mapping[int, int]
) -> tuple[Scores, Scores]:
    """Node and edge scores without the faults of the official ones.

    The node score counts the largest set of matched nodes whose numbering goes against no path of the gold workflow:
    START and END do not count, all topological orders do, and an answer without a right node scores 0. The graph score
    counts the edges that are edges of the gold workflow after their nodes have been replaced with the nodes that they
    are matched with: renumbering an answer costs nothing, superfluous edges cost precision, and without a matched node
    the score is 0. Steps of the same words are matched in their order.

    Args:
        predicted: The answer.
        gold: The right workflow, without cycles.
        matching: Which gold node each matched node between START and END is matched with.

    Returns:
        Node scores and graph scores.
    """
    mapped = _in_order(matching, predicted)
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


def _in_order(mapped: Mapping[int, int], predicted: WorkflowGraph) -> dict[int, int]:
    """The same matching, but texts of the same words are matched in their order: the first with the first, and so."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i in mapped:
        groups.setdefault(tuple(_WORD.findall(predicted.nodes[i].lower())), []).append(i)
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
        if max(a, b) < len(graph.nodes):
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
