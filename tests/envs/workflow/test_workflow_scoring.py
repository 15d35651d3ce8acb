from itertools import islice, permutations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.base import UnscorableError
from acenv.envs.encoders import HashEncoder, load_encoder
from acenv.envs.matching import match_nodes
from acenv.envs.workflow.evaluation import evaluate_text, evaluate_workflow, restore_end
from acenv.envs.workflow.graph import END, START, WorkflowGraph, close_graph, parse_graph
from acenv.envs.workflow.scoring import looked_at, match, node_scores, topological_orders

ENCODER = HashEncoder()
TEXTS = ["buy flour", "mix dough", "heat oven", "bake bread", "call grandma", "set table"]
CHAIN = close_graph(TEXTS[:3], {(1, 2), (2, 3)})


@st.composite
def dags(draw: st.DrawFn, size: int = 5) -> WorkflowGraph:
    count = draw(st.integers(1, size))
    pairs = [(a, b) for a in range(1, count + 1) for b in range(a + 1, count + 1)]
    return close_graph(TEXTS[:count], set(draw(st.lists(st.sampled_from(pairs)) if pairs else st.just([]))))


@settings(deadline=None)
@given(dags(), st.randoms())
def test_topological_orders_are_those_of_networkx_in_its_order(graph, random):
    edges = list(graph.edges)
    random.shuffle(edges)
    graph = WorkflowGraph(graph.nodes, tuple(edges))
    digraph = nx.DiGraph()
    digraph.add_nodes_from(range(len(graph.nodes)))
    digraph.add_edges_from(edges)
    expected = [[graph.nodes[i] for i in order] for order in islice(nx.all_topological_sorts(digraph), 20)]
    assert [list(o) for o in topological_orders(graph)] == [[t for t in o if t not in (START, END)] for o in expected]


def test_ten_nodes_are_not_sorted_and_keep_start_and_end():
    graph = close_graph([f"step {i}" for i in range(8)], set())
    assert topological_orders(graph) == (graph.nodes,)


def test_a_gold_cycle_cannot_be_scored():
    with pytest.raises(UnscorableError, match="cycle"):
        topological_orders(WorkflowGraph((START, "a", "b", END), ((0, 1), (1, 2), (2, 1), (2, 3))))


def test_an_answer_without_nodes_is_unscored():
    answer = parse_graph("Node:\n1) buy flour\nEdge: (START,1) (1,END)")
    with pytest.raises(UnscorableError, match="no numbered node"):
        node_scores(answer, CHAIN, ENCODER)
    evaluation = evaluate_workflow(answer, CHAIN, ENCODER)
    assert evaluation.unscored == "the answer has edges but no numbered node"
    assert evaluation.score == 0.0
    assert {name for name in evaluation.metrics() if name.startswith("node")} == {"node_f1_corrected"}
    assert evaluation.metrics()["unscored"] == 1.0


def test_the_official_faults_and_the_corrected_scores_beside_them():
    unrelated = close_graph(["polish shoes", "walk dog"], {(1, 2)})
    evaluation = evaluate_workflow(unrelated, CHAIN, ENCODER)
    assert evaluation.node.f1 == pytest.approx(0.4)
    assert evaluation.graph.f1 > 0.2
    assert evaluation.node_corrected.f1 == evaluation.graph_corrected.f1 == 0.0

    parallel = close_graph(TEXTS, set())
    evaluation = evaluate_workflow(parallel, parallel, ENCODER)
    assert evaluation.node.f1 == pytest.approx(0.5)
    assert evaluation.node_corrected.f1 == evaluation.graph_corrected.f1 == 1.0

    fork = close_graph(TEXTS[:3], {(1, 2), (1, 3)})
    renumbered = close_graph([TEXTS[2], TEXTS[0], TEXTS[1]], {(2, 3), (2, 1)})
    evaluation = evaluate_workflow(renumbered, fork, ENCODER)
    assert evaluation.graph.f1 < 1.0
    assert evaluation.graph_corrected.f1 == 1.0
    assert evaluation.node_corrected.f1 == pytest.approx(2 / 3)

    swapped = close_graph([TEXTS[1], TEXTS[0], TEXTS[2]], {(1, 2), (2, 3)})
    evaluation = evaluate_workflow(swapped, CHAIN, ENCODER)
    assert evaluation.graph.f1 == 1.0
    assert evaluation.graph_corrected.f1 < 0.5


def test_repeated_steps_are_matched_in_their_order():
    gold = close_graph(["open door", "take cup", "open door", "close door"], {(1, 2), (2, 3), (3, 4)})
    evaluation = evaluate_workflow(gold, gold, ENCODER)
    assert evaluation.node_corrected.f1 == evaluation.graph_corrected.f1 == 1.0


def test_superfluous_edges_cost_corrected_precision():
    everything = WorkflowGraph(CHAIN.nodes, (*CHAIN.edges, (1, 3), (0, 2), (0, 3), (1, 4)))
    evaluation = evaluate_workflow(everything, CHAIN, ENCODER)
    assert evaluation.graph.f1 == 1.0
    assert evaluation.graph_corrected.precision == 0.5


@settings(deadline=None)
@given(dags(), st.permutations(range(5)))
def test_corrected_node_score_is_the_best_over_all_orders(gold, shuffle):
    order = [i for i in shuffle if i < len(gold.inner)]
    answer = close_graph([gold.inner[i] for i in order], set())
    digraph = nx.DiGraph(gold.edges)
    best = 0
    for possible in nx.all_topological_sorts(digraph):
        place = {node: k for k, node in enumerate(possible)}
        run = [place[i + 1] for i in order]
        lengths: list[int] = []
        for k, value in enumerate(run):
            lengths.append(1 + max((lengths[m] for m in range(k) if run[m] < value), default=0))
        best = max(best, *lengths)
    evaluation = evaluate_workflow(answer, gold, ENCODER)
    assert evaluation.node_corrected.recall == pytest.approx(best / len(order))


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.1, 0.6, 0.7, 0.9]), min_size=3, max_size=3), min_size=1, max_size=3))
def test_matching_has_the_largest_sum(rows):
    cosines = np.array(rows, dtype=np.float32)
    matching = {i: j for i, j in match_nodes(cosines).items() if j != -1}
    assert len(set(matching.values())) == len(matching)
    strong = np.where(cosines > np.float32(0.6), cosines, 0.0)
    best = max(sum(strong[i, p[i]] for i in range(len(rows))) for p in permutations(range(3), len(rows)))
    assert sum(strong[i, j] for i, j in matching.items()) == pytest.approx(best)


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([0.1, 0.6, 0.7, 0.70001, 0.9, 1.0]), min_size=4, max_size=4), min_size=1, max_size=6
    )
)
def test_matching_in_less_time_finds_what_networkx_finds(rows):
    cosines = np.array(rows, dtype=np.float32)
    assert match(cosines) == match_nodes(cosines)


def test_long_answers_are_looked_at_in_part():
    parallel = close_graph(TEXTS, set())
    assert looked_at(TEXTS * 2, parallel, ENCODER) == list(range(12))
    assert looked_at(["nothing like it"] * 500, parallel, ENCODER) == []
    assert looked_at(["nothing like it"] * 500 + TEXTS, parallel, ENCODER) == list(range(500, 506))
    everywhere = looked_at([f"{text} today" for text in TEXTS] * 90, parallel, ENCODER)
    assert len(parallel.nodes) + 8 <= len(everywhere) <= 100
    assert everywhere == list(range(len(everywhere)))


def test_all_nodes_of_a_long_answer_count_in_the_precision():
    answer = close_graph(TEXTS[:3] * 200, set())
    evaluation = evaluate_workflow(answer, CHAIN, ENCODER)
    assert evaluation.node is not None
    for scores in (evaluation.node, evaluation.node_corrected):
        assert 0.0 < 600 * scores.precision == pytest.approx(3 * scores.recall)


def test_an_answer_cut_at_end_is_restored():
    whole = "Node:\n1: buy flour\n2: mix dough\n3: heat oven\nEdge: (START,1) (START,3) (1,2) (2,END) (3,END)"
    cut = whole.split("END")[0]
    assert restore_end(cut) == whole
    assert restore_end(whole) == whole
    assert restore_end(f"{whole} ...") == f"{whole} ..."
    gold = parse_graph(whole)
    assert gold is not None
    evaluation = evaluate_text(cut, gold, ENCODER)
    assert evaluation.graph.f1 < evaluation.graph_corrected.f1 == 1.0
    assert evaluate_text(whole, gold, ENCODER, stop_at_end=True) == evaluation
    assert evaluate_text(whole, gold, ENCODER).graph.f1 == 1.0


@pytest.mark.parametrize(
    "text", ["", "(", "(3,", "Node (0001,", "(" * 20_000, "(1," * 6_000, "Node 1: a (" + "1" * 19_000 + ","]
)
def test_restoring_accepts_any_text(text):
    assert restore_end(text).startswith(text)


def test_every_text_is_encoded_once():
    encoder = HashEncoder()
    for _ in range(3):
        evaluate_workflow(CHAIN, CHAIN, encoder)
    assert encoder._text.cache_info().misses == len(set(CHAIN.nodes))


def test_hash_vectors():
    vectors = ENCODER.encode(["Buy flour", "buy FLOUR!", "", "sell flour"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, 512)
    assert np.array_equal(vectors[0], vectors[1])
    assert not vectors[2].any()
    assert np.linalg.norm(vectors[3]) == pytest.approx(1.0)
    assert ENCODER.encode([]).shape == (0, 512)
    assert ENCODER.encode(["\ud800 lone surrogate"]).shape == (1, 512)


def test_vectors_of_any_length_can_be_compared():
    class Long:
        name = "long"

        def encode(self, texts):
            return 7 * ENCODER.encode(texts)

    assert evaluate_workflow(CHAIN, CHAIN, Long()).score == 1.0


def test_encoders_are_loaded_by_name(tmp_path):
    assert load_encoder("hash") is load_encoder("hash")
    with pytest.raises(ValueError, match="there is no folder .*no-such-model"):
        load_encoder(str(tmp_path / "no-such-model"))
    with pytest.raises(ValueError, match="at least 1"):
        HashEncoder(0)
