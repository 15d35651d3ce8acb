"""Time the WorfBench scorer against a plain version of the official algorithm, in one run on one core.

    python benchmarks/workflow_scoring.py [--data FOLDER] [--pairs 1000]

The pairs are generated gold workflows and answers that are these with some nodes left out, repeated, moved or replaced;
``--data`` takes the gold workflows of official records (the folder ``gold_traj``) instead. Both versions compute the
official node and graph scores of every pair with the hash encoder, and must agree. The plain one encodes all texts anew
for every comparison, enumerates all topological orders, and finds the longest run in quadratic time. ``encoded`` counts
the texts that were encoded rather than remembered.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import gymnasium
import networkx as nx
import numpy as np

import acenv
from acenv.envs.encoders import Embeddings, HashEncoder
from acenv.envs.matching import ZERO, Scores, harmonic_scores, similarities
from acenv.envs.workflow.environment import (
    WorkflowEmbodiedEnv,
    WorkflowFunctionCallEnv,
    WorkflowOpenGroundedEnv,
    WorkflowProblemSolvingEnv,
)
from acenv.envs.workflow.graph import END, START, WorkflowGraph, parse_graph, render_graph
from acenv.envs.workflow.records import load_records
from acenv.envs.workflow.scoring import MAX_ORDERS, MAX_SORTED_NODES, graph_scores, match, node_scores

Pair = tuple[WorkflowGraph, WorkflowGraph]

FAMILIES = (WorkflowFunctionCallEnv, WorkflowEmbodiedEnv, WorkflowProblemSolvingEnv, WorkflowOpenGroundedEnv)


class ForgetfulEncoder:
    """The hash encoder without its memory; counts the texts that it encodes."""

    name = "forgetful"

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, texts: Sequence[str]) -> Embeddings:
        self.encoded += len(texts)
        return HashEncoder().encode(texts)


class CountingEncoder:
    """The hash encoder, which remembers what it has encoded; counts what it has to encode."""

    name = "counting"

    def __init__(self) -> None:
        self.encoder = HashEncoder()

    def encode(self, texts: Sequence[str]) -> Embeddings:
        return self.encoder.encode(texts)

    @property
    def encoded(self) -> int:
        return self.encoder._text.cache_info().misses


def gold_workflows(count: int, data: Path | None) -> list[WorkflowGraph]:
    """Official gold workflows, again and again, or generated ones."""
    if data is not None:
        splits = [split for family in FAMILIES for split in family.splits]
        golds = [task.gold for task in load_records(data, splits) if not task.unscorable]
        return [golds[i % len(golds)] for i in range(count)]
    envs = [
        gymnasium.make(name, difficulty=d).unwrapped for name in acenv.suites["workflow"] for d in ("medium", "hard")
    ]
    golds = []
    for i in range(count):
        envs[i % len(envs)].reset(seed=i)
        golds.append(envs[i % len(envs)].task.gold)
    return golds


def perturbed(gold: WorkflowGraph, rng: np.random.Generator) -> WorkflowGraph:
    """An answer that is partly right."""
    nodes = list(gold.inner)
    for _ in range(int(rng.integers(3))):
        change, i = int(rng.integers(4)), int(rng.integers(len(nodes)))
        if change == 0 and len(nodes) > 1:
            del nodes[i]
        elif change == 1:
            nodes.insert(i, nodes[int(rng.integers(len(nodes)))])
        elif change == 2:
            nodes.append(nodes.pop(i))
        else:
            nodes[i] = f"{nodes[i]} {rng.integers(1000)} or so"
    answer = parse_graph(render_graph(WorkflowGraph((START, *nodes, END), gold.edges)))
    assert answer is not None
    return answer


def ours(pair: Pair, encoder: CountingEncoder) -> tuple[Scores, Scores]:
    """Official scores as the package computes them."""
    answer, gold = pair
    matching = match(similarities(answer.nodes, gold.nodes, encoder))
    return node_scores(answer, gold, encoder), graph_scores(answer, gold, matching)


def plain(pair: Pair, encoder: ForgetfulEncoder) -> tuple[Scores, Scores]:
    """Official scores as the official description has them, step by step."""
    answer, gold = pair
    if len(gold.nodes) > MAX_SORTED_NODES:
        orders = [list(gold.nodes)]
    else:
        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from(range(len(gold.nodes)))
        graph.add_edges_from(gold.edges)
        sorts = [[gold.nodes[i] for i in order] for order in nx.all_topological_sorts(graph)]
        orders = [[text for text in order if text not in (START, END)] for order in sorts][:MAX_ORDERS]
    texts = [text for text in answer.nodes if text not in (START, END)]
    best = ZERO
    for order in orders:
        matching = plain_matching(texts, order, encoder)
        runs = [1] * len(texts)
        for i in range(len(texts)):
            for j in range(i):
                if -1 not in (matching[i], matching[j]) and matching[i] > matching[j]:
                    runs[i] = max(runs[i], runs[j] + 1)
        scores = harmonic_scores(max(runs) / len(texts), max(runs) / len(order))
        best = scores if scores.f1 > best.f1 else best
    return best, graph_scores(answer, gold, plain_matching(answer.nodes, gold.nodes, encoder))


def plain_matching(answer: Sequence[str], gold: Sequence[str], encoder: ForgetfulEncoder) -> dict[int, int]:
    cosines = similarities(answer, gold, encoder)
    graph: nx.Graph = nx.Graph()
    for i in range(len(answer)):
        for j in range(len(gold)):
            if cosines[i, j] > 0.6:
                graph.add_edge(i, str(j), weight=float(cosines[i, j]))
    matching = dict.fromkeys(range(len(answer)), -1)
    for a, b in nx.max_weight_matching(graph):
        i, j = (a, b) if isinstance(a, int) else (b, a)
        matching[i] = int(j)
    return matching


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pairs", type=int, default=1000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    pairs = [(perturbed(gold, rng), gold) for gold in gold_workflows(arguments.pairs, arguments.data)]
    distinct = len({text for pair in pairs for graph in pair for text in graph.nodes})
    print(
        f"{'pairs':>6} {'ours':>9} {'a pair':>9} {'encoded':>8} {'plain':>9} {'a pair':>9} {'encoded':>8} {'ratio':>6}"
    )
    for count in sorted({arguments.pairs // 4, arguments.pairs // 2, arguments.pairs}):
        encoder, forgetful = CountingEncoder(), ForgetfulEncoder()
        started = time.process_time()
        fast = [ours(pair, encoder) for pair in pairs[:count]]
        between = time.process_time()
        slow = [plain(pair, forgetful) for pair in pairs[:count]]
        first, second = between - started, time.process_time() - between
        assert fast == slow, "the two versions disagree"
        print(
            f"{count:6} {first:7.2f} s {1000 * first / count:6.2f} ms {encoder.encoded:8} {second:7.2f} s "
            f"{1000 * second / count:6.2f} ms {forgetful.encoded:8} {second / first:6.1f}"
        )
    print(f"The {len(pairs)} pairs have {distinct} different texts.")


if __name__ == "__main__":
    main()
