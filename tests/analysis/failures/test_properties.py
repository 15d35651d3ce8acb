"""Whatever is said, and however a record is damaged: nothing raises, and what is lost has a reason."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

import acenv
from acenv.analysis.failures import FAILURES, RECOVERABLE, EpisodeFailures, find_failures, primary_failure
from acenv.types import Episode, Fault, Step, Transcript

_KEYS = ["type", "function", "name", "parameters", "properties", "required", "role", "content"]

env_ids = st.sampled_from([*acenv.env_ids(), "mine/Chess-v1", ""])
texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["", "go north", '{"name": "a", "arguments": {}}', "[a(b=1)]", "Action: a with Action Input: {}", "1: x (1,2)"]
    ),
    st.text(alphabet='{}[]()":,\\na=1 \x00\ud800', max_size=40),
)
faults = st.sampled_from(["", *get_args(Fault), "no such fault"])
rewards = st.sampled_from([0.0, 0.25, -0.25, 1.0, float("nan"), float("inf")])
finishes = st.sampled_from(["stop", "length", "context"])
steps = st.lists(st.builds(Step, texts, rewards, finishes, st.none(), faults), max_size=8)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)
messages = st.lists(
    st.fixed_dictionaries({}, optional={"role": st.sampled_from(["user", "assistant", "tool"]), "content": texts}),
    max_size=10,
)
tools = st.lists(st.dictionaries(st.sampled_from(_KEYS), junk, max_size=4), max_size=3)
metrics = st.dictionaries(st.sampled_from(["success", "call_recall", "progress"]), rewards, max_size=3)


@st.composite
def played(draw: Any) -> tuple[Episode, Transcript]:
    env_id, taken = draw(env_ids), draw(steps)
    said = Transcript(env_id, 0, draw(messages), draw(tools), taken)
    ended = draw(st.sampled_from([(True, False), (False, True), (False, False)]))
    error = draw(st.sampled_from([None, None, None, "", "down"]))
    return Episode(env_id, 0, draw(rewards), len(taken), *ended, error=error, metrics=draw(metrics)), said


@given(played(), st.none() | played())
def test_whatever_was_recorded(one: tuple[Episode, Transcript], other: tuple[Episode, Transcript] | None) -> None:
    episode, said = one
    reference = None if other is None else other[1]
    found = EpisodeFailures.of(episode, said, reference)
    assert all(failure.kind in FAILURES and 0 <= failure.step <= len(said.steps) for failure in found.failures)
    assert all("\n" not in failure.detail for failure in found.failures)
    assert list(found.failures) == sorted(found.failures, key=lambda failure: failure.step)
    # What is lost has a reason, and only that.
    assert (found.primary is not None) == found.lost
    assert not found.lost or found.failures
    assert EpisodeFailures.from_dict(found.to_dict()) == found


@given(played())
def test_the_reason_is_the_first_by_precedence_of_what_was_not_made_good(one: tuple[Episode, Transcript]) -> None:
    episode, said = one
    found = find_failures(episode, said)
    best = primary_failure(found, said)
    if best is None:
        assert not found
        return
    rewards = [step.reward for step in said.steps]

    def made_good(kind: str, step: int) -> bool:
        paid = any(reward > 0 for reward in rewards[step + 1 :])
        return kind in RECOVERABLE and paid and not (step < len(rewards) and rewards[step] < 0)

    left = [f for f in found if not made_good(f.kind, f.step)] or list(found)
    if best.kind == "out of steps":  # of which a few slips are no reason
        left = [f for f in left if f.kind not in RECOVERABLE or f.kind == "repeated action"]
    assert FAILURES.index(best.kind) == min(FAILURES.index(f.kind) for f in left)
    assert best.step == min(f.step for f in left if f.kind == best.kind)


@given(played(), texts)
def test_a_fault_is_named_whatever_else_there_is(one: tuple[Episode, Transcript], action: str) -> None:
    episode, said = one
    said = Transcript(said.env_id, 0, said.messages, said.tools, [*said.steps, Step(action, 0.0, fault="dead end")])
    found = find_failures(episode, said)
    assert episode.error is not None or any(f.kind == "dead end" and f.step == len(said.steps) - 1 for f in found)


@given(env_ids, st.lists(texts, min_size=1, max_size=5))
def test_runs_without_faults_are_read_again(env_id: str, actions: list[str]) -> None:
    said = Transcript(env_id, 0, (), (), [Step(action, 0.0) for action in actions])
    record = Episode(env_id, 0, 0.0, len(actions), terminated=True, truncated=False, metrics={"success": 0.0})
    assert find_failures(record, said) == find_failures(record, said) != ()
