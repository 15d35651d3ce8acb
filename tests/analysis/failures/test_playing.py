"""Failures of real episodes, in which scripted agents go wrong in a way that is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import acenv
from acenv.analysis.failures import EpisodeFailures, find_failures, list_failures
from acenv.envs.base import MAX_ACTION_CHARS
from acenv.registry import SIMULATORS
from acenv.types import Decision, FinishReason, Request

Move = str | Callable[[str], str] | Decision
"""What to say: a text, what to make of the expert's action, or a whole decision."""

ENV_IDS = [env_id for env_id in acenv.env_ids() if env_id not in SIMULATORS]


def expert(action: str) -> str:
    return action


def call(name: str, /, **arguments: Any) -> str:
    return json.dumps({"name": name, "arguments": arguments})


def action(name: str, /, **arguments: Any) -> str:
    return f"Action: {name} with Action Input: {json.dumps(arguments)}"


def changed(old: str, new: str) -> Callable[[str], str]:
    """The expert's action, with something in it put wrong."""

    def change(text: str) -> str:
        assert old in text, text
        return text.replace(old, new)

    return change


class Scripted:
    """Says what it is told to; after the last move, it says that again."""

    name, capacity = "scripted", 1

    def __init__(self, moves: Sequence[Move]) -> None:
        self.moves = moves

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        return [self.decide(request) for request in batch]

    def decide(self, request: Request) -> Decision:
        move = self.moves[min(request.step, len(self.moves) - 1)]
        if callable(move):
            assert request.expert is not None
            move = move(request.expert())
        return move if isinstance(move, Decision) else Decision(move)


def play(env_id: str, *moves: Move, seed: int = 0, **keywords: Any) -> EpisodeFailures:
    results = acenv.evaluate(f"acenv/{env_id}-v0", Scripted(moves), [seed], env_kwargs=keywords)
    (found,) = list_failures(results)
    return found


def named(found: EpisodeFailures) -> list[tuple[str, int]]:
    return [(failure.kind, failure.step) for failure in found.failures]


def primary(found: EpisodeFailures) -> str:
    return "" if found.primary is None else found.primary.kind


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_what_experts_do_is_no_failure(env_id: str, difficulty: str) -> None:
    results = acenv.evaluate(env_id, "oracle", range(4), env_kwargs={"difficulty": difficulty})
    assert not any(found.failures or found.lost for found in list_failures(results))


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.parametrize(
    "nonsense", ["", "lorem ipsum dolor sit amet consectetur adipiscing elit", "{{{[[[", "\x00é😀"]
)
def test_nonsense_is_named_at_its_first_step(env_id: str, nonsense: str) -> None:
    results = acenv.evaluate(env_id, Scripted([nonsense]), [0, 1], env_kwargs={"difficulty": "easy"})
    for found in list_failures(results):
        if found.lost:
            assert found.primary is not None and found.primary.kind != "unexplained"
            assert found.failures[0].step == 0


@pytest.mark.parametrize("env_id", ["ToolSandbox", "PDDL", "Needle", "WorkflowEmbodied", "Shop"])
def test_what_ends_an_episode_from_outside(env_id: str) -> None:
    long = "x " * MAX_ACTION_CHARS
    cut: FinishReason = "length"
    assert named(play(env_id, Decision("", finish="context")))[-1] == ("context overflow", 0)
    assert named(play(env_id, Decision("", error="the server is down"))) == [("infrastructure", 0)]
    assert primary(play(env_id, Decision("Well, I think that first of all one should", finish=cut))) == (
        "cut off by length"
    )
    assert primary(play(env_id, Decision("Well, the the" + " the" * 60, finish=cut))) == "runaway text"
    assert primary(play(env_id, long)) == "runaway text"


class TestSandbox:
    @pytest.mark.parametrize(
        ("moves", "kind"),
        [
            (["Let me think."], "unparsable"),
            ([call("fly")], "hallucinated tool"),
            ([call("get_item", code="k284")], "schema violation"),
            ([call("get_item", item=284)], "schema violation"),
            ([call("get_contact", name="Juan Parker"), call("finish")], "wrong tool"),
            ([expert, call("get_item", item="k145"), call("finish")], "wrong argument"),
            ([expert, call("get_item", item="k9")], "wrong argument"),
            ([expert, call("read_note", title="none"), call("finish")], "invalid in this world"),
            ([expert, expert, call("finish")], "gave up early"),
            ([expert], ""),
            ([expert, expert, expert, expert, call("read_file", path="x"), expert], ""),
        ],
    )
    def test_calls(self, moves: list[Move], kind: str) -> None:
        assert primary(play("ToolSandbox", *moves)) == kind

    def test_an_answer_that_is_wrong(self) -> None:
        found = play("ToolSandbox", expert, call("finish", answer="8"), seed=1, difficulty="easy")
        assert named(found) == [("wrong answer", 1)]

    def test_an_act_too_many_stays_whatever_comes_after(self) -> None:
        twice = [expert] * 4 + [call("send_message", to="Juan Parker", text="99"), expert]
        found = play("ToolSandbox", *twice)
        assert found.lost and primary(found) == "wrong argument"
        # At a score of 0 it costs nothing at first; what it has done is said at the end.
        early = [call("send_message", to="Juan Parker", text="99"), expert]
        found = play("ToolSandbox", *early)
        assert found.lost and primary(found) == "wrong argument"

    def test_a_reading_that_is_of_no_use_is_made_good_by_progress(self) -> None:
        moves = [call("get_contact", name="Juan Parker"), expert, expert, call("finish")]
        assert ("wrong tool", 0) in named(found := play("ToolSandbox", *moves))
        assert primary(found) == "gave up early"

    def test_a_loop(self) -> None:
        search = call("search_items", word="robot")
        found = play("ToolSandbox", expert, search, max_steps=5)
        assert named(found) == [("repeated action", 2), ("out of steps", 4)]


class TestBFCL:
    def play(self, category: str, *moves: Move) -> str:
        return primary(play("BFCL", *moves, category=category, difficulty="easy"))

    def test_single_turns(self) -> None:
        right = ' "arguments": {"path": "fence/wheel.md", "text": "small mirror"}}'
        assert self.play("simple", f'{{"name": "write_file",{right}') == ""
        assert self.play("simple", "I cannot.") == "unparsable"
        assert self.play("simple", "[write_file(path=") == "unparsable"
        assert self.play("simple", f'{{"name": "write_files",{right}') == "hallucinated tool"
        assert self.play("simple", call("write_file", path="fence/wheel.md")) == "schema violation"
        assert self.play("simple", call("write_file", path="a", text="b", mode="w")) == "schema violation"
        assert self.play("simple", changed("mirror", "window")) == "wrong argument"
        assert self.play("multiple", call("get_item", item="falcon-94")) == "wrong tool"
        assert self.play("parallel", call("order_item", item="chair-60", quantity=919)) == "gave up early"
        assert self.play("parallel", call("order_item", item="chair-6", quantity=919)) == "wrong argument"
        assert self.play("irrelevance", call("set_price", item="k1", price=3)) == "wrong tool"
        assert self.play("irrelevance", "There is no function for that.") == ""

    def test_turns(self) -> None:
        assert self.play("multi_turn", expert) == ""
        assert self.play("multi_turn", "Done.") == "gave up early"
        assert self.play("multi_turn", '{"name": "') == "unparsable"
        assert self.play("multi_turn", "delete_file(path='che") == "unparsable"
        assert self.play("multi_turn", call("fly"), "Done.") == "hallucinated tool"
        assert self.play("multi_turn", changed("cheese/pond", "pond"), "Done.") == "wrong argument"
        assert self.play("multi_turn", expert, call("fly"), expert) in ("hallucinated tool", "")


@pytest.mark.parametrize(
    ("env_id", "move", "kind"),
    [
        ("ToolInstruct", "Sure!", "unparsable"),
        ("ToolInstruct", changed("calendar.create_event", "calendar.make_event"), "hallucinated tool"),
        ("ToolInstruct", changed("Sunday", "Monday"), "wrong argument"),
        ("ToolPlan", "First I transfer.", "unparsable"),
        ("ToolPlan", changed("bank.transfer_money", "bank.pay"), "hallucinated tool"),
        ("ToolPlan", changed("bank.transfer_money", "bank.transfer"), "hallucinated tool"),
        ("ToolPlan", changed('"source": "robot-11", "target": "pocket-96", "amount": 862', ""), "wrong argument"),
        ("ToolPlan", lambda plan: json.dumps(json.loads(plan)[:1]), "gave up early"),
        ("ToolPlan", lambda plan: json.dumps(json.loads(plan)[:1] * 2), "wrong tool"),
        ("ToolReason", changed("transfer 862 from robot-11", "buy a boat"), "wrong answer"),
        ("ToolRetrieve", changed("bank.transfer_money", "contacts.update_contact"), "wrong tool"),
        ("ToolRetrieve", changed("bank.transfer_money", "bank.pay"), "hallucinated tool"),
        ("ToolUnderstand", changed("862", "268"), "wrong argument"),
        ("ToolReview", "A", "wrong answer"),
        ("ToolReview", "I do not know", "unparsable"),
    ],
)
def test_teval(env_id: str, move: Move, kind: str) -> None:
    assert named(play(env_id, move, difficulty="easy")) == [(kind, 0)]


@pytest.mark.parametrize(
    ("env_id", "moves", "kind"),
    [
        ("ToolQuery", ["Let me see."], "unparsable"),
        ("ToolQuery", [action("fly")], "hallucinated tool"),
        ("ToolQuery", [action("authorNodeCheck", name="Julia")], "schema violation"),
        (
            "ToolQuery",
            [action("authorNodeCheck", node="Julia"), expert, expert, action("finish", answer="")],
            "wrong answer",
        ),
        ("ToolQuery", [expert, action("authorNodeCheck", node="Nobody")], "wrong argument"),
        ("ToolQuery", [action("finish", answer="fast valley")], "gave up early"),
        ("ToolQuery", [expert, expert, action("finish", answer="slow hill")], "wrong answer"),
        ("ToolQuery", [expert], ""),
        ("ToolOperation", [expert, action("complete_task", task_id="t11")], "wrong argument"),
        ("ToolOperation", [expert, action("delete_task", task_id="t94"), action("finish")], "wrong tool"),
        ("ToolOperation", [expert, action("finish")], "gave up early"),
    ],
)
def test_services(env_id: str, moves: list[Move], kind: str) -> None:
    domain = {"domain": "todo"} if env_id == "ToolOperation" else {}
    assert primary(play(env_id, *moves, difficulty="easy", **domain)) == kind


@pytest.mark.parametrize(
    ("moves", "kind"),
    [
        (["I do not know."], "unparsable"),
        (["1: translate_file survey\nEdge: (START,1) (1,END)"], "wrong graph"),
        (["1: translate_file survey", "Finish"], "wrong graph"),
        (["1: translate_file survey", ""], "unparsable"),
        ([changed("Seoul", "Rome")], "wrong graph"),
        ([expert], ""),
    ],
)
def test_workflows(moves: list[Move], kind: str) -> None:
    assert primary(play("WorkflowFunctionCall", *moves, difficulty="easy")) == kind


@pytest.mark.parametrize("env_id", ["Needle", "Ruler", "LongBench", "LongGenBench"])
def test_answers(env_id: str) -> None:
    wrong = "wrong answer" if env_id != "LongGenBench" else ""
    assert primary(play(env_id, "lorem ipsum", difficulty="easy")) == (wrong or "unparsable")
    assert primary(play(env_id, "", difficulty="easy")) in ("unparsable", "wrong answer")


def test_the_shop() -> None:
    shop = {"seed": 0, "difficulty": "medium"}
    assert primary(play("Shop", "I want a torch", **shop)) == "unparsable"
    assert primary(play("Shop", "buy[torch]", **shop)) == "hallucinated tool"
    assert primary(play("Shop", "search[]", **shop)) == "schema violation"
    assert primary(play("Shop", expert, "search[torch]", **shop)) == "repeated action"
    assert named(play("Shop", expert, "search[torch]", **shop))[0] == ("invalid in this world", 1)
    bought = named(play("Shop", expert, expert, "click[Buy Now]", **shop))
    assert bought == [("wrong answer", 2)]  # the right thing without its option


def test_the_household() -> None:
    def home(*moves: Move, **keywords: Any) -> str:
        return primary(play("Household", *moves, **{"difficulty": "medium", "max_steps": 8, **keywords}))

    assert home("I really think that we should look at the table first") == "unparsable"
    assert home("fly") == "hallucinated tool"
    assert home("open") == "schema violation"
    assert home("go to moon 3") == "wrong argument"
    assert home("open cabinet 1", "close cabinet 1", "close cabinet 1") == "repeated action"
    assert named(play("Household", "open cabinet 1", max_steps=1)) == [("invalid in this world", 0)]
    looks = ["look", "inventory", "go to cabinet 1", "examine cabinet 1", "go to fridge 1"]
    assert home(*looks, max_steps=len(looks)) == "out of steps"


def test_puzzles() -> None:
    def puzzle(*moves: Move, domain: str = "gripper", **keywords: Any) -> EpisodeFailures:
        return play("PDDL", *moves, domain=domain, **{"difficulty": "medium", "max_steps": 6, **keywords})

    assert primary(puzzle("We should move to the bedroom and pick a ball there")) == "unparsable"
    assert primary(puzzle("fly")) == "hallucinated tool"
    assert primary(puzzle("pick")) == "schema violation"
    assert primary(puzzle("move to moon")) == "wrong argument"
    assert named(puzzle("pick kiwi with left", max_steps=2)) == [("invalid in this world", i) for i in (0, 1)]
    assert primary(puzzle("look", "check", "look", "look around", "check", "look")) == "out of steps"


def test_what_cannot_be_undone_is_a_dead_end() -> None:
    held = ""

    def into_the_bin(action: str) -> str:
        nonlocal held
        if held:
            return f"put {held} in garbagecan 1"
        if action.startswith("put "):
            held = action[4:].partition(" in")[0]
            return "go to garbagecan 1"
        return action

    for seed in range(10):  # where there is a second such thing, the goal can still be reached
        held = ""
        found = play("Household", into_the_bin, seed=seed, task="put")
        if primary(found) == "dead end":
            assert found.failures[0] == found.primary and "garbagecan" in found.failures[0].detail
            break
    else:
        pytest.fail("nothing was lost for good")


def test_babyai() -> None:
    pytest.importorskip("minigrid")

    def maze(*moves: Move) -> str:
        return primary(play("BabyAI", *moves, difficulty="medium", max_steps=2))

    assert maze("I should have a look around to find it all first", "wait") == "unparsable"
    assert maze("fly", "wait") == "hallucinated tool"
    assert maze("go", "wait") == "schema violation"
    assert maze("go to the moon", "turn left") == "wrong argument"
    assert maze("drop", "turn left") == "invalid in this world"
    assert maze("turn left", "turn right") == "out of steps"
    assert primary(play("BabyAI", "wait", difficulty="medium")) == "repeated action"


def test_every_fault_stands_in_the_run_folder(tmp_path: Any) -> None:
    moves = ["hello", call("fly"), call("get_item"), call("finish")]
    acenv.evaluate("acenv/ToolSandbox-v0", Scripted(moves), [0], out=tmp_path)
    stored = acenv.Results.load(tmp_path)
    told = stored.transcript(("acenv/ToolSandbox-v0", 0))
    faults = ["unparsable", "hallucinated tool", "schema violation", "gave up early"]
    assert [step.fault for step in told.steps] == faults
    assert [failure.kind for failure in find_failures(stored.episodes[0], told)] == faults
    # A folder of a version that knew no faults: they are found by reading again, but for what only the world knew.
    path = tmp_path / "transcripts.jsonl"
    line = json.loads(path.read_text())
    for step in line["steps"]:
        del step["fault"]
    path.write_text(json.dumps(line) + "\n")
    stored = acenv.Results.load(tmp_path)
    told = stored.transcript(("acenv/ToolSandbox-v0", 0))
    assert [step.fault for step in told.steps] == [""] * 4
    assert [failure.kind for failure in find_failures(stored.episodes[0], told)] == faults
