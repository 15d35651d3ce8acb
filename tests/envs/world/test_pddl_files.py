from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from acenv.envs.sources import RecordError
from acenv.envs.world.engine import World
from acenv.envs.world.environment import PUZZLES, PDDLEnv, say, understand
from acenv.envs.world.pddl_reader import read_domain, read_problem
from acenv.envs.world.planner import PlanningError
from acenv.envs.world.puzzle import Problem
from acenv.envs.world.strips import Atom, Domain

FERRY = """
; boats, cars and a captain with Names In Capitals
(define (domain Ferry-World)
  (:requirements :strips :typing :equality :negative-preconditions :action-costs)
  (:types boat car - thing thing - object port)
  (:constants Home - port)
  (:predicates (at ?x - thing ?p - port) (ON-board ?c - car ?b - boat) (full ?b - boat)
               (lane ?p ?q - port) (seen ?x - object))
  (:functions (total-cost) - number)
  (:action Sail :parameters (?b - boat ?p ?q - port)
    :precondition (and (at ?b ?p) (and (lane ?p ?q) (not (= ?p ?q))))
    :effect (and (at ?b ?q) (not (at ?b ?p)) (increase (total-cost) 3)))
  (:action board-car :parameters (?c - car ?b - boat ?p - port)
    :precondition (and (at ?c ?p) (at ?b ?p) (not (full ?b)))
    :effect (and (on-board ?c ?b) (full ?b) (not (at ?c ?p))))
  (:action unload :parameters (?c - car ?b - boat ?p - port)
    :precondition (and (on-board ?c ?b) (at ?b ?p))
    :effect (and (at ?c ?p) (not (on-board ?c ?b)) (not (full ?b))))
  (:action greet :parameters () :precondition () :effect (seen home))
  (:action note :parameters (?x) :effect (and (seen ?x)))
)
"""
TRIP = """
(define (problem trip) (:domain ferry-world)
  (:objects A the - car check-boat - boat isle-2 - port)
  (:init (at a home) (at THE isle-2) (at check-boat home) (lane home isle-2) (lane isle-2 home)
         (not (full check-boat)) (= (total-cost) 0))
  (:goal (and (at a isle-2) (at the home) (not (at check-boat isle-2))))
  (:metric minimize (total-cost)))
"""


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.pddl").write_text(text, encoding="utf-8")
    return folder


def ferry(folder: Path, **keywords: Any) -> PDDLEnv:
    write(folder, domain=FERRY, trip=TRIP)
    return PDDLEnv(domain_file=folder / "domain.pddl", problem_file=folder / "trip.pddl", **keywords)


def said(env: PDDLEnv, action: str) -> str:
    """What the agent is told after an action."""
    return env.step(action)[0][-1]["content"]


def follow(env: PDDLEnv) -> float:
    """The sum of the rewards when the expert acts."""
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    assert info["metrics"]["grounding"] == 1.0
    return total


def test_a_problem_is_told_and_solved(tmp_path: Path) -> None:
    env = ferry(tmp_path)
    messages, info = env.reset(seed=0)
    assert info["labels"] == {"task": "ferry-world", "level": "easy"}
    assert messages[0]["content"] == (
        "You act in the world ferry-world. Actions, one a message:\n"
        "- sail B P Q, where B is of type boat, P is of type port, Q is of type port. "
        "It needs: at B P, lane P Q, P is not Q. Then: at B Q, not at B P.\n"
        "- board-car C B P, where C is of type car, B is of type boat, P is of type port. "
        "It needs: at C P, at B P, not full B. Then: on-board C B, full B, not at C P.\n"
        "- unload C B P, where C is of type car, B is of type boat, P is of type port. "
        "It needs: on-board C B, at B P. Then: at C P, not on-board C B, not full B.\n"
        "- greet. It needs: nothing. Then: seen home.\n"
        "- note X, where X is of type object. It needs: nothing. Then: seen X.\n"
        "- look (tells the whole state), check valid actions (lists what can be done now).\n"
        "Objects: port: home, isle-2; car: a, the; boat: check-boat.\n"
        "Always true: lane home isle-2. lane isle-2 home.\n"
        "Goal: at a isle-2. at the home. not at check-boat isle-2.\n"
        "State: at a home. at the isle-2. at check-boat home."
    )
    # The boat is where the goal wants it, and AgentBoard counts what holds: a third, whatever the first action is.
    assert env.step("look")[1] == pytest.approx(1 / 3)
    assert follow(env) == pytest.approx(2 / 3)


def test_names_that_are_articles_or_commands_are_understood(tmp_path: Path) -> None:
    env = ferry(tmp_path, max_steps=100)
    env.reset(seed=0)
    assert said(env, "check valid actions") == (
        "Valid actions: sail check-boat home isle-2, board-car a check-boat home, greet, "
        "note home, note a, note the, note check-boat, note isle-2."
    )
    assert (
        said(env, "Action: (BOARD-CAR A check-boat Home)") == "on-board a check-boat. full check-boat. not at a home."
    )
    assert said(env, "board-car the check-boat home") == ("You cannot board-car the check-boat home: not at the home.")
    assert said(env, "unload the a check-boat home") == "at a home. not on-board a check-boat. not full check-boat."
    assert said(env, "sail the check-boat home isle-2") == "at check-boat isle-2. not at check-boat home."
    assert said(env, "sail check-boat isle-2 isle-2") == (
        "You cannot sail check-boat isle-2 isle-2: not lane isle-2 isle-2."
    )
    assert said(env, "note the") == "seen the."
    assert said(env, "greet") == "seen home."
    assert said(env, "sail ghost isle-2 home") == "There is no boat called ghost."
    assert said(env, "swim").startswith("This is no action; say one of: sail BOAT PORT PORT, board-car CAR BOAT PORT,")
    assert env.step("look")[4]["metrics"]["grounding"] == 7 / 11


def test_every_listed_action_is_understood(tmp_path: Path) -> None:
    env = ferry(tmp_path, max_steps=500)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    world = World(read_domain(tmp_path / "domain.pddl").domain, env.task.objects)
    for _ in range(100):
        actions = world.applicable(env.state.facts)
        for action in actions:
            assert understand(world, env.state.facts, say(world.domain, action)) == action
        if env.step(say(world.domain, actions[int(rng.integers(len(actions)))]))[2]:
            env.reset()


def test_a_folder_is_numbered_and_drawn_from(tmp_path: Path) -> None:
    other = TRIP.replace("(problem trip)", "(problem back)").replace("(at a isle-2)", "(seen a)")
    write(tmp_path, domain=FERRY, trip=TRIP, back=other)
    env = gymnasium.make(
        "acenv/PDDL-v0", domain_file=tmp_path / "domain.pddl", problem_file=str(tmp_path), difficulty="easy"
    ).unwrapped
    assert isinstance(env, PDDLEnv)
    check_env(env, skip_render_check=True)
    goals = [env.reset(options={"index": i}) and env.task.goal[0] for i in (0, 1)]
    assert goals == [("seen", "a"), ("at", "a", "isle-2")]
    drawn = {seed: env.reset(seed=seed) and env.task for seed in range(12)}
    assert {task.goal[0] for task in drawn.values()} == set(goals)
    assert all((env.reset(seed=seed) and env.task) == task for seed, task in drawn.items())
    start = env.snapshot()
    first = follow(env)
    env.reset(options={"index": 0})
    env.restore(start)
    assert follow(env) == first == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no PDDL problem 2: they are numbered from 0 to 1"):
        env.reset(options={"index": 2})


def test_an_unsolvable_problem_is_playable_with_max_steps(tmp_path: Path) -> None:
    write(tmp_path, domain=FERRY, p=TRIP.replace("(lane home isle-2)", ""))
    files = {"domain_file": tmp_path / "domain.pddl", "problem_file": tmp_path / "p.pddl"}
    with pytest.raises(PlanningError, match=r"p\.pddl: the goal can never be reached.*max_steps"):
        PDDLEnv(**files).reset(seed=0)
    env = PDDLEnv(**files, max_steps=3)
    env.reset(seed=0)
    assert env.expert_action() == "look"
    assert said(env, "greet") == "seen home."


ONE = "(define (domain d) {} (:predicates (p ?x) (q)) (:action a :parameters (?x) :precondition {} :effect {}))"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected one .define ..... got nothing"),
        ("(define (domain d)", "in line 1: .*'.' that is never closed"),
        ("(define (domain d))\n)", "in line 2: .*one '.' too many"),
        ("(define (problem d))", r"expected \(define \(domain NAME\)"),
        (
            ONE.format("(:requirements :strips :conditional-effects)", "(q)", "(q)"),
            ":conditional-effects, which is not supp",
        ),
        (ONE.format("(:requirements :adl)", "(q)", "(q)"), ":strips :typing .*:adl, which is not supported"),
        (ONE.format("", "(q)", "(when (q) (p ?x))"), r"\(when ...\), which is no predicate .* not supported"),
        (ONE.format("", "(forall (?y) (p ?y))", "(q)"), r"\(forall ...\), which is no predicate"),
        (ONE.format("", "(or (q) (p ?x))", "(q)"), r"\(or ...\), which is no predicate"),
        (ONE.format("", "(q)", "(increase (fuel) 1)"), r"\(increase ...\), which is no predicate"),
        (ONE.format("(:derived (p ?x) (q))", "(q)", "(q)"), ":derived, which is not supported"),
        (ONE.format("(:durative-action b)", "(q)", "(q)"), ":durative-action, which is not supported"),
        (ONE.format("(:types a - (either b c))", "(q)", "(q)"), "either ...\\) is not supported"),
        (ONE.format("(:types a - b b - a)", "(q)", "(q)"), "as an ancestor of itself"),
        (ONE.format("", "(p)", "(q)"), r"expected 1 arguments of p, got 0 in \(p\)"),
        (ONE.format("", "(p ?y)", "(q)"), r"got \?y in \(p \?y\)"),
        (ONE.format("", "(p b)", "(q)"), r"expected a parameter or constant, got b"),
        (ONE.format("", "(q)", "(= ?x ?x)"), "which is no predicate"),
        (ONE.format("", "(not (q) (q))", "(q)"), "one list in .not"),
        (ONE.format("(:action a)", "(q)", "(q)"), "two actions have the same name"),
        (ONE.format("(:action b :parameters (?x - t))", "(q)", "(q)"), "unknown type 't'"),
        (ONE.format("(:action b :when)", "(q)", "(q)"), "expected .*:parameters"),
        (ONE.format("(:predicates (r{))", "(q)", "(q)"), "expected a name of letters"),
    ],
)
def test_domains_beyond_what_is_supported_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, bad=text) / "bad.pddl"
    with pytest.raises(RecordError, match=complaint) as caught:
        read_domain(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("(:domain ferry-world)", "(:domain trucks)", "expected a problem of the domain ferry-world, got one of the"),
        ("(at a home)", "(at b home)", r"b in \(at b home\), which is not one"),
        ("(at a home)", "(at home a)", r"in line 4: expected a thing in \(at home a\), got home, which is a port"),
        ("(at a home)", "(on a)", r"\(on ...\), which is no predicate"),
        ("- boat", "- ship", "the type ship"),
        ("isle-2 - port", "a - port", "two of different types"),
        ("(:goal (and", "(:goal (or", r"\(or ...\)"),
        ("(:goal (and", "(:goal (and (= a a)", r"\(= ...\)"),
        ("(at a isle-2) (at the home)", "", "a goal that does not hold at the start"),
    ],
)
def test_wrong_problems_are_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    write(tmp_path, domain=FERRY, bad=TRIP.replace(old, new))
    with pytest.raises(RecordError, match=complaint):
        read_problem(tmp_path / "bad.pddl", read_domain(tmp_path / "domain.pddl"))


def test_missing_files_and_wrong_settings_are_refused(tmp_path: Path) -> None:
    write(tmp_path, domain=FERRY)
    domain = tmp_path / "domain.pddl"
    with pytest.raises(FileNotFoundError, match="no PDDL domain at"):
        PDDLEnv(domain_file=tmp_path / "none.pddl", problem_file=domain)
    with pytest.raises(FileNotFoundError, match="no PDDL problem at"):
        PDDLEnv(domain_file=domain, problem_file=tmp_path / "none.pddl")
    with pytest.raises(FileNotFoundError, match="holds no PDDL problem"):
        PDDLEnv(domain_file=domain, problem_file=tmp_path)
    with pytest.raises(ValueError, match="must be given together"):
        PDDLEnv(domain_file=domain)
    with pytest.raises(ValueError, match="not both"):
        PDDLEnv(domain_file=domain, problem_file=domain, domain="gripper")
    (tmp_path / "bytes.pddl").write_bytes(b"\xff\xfe(define")
    with pytest.raises(RecordError, match="UTF-8"):
        read_domain(tmp_path / "bytes.pddl")


# Our own domains, by way of PDDL -----------------------------------------------------------------------------------


def to_pddl(of: Domain) -> str:
    def atom(parts: Atom, variables: set[str]) -> str:
        return f"({' '.join([parts[0], *(f'?{p}' if p in variables else p for p in parts[1:])])})"

    def typed(pairs: Any) -> str:
        return " ".join(f"{name} - {kind or 'object'}" for name, kind in pairs)

    lines = [f"(define (domain {of.name})", f"(:types {typed(of.types.items())})", "(:predicates"]
    lines += [f"({p.name} {typed((f'?x{i}', k) for i, k in enumerate(p.types))})" for p in of.predicates.values()]
    lines.append(")")
    for schema in of.actions.values():
        names = {v for v, _ in schema.parameters}
        needs = [atom((p.predicate, *p.terms), names) for p in schema.preconditions]
        signed = [n if p.positive else f"(not {n})" for n, p in zip(needs, schema.preconditions, strict=True)]
        effects = [atom(a, names) for a in schema.add] + [f"(not {atom(a, names)})" for a in schema.delete]
        lines.append(f"(:action {schema.name} :parameters ({typed((f'?{v}', k) for v, k in schema.parameters)})")
        lines.append(f":precondition (and {' '.join(signed)}) :effect (and {' '.join(effects)}))")
    return "\n".join([*lines, ")"])


def problem_to_pddl(problem: Problem) -> str:
    def listed(facts: Any) -> str:
        return " ".join(f"({' '.join(fact)})" for fact in facts)

    objects = " ".join(f"{name} - {kind}" for name, kind in problem.objects)
    return (
        f"(define (problem p) (:domain {problem.domain}) (:objects {objects})\n"
        f"(:init {listed(problem.init)}) (:goal (and {listed(problem.goal)})))"
    )


@pytest.mark.parametrize("name", PUZZLES)
def test_our_own_domains_come_back_from_pddl(tmp_path: Path, name: str) -> None:
    puzzle = PUZZLES[name]
    problem = puzzle.sample(np.random.default_rng(3), "medium")
    write(tmp_path, d=to_pddl(puzzle.domain), p=problem_to_pddl(problem))
    read = read_domain(tmp_path / "d.pddl")
    assert read_problem(tmp_path / "p.pddl", read) == problem
    ours, theirs = World(puzzle.domain, problem.objects), World(read.domain, problem.objects)
    state = problem.init
    for action_name, arguments in puzzle.solve(problem, state):
        listed = [(a.name, a.arguments) for a in ours.applicable(state)]
        assert [(a.name, a.arguments) for a in theirs.applicable(state)] == listed
        assert theirs.ground(action_name, arguments).result(state) == (
            state := ours.ground(action_name, arguments).result(state)
        )
    env = PDDLEnv(domain_file=tmp_path / "d.pddl", problem_file=tmp_path / "p.pddl")
    env.reset(seed=0)
    assert follow(env) == pytest.approx(1.0)
