"""The rules, on transcripts that were made up for each kind of failure."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

import acenv
from acenv.analysis.failures import DEFINITIONS, FAILURES, RECOVERABLE, Failure, find_failures, primary_failure
from acenv.analysis.failures.families import FAMILIES, family_of
from acenv.types import Fault, Step, Transcript
from tests.analysis.failures.made_up import episode, tool, transcript

SANDBOX, PDDL, NEEDLE, GRAPH = "acenv/ToolSandbox-v0", "acenv/PDDL-v0", "acenv/Needle-v0", "acenv/WorkflowEmbodied-v0"
CALL = '{"name": "get_contact", "arguments": {"name": "Ana"}}'
CONTACTS = [tool("get_contact", "name"), tool("finish")]


def kinds(*steps: Step, env_id: str = SANDBOX, told: list[str] | None = None, **how: object) -> list[tuple[str, int]]:
    said = transcript(env_id, steps, told, CONTACTS if env_id == SANDBOX else ())
    return [(f.kind, f.step) for f in find_failures(episode(said, **how), said)]  # type: ignore[arg-type]


def test_every_environment_has_a_family_and_every_fault_a_definition() -> None:
    for env_id in acenv.env_ids():
        assert env_id.removeprefix("acenv/").rsplit("-v", 1)[0] in FAMILIES, env_id
    assert set(get_args(Fault)) <= set(FAILURES) and set(FAILURES) >= RECOVERABLE
    assert all(text.endswith(".") for text in DEFINITIONS.values())
    assert {family.wrong_end for family in FAMILIES.values()} <= set(FAILURES)


@pytest.mark.parametrize("fault", get_args(Fault))
def test_what_the_environment_found_is_named(fault: str) -> None:
    assert kinds(Step("a", 0.0), Step("b", 0.0, fault=fault)) == [(fault, 1)]


def test_a_fault_that_no_version_knows_explains_nothing() -> None:
    assert kinds(Step("a", 0.0, fault="bad luck")) == [("wrong answer", 0)]


def test_what_the_machinery_failed_at_is_nobody_s_fault() -> None:
    said = transcript(SANDBOX, [Step("hello", 0.0, fault="unparsable")])
    assert find_failures(episode(said, error="policy: timed\nout"), said) == (
        Failure("infrastructure", 1, "policy: timed out"),
    )


def test_a_conversation_that_no_longer_fits_ends_it() -> None:
    steps = (Step(CALL, 0.5), Step("", 0.0, "context"))
    assert kinds(*steps, truncated=True) == [("context overflow", 1)]


def test_a_message_that_was_cut_to_no_avail() -> None:
    cut = Step('{"name": "get_cont', 0.0, "length", fault="unparsable")
    assert kinds(cut, truncated=True) == [("cut off by length", 0)]
    assert kinds(Step("too long", 0.0, fault="cut off by length"), truncated=True) == [("cut off by length", 0)]
    # What was cut, and was worth something all the same, is a failure where the episode ended with it, and was lost.
    assert kinds(Step("an answer that goes on", 0.4, "length"), env_id=NEEDLE) == [("cut off by length", 0)]
    assert kinds(Step("an answer that goes on", 1.0, "length"), env_id=NEEDLE, success=True) == []


@pytest.mark.parametrize(
    "words", ["item " * 40, "namename" * 20, '{"name": "x", "' + "day: day: " * 30, "Action: go " + "wide " * 14]
)
def test_a_message_of_the_same_few_words_ran_away(words: str) -> None:
    assert kinds(Step(words, 0.0, "length", fault="unparsable"), truncated=True) == [("runaway text", 0)]
    # Without having been cut, it is only what the environment says it is.
    assert kinds(Step(words, 0.0, fault="unparsable"), truncated=True) == [("unparsable", 0)]


def test_prose_and_lists_that_were_cut_did_not_run_away() -> None:
    prose = "First I look up the phone number of Ana, and then I write to her brother that the meeting on Monday "
    edges = "Node:\n1: a\n2: b\n3: c\nEdge: (START,1) (1,2) (2,3) (3,4) (4,5) (5,6) (6,7) (7,8) (8,9) (9,10) (10,11)"
    for text in (prose, edges):
        assert kinds(Step(text, 0.0, "length", fault="unparsable"), truncated=True) == [("cut off by length", 0)]


def test_the_same_action_three_times_in_a_row() -> None:
    steps = [Step("go north", 0.0), Step("go  north", 0.0), Step("go north", 0.0)]
    said = ["a wall", "a wall", "a wall"]
    assert kinds(*steps, env_id=PDDL, told=said, truncated=True) == [("repeated action", 2), ("out of steps", 2)]
    assert kinds(*steps[:2], env_id=PDDL, told=said[:2], truncated=True) == [("out of steps", 1)]
    # It was answered in other words, so something changed.
    assert kinds(*steps, env_id=PDDL, told=["a wall", "a door", "a wall"], truncated=True) == [("out of steps", 2)]
    # It brought the agent on.
    steps[1] = Step("go north", 0.1)
    assert kinds(*steps, env_id=PDDL, told=said, truncated=True) == [("out of steps", 2)]


def test_a_cycle_of_actions_is_told_once_for_as_long_as_it_goes_on() -> None:
    steps = [Step(action, 0.0) for action in ("open door", "close door") * 5]
    said = ["It is open.", "It is closed."] * 5
    found = kinds(*steps, env_id=PDDL, told=said, truncated=True)
    assert found == [("repeated action", 5), ("out of steps", 9)]
    five = [Step(action, 0.0) for action in "abcde" * 3]
    assert kinds(*five, env_id=PDDL, told=list("vwxyz" * 3), truncated=True) == [("out of steps", 14)]


def test_an_expert_who_repeats_himself_in_a_prompt_does_not_count() -> None:
    own = [Step("go north", 0.0), Step("go south", 0.0)]
    said = transcript(PDDL, own)
    shown = [{"role": "assistant", "content": "go east"}, {"role": "user", "content": "a wall"}] * 5
    said = replace(said, messages=[said.messages[0], *shown, *said.messages[1:]])
    assert [f.kind for f in find_failures(episode(said, truncated=True), said)] == ["out of steps"]


def test_how_a_lost_episode_ended_where_no_action_was_at_fault() -> None:
    done = Step(CALL, 0.5)
    assert kinds(done, truncated=True) == [("out of steps", 0)]
    assert kinds(done, Step('{"name": "finish", "arguments": {}}', 0.0)) == [("wrong answer", 1)]
    assert kinds(done, Step('{"name": "finish", "arguments": {}}', 0.0), call_recall=0.5) == [("gave up early", 1)]
    assert kinds(Step("go north", 0.0), env_id=PDDL) == [("dead end", 0)]
    assert kinds(Step("1: x", 0.1), env_id=GRAPH) == [("wrong graph", 0)]
    assert kinds(Step("1: x", 0.1), env_id=GRAPH, truncated=True) == [("wrong graph", 0)]
    assert kinds(Step("click[buy now]", 0.1), env_id="acenv/Shop-v0") == [("wrong answer", 0)]
    assert kinds(Step("42", 0.0), env_id="mine/Riddle-v0") == [("wrong answer", 0)]


def test_an_episode_of_which_nothing_is_known_is_unexplained() -> None:
    assert kinds() == [("unexplained", 0)]
    recovered = Step("hello", 0.0, fault="unparsable"), Step(CALL, 0.5)
    said = replace(transcript(SANDBOX, recovered), messages=[])
    record = replace(episode(said), terminated=False)
    assert [f.kind for f in find_failures(record, said)] == ["unparsable", "unexplained"]


def test_a_solved_episode_shows_what_was_made_good() -> None:
    assert kinds(Step("hello", 0.0, fault="unparsable"), Step(CALL, 1.0), success=True) == [("unparsable", 0)]
    assert kinds(Step(CALL, 1.0), success=True) == []


class TestRunsWithoutFaults:
    """Those that were recorded before environments told them: the texts are read again."""

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            ("hello", "unparsable"),
            ('{"name": "get_contact", "arguments": {"nick": "A"}}', "schema violation"),
            ('{"name": "get_contact", "arguments": {}}', "schema violation"),
            ('{"name": "fly", "arguments": {}}', "hallucinated tool"),
            (CALL, "out of steps"),
        ],
    )
    def test_of_calls(self, action: str, kind: str) -> None:
        assert kinds(Step(action, 0.0), truncated=True) == [(kind, 0)]

    @pytest.mark.parametrize(
        ("env_id", "action", "kind"),
        [
            ("acenv/ToolQuery-v0", "hello", "unparsable"),
            ("acenv/ToolQuery-v0", 'Action: fly with Action Input: {"a": 1}', "hallucinated tool"),
            ("acenv/BFCL-v0", "There is nothing to do.", "wrong argument"),
            (PDDL, "\n \n", "unparsable"),
            (NEEDLE, "", "unparsable"),
            (GRAPH, "I cannot.", "unparsable"),
            (GRAPH, "1: mix", "wrong graph"),
        ],
    )
    def test_of_other_families(self, env_id: str, action: str, kind: str) -> None:
        assert kinds(Step(action, 0.0), env_id=env_id) == [(kind, 0)]

    def test_one_fault_is_enough_to_trust_the_record(self) -> None:
        steps = Step("hello", 0.0), Step("fly", 0.0, fault="hallucinated tool")
        assert kinds(*steps, truncated=True) == [("hallucinated tool", 1)]


class TestPrecedence:
    def primary(self, *steps: Step, **how: object) -> str:
        said = transcript(SANDBOX, steps, tools=CONTACTS)
        found = primary_failure(find_failures(episode(said, **how), said), said)  # type: ignore[arg-type]
        return found.kind if found else ""

    @pytest.mark.parametrize(("better", "worse"), [*zip(get_args(Fault), get_args(Fault)[1:], strict=False)])
    def test_what_comes_first_in_the_list_explains_best(self, better: str, worse: str) -> None:
        better, worse = sorted((better, worse), key=FAILURES.index)
        for pair in ((better, worse), (worse, better)):
            assert self.primary(*(Step("x y", 0.0, fault=fault) for fault in pair), truncated=True) == better

    def test_what_was_made_good_explains_nothing(self) -> None:
        end = Step("finish", 0.0, fault="wrong answer")
        assert self.primary(Step("x", 0.0, fault="unparsable"), end) == "unparsable"
        assert self.primary(Step("x", 0.0, fault="unparsable"), Step(CALL, 0.5), end) == "wrong answer"
        assert self.primary(Step("x", 0.0, fault="wrong argument"), Step(CALL, 0.5), end) == "wrong answer"

    def test_what_cost_return_or_cannot_be_undone_stays(self) -> None:
        end = Step("finish", 0.0, fault="wrong answer")
        assert self.primary(Step("x", -0.1, fault="wrong tool"), Step(CALL, 0.5), end) == "wrong tool"
        assert self.primary(Step("x", 0.0, fault="dead end"), Step(CALL, 0.5), end) == "dead end"

    def test_a_few_slips_do_not_explain_that_the_steps_ran_out(self) -> None:
        fine = [Step(f"go {i}", 0.0) for i in range(3)]
        slip = Step("fly", 0.0, fault="invalid in this world")
        assert self.primary(slip, *fine, truncated=True) == "out of steps"
        assert self.primary(slip, slip, fine[0], fine[1], truncated=True) == "invalid in this world"
        assert self.primary(slip, *fine[:2], Step(CALL, 0.5), fine[2], truncated=True) == "out of steps"
        assert self.primary(*fine, slip, truncated=True) == "invalid in this world"

    def test_of_one_kind_the_earliest(self) -> None:
        said = transcript(SANDBOX, [Step("a", 0.0, fault="unparsable"), Step("b", 0.0, fault="unparsable")])
        assert primary_failure(find_failures(episode(said, truncated=True), said), said) == Failure(
            "unparsable", 0, "a"
        )
        assert primary_failure((), said) is None

    def test_a_solved_episode_may_have_one_too(self) -> None:
        assert self.primary(Step("x", 0.0, fault="unparsable"), Step(CALL, 1.0), success=True) == "unparsable"
        assert self.primary(Step(CALL, 1.0), success=True) == ""


class TestAnotherAgentWhoSolvedIt:
    def departure(self, env_id: str, ours: list[str], theirs: list[str], solved: bool = True) -> list[Failure]:
        said = transcript(env_id, [Step(action, 0.0) for action in ours], tools=CONTACTS)
        other = transcript(env_id, [Step(a, float(solved and i == len(theirs) - 1)) for i, a in enumerate(theirs)])
        found = find_failures(episode(said, truncated=True), said, other)
        return [f for f in found if f.kind in ("wrong tool", "wrong argument")]

    def test_shows_which_call_was_another(self) -> None:
        bo = CALL.replace("Ana", "Bo")
        assert self.departure(SANDBOX, [CALL, bo, CALL], [CALL, CALL]) == [
            Failure("wrong argument", 1, f"{bo} instead of {CALL}")
        ]
        end = '{"name": "finish", "arguments": {}}'
        assert [f.kind for f in self.departure(SANDBOX, [end], [CALL, end])] == ["wrong tool"]
        # The same call in other words is the same call.
        assert self.departure(SANDBOX, [f"So: {CALL}"], [CALL]) == []

    def test_shows_which_command_was_another(self) -> None:
        assert [f.kind for f in self.departure(PDDL, ["Pick a."], ["pick b"])] == ["wrong argument"]
        assert [f.kind for f in self.departure(PDDL, ["pick a"], ["drop a"])] == ["wrong tool"]
        assert self.departure(PDDL, ["Pick a."], ["pick a"]) == []

    def test_says_nothing_of_answers_or_where_it_failed_itself(self) -> None:
        assert self.departure(NEEDLE, ["42"], ["43"]) == []
        assert self.departure(PDDL, ["pick a"], ["drop a"], solved=False) == []

    def test_adds_nothing_to_a_step_that_is_named_already(self) -> None:
        slip = Step("click[18 wooden 66", 0.0, fault="invalid in this world")
        said = transcript(PDDL, [slip, Step("click[buy now]", 0.5)])
        other = transcript(PDDL, [Step("search[x]", 0.0), Step("click[buy now]", 1.0)])
        assert [f.kind for f in find_failures(episode(said), said, other)] == ["invalid in this world", "dead end"]

    def test_is_not_asked_where_a_fault_is_known(self) -> None:
        said = transcript(PDDL, [Step("fly", 0.0, fault="hallucinated tool")])
        other = transcript(PDDL, [Step("pick a", 1.0)])
        assert [f.kind for f in find_failures(episode(said, truncated=True), said, other)] == ["hallucinated tool"]


def test_a_detail_is_one_short_line() -> None:
    said = transcript(PDDL, [Step("take\nthe " + "very " * 100 + "big one", 0.0, fault="unparsable")])
    (found,) = find_failures(episode(said, truncated=True), said)
    assert "\n" not in found.detail and len(found.detail) <= 121 and found.detail.endswith("…")


def test_environments_of_other_packages_are_ones_of_answers() -> None:
    assert family_of("PDDL").name == "commands"
    assert family_of("").name == family_of("someone/Else-v12").name == "answers"
    nothing = Transcript("", 0, (), (), ())
    assert find_failures(episode(nothing), nothing) == (Failure("unexplained", 0),)
