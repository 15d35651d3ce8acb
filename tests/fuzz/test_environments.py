"""Hostile actions in every environment; ``benchmarks/fuzz.py`` plays a million of them."""

from __future__ import annotations

import functools
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import acenv
from acenv.registry import SIMULATORS
from tests.fuzz.programs import Arena, programs

ENV_IDS = [env_id for env_id in acenv.env_ids() if env_id not in SIMULATORS]
arena = functools.cache(Arena)


@pytest.mark.parametrize("env_id", ENV_IDS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=120), st.sampled_from(["easy", "medium", "hard"]))
def test_no_action_raises(env_id: str, program: bytes, difficulty: str) -> None:
    arena(env_id, difficulty).play(program)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_random_programs_are_played_to_their_end(env_id: str) -> None:
    played = arena(env_id, "medium")
    before = played.steps
    generate = programs(random.Random(0))
    while played.steps - before < 80:
        played.play(next(generate))


@pytest.mark.parametrize("env_id", [i for i in ("acenv/BabyAI-v0", "acenv/TextWorld-v0") if i in SIMULATORS])
def test_simulators_take_them_too(env_id: str) -> None:
    pytest.importorskip({"acenv/BabyAI-v0": "minigrid", "acenv/TextWorld-v0": "textworld"}[env_id])
    generate = programs(random.Random(1))
    played = arena(env_id, "easy")
    while played.steps < 80:
        played.play(next(generate))
