from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.world.blocksworld import DOMAIN as BLOCKS
from acenv.envs.world.engine import World
from acenv.envs.world.gripper import DOMAIN as GRIPPER
from acenv.envs.world.strips import Literal, Predicate, Schema, State, domain

KITCHEN = domain(
    "kitchen",
    {"thing": "", "food": "thing", "tool": "thing"},
    [
        Predicate("raw", ("food",), "{0} is raw"),
        Predicate("clean", ("thing",), "{0} is clean"),
        Predicate("beside", ("thing", "thing")),
    ],
    [
        Schema(
            "cook",
            (("f", "food"), ("t", "tool")),
            (Literal("raw", ("f",)), Literal("clean", ("t",)), Literal("beside", ("f", "t"), positive=False)),
            add=(("beside", "f", "t"),),
            delete=(("raw", "f"), ("clean", "t")),
            forms=("cook {f} with {t}",),
            effect="{f} is cooked.",
        ),
        Schema(
            "join",
            (("x", "thing"), ("y", "thing")),
            (Literal("=", ("x", "y"), positive=False),),
            add=(("beside", "x", "y"),),
            delete=(),
            forms=("join {x} and {y}",),
            effect="",
        ),
        Schema(
            "wash",
            (("t", "tool"),),
            (),
            add=(("clean", "t"),),
            delete=(("clean", "t"),),
            forms=("wash {t}",),
            effect="",
        ),
    ],
)
THINGS = (("egg", "food"), ("rice", "food"), ("pan", "tool"), ("salt", "thing"))


def brute_force(world: World, state: State) -> list[tuple[str, tuple[str, ...]]]:
    """Every action on every tuple of objects, straight from the definition of STRIPS."""
    found = []
    for schema in world.domain.actions.values():
        for arguments in product([name for name, _ in world.objects], repeat=len(schema.parameters)):
            kinds = dict(world.objects)
            if not all(world.domain.is_a(kinds[a], k) for a, (_, k) in zip(arguments, schema.parameters, strict=True)):
                continue
            names = dict(zip([v for v, _ in schema.parameters], arguments, strict=True))
            if all(
                (len({names[t] for t in p.terms}) == 1 if p.predicate == "=" else p.atom(names) in state) == p.positive
                for p in schema.preconditions
            ):
                found.append((schema.name, arguments))
    return found


FACTS = st.frozensets(
    st.one_of(
        st.tuples(st.just("raw"), st.sampled_from(["egg", "rice"])),
        st.tuples(st.just("clean"), st.sampled_from(["egg", "rice", "pan", "salt"])),
        st.tuples(st.just("beside"), st.sampled_from(["egg", "rice"]), st.sampled_from(["pan", "salt"])),
    )
)


@settings(max_examples=50, deadline=None)
@given(FACTS)
def test_applicable_actions_are_those_of_brute_force_in_order(state: State) -> None:
    world = World(KITCHEN, THINGS)
    found = [(a.name, a.arguments) for a in world.applicable(state)]
    assert found == brute_force(world, state)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_applicable_agrees_with_brute_force_along_gripper_walks(data: st.DataObject) -> None:
    objects = (
        ("hall", "room"),
        ("attic", "room"),
        ("red", "ball"),
        ("blue", "ball"),
        ("left", "hand"),
        ("right", "hand"),
    )
    facts = [("at", "hall"), ("in", "red", "hall"), ("in", "blue", "attic"), ("free", "left"), ("free", "right")]
    state: State = frozenset([*facts, ("door", "hall", "attic")])
    world = World(GRIPPER, objects)
    for _ in range(8):
        actions = world.applicable(state)
        assert [(a.name, a.arguments) for a in actions] == brute_force(world, state)
        if not actions:  # the door leads one way
            break
        state = data.draw(st.sampled_from(actions)).result(state)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=25), st.integers(2, 5))
def test_random_actions_keep_blocks_in_towers(choices: list[int], count: int) -> None:
    blocks = [f"b{i}" for i in range(count)]
    world = World(BLOCKS, tuple((b, "block") for b in blocks))
    state: State = frozenset([("hand_empty",)] + [(p, b) for b in blocks for p in ("on_table", "clear")])
    for choice in choices:
        actions = world.applicable(state)
        state = actions[choice % len(actions)].result(state)
        held = {f[1] for f in state if f[0] == "holding"}
        support = [(f[1], f[2] if f[0] == "on" else "") for f in state if f[0] in ("on", "on_table")]
        assert len(held) + (("hand_empty",) in state) == 1
        # Each block is held or has exactly one support; no block carries two; what carries none is clear.
        assert sorted([b for b, _ in support] + list(held)) == blocks
        below = [y for _, y in support if y]
        assert len(below) == len(set(below))
        assert {f[1] for f in state if f[0] == "clear"} == set(blocks) - set(below) - held
        for block in blocks:
            walked = [block]
            while (nxt := dict(support).get(walked[-1], "")) != "":
                walked.append(nxt)
                assert len(walked) <= count


def test_an_atom_both_added_and_deleted_stays_true() -> None:
    world = World(KITCHEN, THINGS)
    assert ("clean", "pan") in world.ground("wash", ("pan",)).result(frozenset({("clean", "pan")}))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([], "it is not true that egg is raw"),
        ([("raw", "egg")], "it is not true that pan is clean"),
        ([("raw", "egg"), ("clean", "pan"), ("beside", "egg", "pan")], "beside egg pan"),
        ([("raw", "egg"), ("clean", "pan")], ""),
    ],
)
def test_the_first_failing_precondition_is_explained(facts: list[tuple[str, ...]], reason: str) -> None:
    world = World(KITCHEN, THINGS)
    assert world.explain(frozenset(facts), world.ground("cook", ("egg", "pan"))) == reason


def test_inequality_is_explained_and_missing_arguments_are_inferred() -> None:
    world = World(KITCHEN, THINGS)
    assert world.explain(frozenset(), world.ground("join", ("egg", "egg"))) == "egg cannot be used twice"
    state = frozenset({("raw", "rice"), ("clean", "pan")})
    assert world.complete(state, "cook", {"t": "pan"}).arguments == ("rice", "pan")


def test_a_state_is_told_in_the_order_of_ranks_and_objects() -> None:
    world = World(KITCHEN, THINGS)
    assert world.describe(frozenset({("clean", "pan"), ("raw", "egg"), ("beside", "egg", "pan")})) == (
        "egg is raw. pan is clean."
    )


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("fry", ("egg",), "no action 'fry'"),
        ("cook", ("egg",), "takes 2 arguments, not 1"),
        ("cook", ("pan", "egg"), "there is no food called pan"),
    ],
)
def test_wrong_actions_are_refused_by_name(name: str, arguments: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        World(KITCHEN, THINGS).ground(name, arguments)


def test_wrong_domains_and_worlds_are_refused() -> None:
    def one_action(*preconditions: Literal, add: tuple[tuple[str, ...], ...] = ()) -> None:
        schema = Schema("a", (("x", "t"),), preconditions, add, (), (), "")
        domain("d", {"t": ""}, [Predicate("p", ("t",))], [schema])

    with pytest.raises(ValueError, match="unknown predicate 'q'"):
        one_action(Literal("q", ("x",)))
    with pytest.raises(ValueError, match="p takes 1 terms, not 2"):
        one_action(Literal("p", ("x", "x")))
    with pytest.raises(ValueError, match="cannot change equality"):
        one_action(add=(("=", "x", "x"),))
    with pytest.raises(ValueError, match="unknown parent 'u'"):
        domain("d", {"t": "u"}, [], [])
    with pytest.raises(ValueError, match="unknown type 'u'"):
        domain("d", {"t": ""}, [Predicate("p", ("u",))], [])
    with pytest.raises(ValueError, match="same name"):
        World(KITCHEN, (("egg", "food"), ("egg", "tool")))
    with pytest.raises(ValueError, match="unknown type 'ball'"):
        World(KITCHEN, (("egg", "ball"),))
