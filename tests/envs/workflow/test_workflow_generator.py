import re

import numpy as np
import pytest

from acenv.envs.workflow.domains import DOMAINS, LITERALS
from acenv.envs.workflow.generator import generate_task
from acenv.envs.workflow.simple_calls import SIMPLE_CALLS, VALUES


def tasks(difficulty, count=150):
    return [generate_task(np.random.default_rng(seed), difficulty) for seed in range(count)]


@pytest.mark.parametrize(("difficulty", "sizes"), [("easy", {2, 3, 4}), ("medium", {4, 5, 6}), ("hard", {6, 7})])
def test_sizes_values_and_variety(difficulty, sizes):
    drawn = tasks(difficulty)
    assert {len(task.gold.inner) for task in drawn} == sizes
    assert len({task.gold_text for task in drawn}) > 145
    for task in drawn:
        text = task.messages[-1]["content"]
        for node in task.gold.inner:
            name, _, values = node.partition(" ")
            assert f"{name}(" in text
            assert all(value in text for value in values.split(", "))


def test_the_same_generator_gives_the_same_task():
    for difficulty in ("easy", "medium", "hard"):
        first, second = (generate_task(np.random.default_rng(5), difficulty) for _ in range(2))
        assert first == second


def test_easy_tasks_are_short():
    for task in tasks("easy"):
        words = " ".join(message["content"] for message in task.messages).split()
        assert len(words) < 110
        assert task.messages[-1]["content"].count("(") in (3, 4, 5)


def test_medium_lists_more_than_is_needed_and_mentions_every_call():
    for task in tasks("medium"):
        text, apis = task.messages[-1]["content"].split("APIs:")
        assert apis.count("\n- ") >= len(task.gold.inner) + 3
        assert len(re.findall(r"\.(?: |$)", text.strip())) > len(task.gold.inner)


def test_hard_has_forks_joins_and_calls_that_go_without_saying():
    unsaid = 0
    for task in tasks("hard"):
        inner = [(a, b) for a, b in task.gold.edges if a and b != task.gold.end]
        assert max([a for a, _ in inner].count(a) for a, _ in inner) >= 2
        assert max([b for _, b in inner].count(b) for _, b in inner) >= 2
        text = task.messages[-1]["content"].split("APIs:")[0]
        unsaid += len(re.findall(r"\.(?: |$)", text.strip())) - 1 < len(task.gold.inner)
    assert unsaid > 50


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_every_field_is_consistent(domain):
    names = [api.name for api in domain.apis]
    assert len(set(names)) == len(names)
    for api in domain.apis:
        assert set(api.inputs) <= set(domain.producers)
        assert {kind for _, kind in api.literals} <= set(LITERALS)
        assert set(re.findall(r"\{(\w+)\}", api.want)) == {name for name, _ in api.literals}


def test_simple_calls_are_consistent():
    assert len({call.name for call in SIMPLE_CALLS}) == len(SIMPLE_CALLS)
    for call in SIMPLE_CALLS:
        assert call.phrase.count("{}") == 1
        assert all(" " not in value for value in VALUES[call.parameter])
