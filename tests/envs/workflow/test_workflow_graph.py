import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.workflow.graph import WorkflowGraph, close_graph, parse_graph, render_graph

words = st.text("abc _-", min_size=1, max_size=12).map(str.strip).filter(bool)


@st.composite
def workflows(draw: st.DrawFn) -> WorkflowGraph:
    texts = draw(st.lists(words, min_size=1, max_size=7))
    pairs = [(a, b) for a in range(1, len(texts) + 1) for b in range(a + 1, len(texts) + 1)]
    return close_graph(texts, set(draw(st.lists(st.sampled_from(pairs)) if pairs else st.just([]))))


@settings(deadline=None)
@given(workflows())
def test_a_rendered_workflow_is_read_back(graph):
    assert parse_graph(render_graph(graph)) == graph


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("Node:\n1: a\n2. b\nEdge: (START,1)", ("a", "b")),
        ("Node:\n1) a\n2.b\n3:c\nEdge: (START,1)", ()),
        ("Node: in 2020: x 3: y\nEdge: (START,1)", ("x 3: y",)),
        ("Node:\n9:  spaced  \nEdge: (START , 1)", ("spaced",)),
    ],
)
def test_nodes_are_numbered_lines(text, inner):
    graph = parse_graph(text)
    assert graph is not None
    assert graph.inner == inner


@pytest.mark.parametrize("text", ["", "1: a\n(START,1) (1,END)", "Node:\n1: a", "Node:\n1: a\nEdge: (start,1) (END,1)"])
def test_what_the_official_parser_gives_up_on(text):
    assert parse_graph(text) is None


def test_edges_keep_order_and_duplicates_and_may_lead_nowhere():
    graph = parse_graph(f"Node:\n1: a\nEdge: (1,END) (START,1) (START,1) (1,7) (1,{'9' * 5000})")
    assert graph is not None
    assert graph.edges == ((1, 2), (0, 1), (0, 1), (1, 7), (1, 10**9))


@pytest.mark.parametrize("text", ["1" * 20_000, "( " * 10_000, "(1," * 6_000, "(START,\n" * 2_000, "1: " * 6_000])
def test_parsing_takes_linear_time(text):
    started = time.process_time()
    parse_graph("Node" + text)
    assert time.process_time() - started < 0.5


def test_closing_ties_every_loose_end_to_start_and_end():
    assert close_graph(["a", "b", "c"], {(1, 3)}).edges == ((0, 1), (0, 2), (1, 3), (2, 4), (3, 4))
