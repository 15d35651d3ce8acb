"""One episode after another, with the score that the evaluation loop gives."""

from __future__ import annotations

import math
from typing import Any

import pytest
from gymnasium.error import ResetNeeded

import acenv
from acenv.adapters.session import Session


def by_expert(session: Session, seed: int) -> None:
    session.reset(seed)
    while not session.over:
        session.step(session.env.expert_action())


@pytest.mark.parametrize("env_id", ["acenv/PDDL-v0", "acenv/ToolSandbox-v0", "acenv/Needle-v0"])
def test_the_record_is_that_of_the_evaluation_loop(env_id: str) -> None:
    session = Session(env_id, difficulty="easy")
    results = acenv.evaluate(env_id, "oracle", range(3), env_kwargs={"difficulty": "easy"})
    for expected in results.episodes:
        by_expert(session, expected.seed)
        got = session.episode(expected.usage)
        assert got.seconds >= 0
        fields = [f for f in expected.__slots__ if f != "seconds"]
        assert [getattr(got, f) for f in fields] == [getattr(expected, f) for f in fields]


def test_reset_forgets_the_last_episode() -> None:
    session = Session("pddl", difficulty="easy")
    by_expert(session, 0)
    assert session.over and session.return_ == 1.0
    session.reset(1)
    assert not session.over and session.return_ == 0.0 and session.rewards == [] and len(session.messages) == 1


def test_what_cannot_be_scored_has_no_return() -> None:
    session = Session("pddl", difficulty="easy")
    session.reset(0)

    def step(_: str) -> Any:
        return [], 0.0, True, False, {"metrics": {}, "unscored": "the record is at fault"}

    session.env.step = step
    session.step("look")
    assert math.isnan(session.return_)
    assert session.episode().error == "unscored: the record is at fault"


def test_a_suite_is_refused() -> None:
    with pytest.raises(ValueError, match="'quick' is a suite of 4 environments, and one is wanted"):
        Session("quick")


def test_a_step_before_reset_is_refused() -> None:
    with pytest.raises(ResetNeeded):
        Session("pddl").step("look")
