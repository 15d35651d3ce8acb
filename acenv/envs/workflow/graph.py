"""Workflow graphs as text: ``Node:`` lines and ``Edge:`` pairs, read exactly as the WorfBench evaluator reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

START = "START"
END = "END"

# The official patterns, `\d+[:.] (.+)` and `\(\s*(\d+|START)\s*,\s*(\d+|END)\s*\)`. The lookbehind and the possessive
# repeats change no match; they keep a text of 20,000 digits from costing quadratic time.
_NODE = re.compile(r"(?<!\d)\d++[:.] (.+)")
_EDGE = re.compile(r"\(\s*+(\d++|START)\s*+,\s*+(\d++|END)\s*+\)")

_FAR = 10**9
"""Stands for every node number of more than nine digits: no workflow has such a node."""

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WorkflowGraph:
    """A workflow: what is done, and what must come before what.

    Attributes:
        nodes: Texts of the nodes; the first is START, the last END.
        edges: Pairs of positions in ``nodes``, as they were written: unchecked, duplicates included.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]

    @property
    def end(self) -> int:
        """Position of END."""
        return len(self.nodes) - 1

    @property
    def inner(self) -> tuple[str, ...]:
        """The nodes without the added START and END."""
        return self.nodes[1:-1]


def node_texts(text: str) -> list[str]:
    r"""The numbered lines of a text, stripped; their numbers do not matter, only their order.

    >>> node_texts("Node:\n1: mix\n2. bake\n3) eat")
    ['mix', 'bake']
    """
    return [match.strip() for match in _NODE.findall(text)]


def edge_labels(text: str) -> list[tuple[str, str]]:
    """The pairs in parentheses, as written.

    >>> edge_labels("Edge: (START,1) (1, END) (2)")
    [('START', '1'), ('1', 'END')]
    """
    return _EDGE.findall(text)


def parse_graph(text: str) -> WorkflowGraph | None:
    r"""Read a workflow as ``workflow_to_graph_list`` of WorfBench does.

    Args:
        text: An answer in the ``Node:``/``Edge:`` format, with anything around it.

    Returns:
        The graph, or None where the official parser gives up: no ``Node`` in the text, or no edge. There may be no
        inner node, and edges may lead to nodes that do not exist.

    >>> parse_graph("Node:\n1: mix\n2: bake\nEdge: (START,1) (1,2) (2,END)")
    WorkflowGraph(nodes=('START', 'mix', 'bake', 'END'), edges=((0, 1), (1, 2), (2, 3)))
    """
    if "Node" not in text:
        return None
    nodes = (START, *node_texts(text), END)
    end = len(nodes) - 1
    edges = tuple((_position(a, end), _position(b, end)) for a, b in edge_labels(text))
    return WorkflowGraph(nodes, edges) if edges else None


def render_graph(graph: WorkflowGraph) -> str:
    """Write a workflow in the format that :func:`parse_graph` reads.

    >>> print(render_graph(WorkflowGraph(("START", "mix", "END"), ((0, 1), (1, 2)))))
    Node:
    1: mix
    Edge: (START,1) (1,END)
    """

    def label(position: int) -> str:
        return START if position == 0 else END if position == graph.end else str(position)

    nodes = [f"{i}: {text}" for i, text in enumerate(graph.inner, 1)]
    edges = " ".join(f"({label(a)},{label(b)})" for a, b in graph.edges)
    return "\n".join(["Node:", *nodes, f"Edge: {edges}"])


def close_graph(texts: list[str], dependencies: set[Edge]) -> WorkflowGraph:
    """A graph of steps and the dependencies between them (numbered from 1), with START and END tied to the rest.

    >>> close_graph(["mix", "bake"], {(1, 2)}).edges
    ((0, 1), (1, 2), (2, 3))
    """
    count = len(texts)
    sources = {i for i in range(1, count + 1)} - {b for _, b in dependencies}
    sinks = {i for i in range(1, count + 1)} - {a for a, _ in dependencies}
    edges = {*dependencies, *((0, i) for i in sources), *((i, count + 1) for i in sinks)}
    return WorkflowGraph((START, *texts, END), tuple(sorted(edges)))


def _position(label: str, end: int) -> int:
    if label == START:
        return 0
    if label == END:
        return end
    return int(label) if len(label) < 10 else _FAR
