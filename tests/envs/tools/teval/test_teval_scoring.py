"""How T-Eval answers are read and scored: what the official evaluators do, and what ours does beside it."""

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acenv.envs.base import UnscorableError
from acenv.envs.encoders import load_encoder
from acenv.envs.tools.teval.parsing import (
    ENDS,
    clean_answer,
    format_load,
    match_template,
    template_problem,
)
from acenv.envs.tools.teval.scoring import (
    args_scores,
    call_scores,
    instruct_corrected,
    instruct_scores,
    plan_scores,
    read_plan,
    read_plan_lines,
    review_scores,
    text_scores,
)

HASH = load_encoder("hash")


def template(*texts):
    return dict(zip(ENDS, texts, strict=True))


LINES = template("goal: ", "\n", "name: ", "\n", "args: ", "")


def test_what_is_cut_off_an_answer():
    assert clean_answer("  A <eoa> B") == "A"
    assert clean_answer("plan\nuser: and then") == "plan"
    assert clean_answer("```json\n[1]\n```") == "[1]"
    assert clean_answer("say user") == "say user"


@pytest.mark.parametrize(
    ("raw", "value"),
    [("{'a': (1, 2)}", {"a": (1, 2)}), ('{"a": true}', {"a": True}), ("{'a': null}", {"a": None}), ("7", 7)],
)
def test_literals_and_json_are_both_read(raw, value):
    assert format_load(raw) == value


def test_without_the_start_character_only_the_last_character_is_left():
    assert format_load("answer 7", "{", "") == 7
    with pytest.raises(ValueError, match="neither"):
        format_load("answer 7", "{", "}")


@pytest.mark.parametrize("text", ["(" * 19_999, "-" * 19_999 + "1", "1+" * 9_999 + "1", '{"a":' * 4000, "9" * 19_999])
@pytest.mark.usefixtures("no_collections")
def test_hostile_texts_are_refused_quickly(text):
    start = time.thread_time()
    with pytest.raises(ValueError, match="neither"):
        format_load(text)
    assert time.thread_time() - start < 0.5  # some 20 ms; the rest is for a busy machine


@settings(max_examples=100, deadline=None)
@given(st.text("ab;\n", max_size=20), st.lists(st.text("a;\n", max_size=2), min_size=6, max_size=6))
@example("a;b;a;", ["a", ";", "", ";", "", ""])
def test_plain_templates_match_as_the_regular_expression_does(text, texts):
    shape = template(*texts)
    start, *middle, end = (re.escape(t) for t in texts)
    pattern = f"{start}(.*){middle[0]}{middle[1]}(.*){middle[2]}{middle[3]}(.*){end}"
    found = re.search(pattern, text, re.S)
    expected = dict(zip(("thought", "action", "args"), found.groups(), strict=True)) if found else None
    assert match_template(shape, text) == expected


def test_a_template_is_a_regular_expression():
    shape = template("T.ought: ", "\n", "[AB]ction: ", "\n", "args: ", "")
    assert not template_problem(shape)
    assert match_template(shape, "Thought: x\nBction: y\nargs: z") == {"thought": "x", "action": "y", "args": "z"}
    with pytest.raises(UnscorableError, match="too long"):
        match_template(shape, "Thought: x\nAction: " * 500)


@pytest.mark.parametrize(
    ("text", "reason"), [("**", "repeats"), ("{", "braces"), ("(", "no regular expression"), ("[", "no regular")]
)
def test_templates_that_the_official_evaluator_cannot_use(text, reason):
    assert reason in template_problem({**LINES, "args_start": text})


GOLD_CALL = {"action": "home.switch", "args": {"device": "lamp", "state": ""}}


def test_instruct_forgives_a_missing_empty_argument_and_wants_the_type():
    scores = instruct_scores("goal: g\nname: home.switch\nargs: {'device': 'lamp'}", GOLD_CALL, LINES)
    assert scores == {"string_format_metric": 1.0, "string_args_em_metric": 1.0}
    keys = {"thought": "goal", "action": "name", "args": "args"}
    answer = '{"goal": 1, "name": "home.switch", "args": {"device": 7, "state": ""}}'
    assert instruct_scores(answer, GOLD_CALL, keys)["json_args_em_metric"] == pytest.approx(2 / 3)
    assert instruct_scores('{"name": "home.switch"}', GOLD_CALL, keys)["json_format_metric"] == 0.0


def test_a_template_with_a_line_end_at_the_end_matches_nothing_officially():
    shape, answer = {**LINES, "args_end": "\n"}, "goal: g\nname: home.switch\nargs: {'device': 'lamp'}"
    assert sum(instruct_scores(answer, GOLD_CALL, shape).values()) == 0.0
    assert instruct_corrected(answer, GOLD_CALL, shape) == 1.0


def plan(*names, args="{'x': 'red lamp'}"):
    return [{"name": name, "id": i, "args": args} for i, name in enumerate(names)]


def test_one_step_counts_officially_though_nothing_matches():
    scores = plan_scores(plan("cook.dinner"), plan("home.switch", "bank.pay", "FinishAction"), HASH)
    assert scores["f1_score"] == pytest.approx(2 / 3)
    assert scores["f1_score_corrected"] == 0.0


def test_equal_steps_of_a_perfect_plan_may_cost_points_officially():
    steps = plan("a.get", "a.get", "b.set", "a.get")
    scores = plan_scores(steps, steps, HASH)
    assert scores["f1_score"] <= scores["f1_score_corrected"] == 1.0


def test_steps_are_sorted_by_their_number_and_a_broken_step_voids_the_plan():
    steps = plan("a.get", "b.set")
    assert plan_scores(steps[::-1], steps, HASH)["f1_score"] == 1.0
    assert read_plan([*steps, {"name": "c"}]) == []
    assert plan_scores([], steps, HASH)["parse_rate"] == 0.0


def test_a_plan_of_the_final_step_alone_is_unscored():
    with pytest.raises(UnscorableError, match="FinishAction"):
        plan_scores(plan("FinishAction"), plan("a.get"), HASH)


def test_a_plan_in_words_takes_the_first_tool_of_each_sentence():
    steps = read_plan_lines("1: first b.set, then a.get\nnothing here\nUse a.get. Then b.set", ("a.get", "b.set"))
    assert [s["name"] for s in steps] == ["b.set", "a.get", "b.set"]


@pytest.mark.usefixtures("no_collections")
def test_a_plan_of_a_thousand_steps_is_scored_quickly():
    steps = plan("a.get", "b.set", "c.put")
    start = time.thread_time()
    scores = plan_scores(steps * 350, steps, HASH)
    assert time.thread_time() - start < 0.5
    assert scores["precision"] < 0.01 and scores["recall"] > 0.3


def test_all_of_one_argument_is_a_little_less_than_one_officially():
    scores = args_scores({"x": 5, "more": 1}, {"x": "5"})
    assert scores["args"] == pytest.approx(1 / 1.00001, abs=1e-12)
    assert scores["args_corrected"] == 1.0
    assert args_scores({}, {})["args"] == 1.0
    assert args_scores({"x": 1}, {})["args_corrected"] == 0.0


def test_an_argument_that_cannot_be_written_is_unscored():
    call = '{"thought": "t", "name": "n", "args": {"x": 0x' + "f" * 9000 + "}}"
    with pytest.raises(UnscorableError, match="text"):
        call_scores(call, {"thought": "t", "name": "n", "args": {"x": 1}}, HASH)


@pytest.mark.parametrize(
    ("answer", "official", "corrected"),
    [
        ("bank.pay", 1, 1),
        ("Use bank.pay, e.g. now", 0, 1),
        ("bank.pay in version 2.0", 0, 1),
        ("bank.pay or bank.take", 0, 0),
        ("bank.pay, then FinishAction", 0, 0),
        ("bank_archive.pay", 0, 0),
    ],
)
def test_naming_a_tool_in_words(answer, official, corrected):
    scores = text_scores("retrieve", answer, {"thought": "", "name": "bank.pay", "args": {}}, HASH)
    assert (scores["name"], scores["name_corrected"]) == (official, corrected)


@pytest.mark.parametrize(
    ("answer", "official", "corrected"),
    [
        ("B", 1, 1),
        ("Answer: B", 1, 1),
        ("B: it failed", 0, 1),
        ("Choice B: it failed", 0, 1),
        ("The answer is B.", 0, 1),
        ("Answer: C", 0, 0),
        ("", 0, 0),
        ("Because", 1, 0),
    ],
)
def test_letters(answer, official, corrected):
    scores = review_scores(answer, "B")
    assert (scores["review_quality"], scores["review_quality_corrected"]) == (official, corrected)


def test_review_in_json():
    assert review_scores('{"is_finished": false}', {"review": False}) == {"parse_rate": 1.0, "review_quality": 1.0}
    assert review_scores('{"is_finished": "no"}', {"review": False})["parse_rate"] == 0.0
    assert review_scores("[1]", {"review": False})["parse_rate"] == 0.0
