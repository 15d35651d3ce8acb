"""The checks for policies of one's own: good ones pass, and each broken promise is found and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from acenv.policies import load_policy
from acenv.testing import check_policy
from acenv.types import Decision, Request


class Echo:
    """Repeats the last message."""

    name = "echo"
    capacity = 4

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        return [Decision(str(request.messages[-1]["content"])) for request in batch]


class Nameless(Echo):
    name = ""


class NoRoom(Echo):
    capacity = 0


class Forgetful(Echo):
    def act(self, batch: Sequence[Request]) -> list[Decision]:
        return super().act(batch)[:1]


class Untidy(Echo):
    def act(self, batch: Sequence[Request]) -> list[Decision]:
        for request in batch:
            request.messages[-1]["content"] = "read"
        return super().act(batch)


class Counting(Echo):
    def __init__(self) -> None:
        self.calls = 0

    def describe(self) -> dict[str, Any]:
        self.calls += 1
        return {"calls": self.calls}


class BareText(Echo):
    def act(self, batch: Sequence[Request]) -> Any:
        return [request.messages[-1]["content"] for request in batch]


class Fragile(Echo):
    def act(self, batch: Sequence[Request]) -> list[Decision]:
        for request in batch:
            if len(request.messages[-1]["content"]) > 10_000:
                raise RuntimeError("too long")
        return super().act(batch)


class Refusing(Echo):
    def act(self, batch: Sequence[Request]) -> list[Decision]:
        return [replace(decision, error="no") for decision in super().act(batch)]


class Late(Echo):
    """Streams, and decides what was cancelled."""

    def __init__(self) -> None:
        self.waiting: list[Request] = []

    def submit(self, batch: Sequence[Request]) -> None:
        self.waiting += batch

    def collect(self, timeout: float | None = None) -> list[tuple[int, Decision]]:
        requests, self.waiting = self.waiting, []
        return [(request.slot, Decision("late")) for request in requests]

    def cancel(self) -> None:
        pass


class Zeros(Echo):
    def score(self, conversations: Any, capture: Any = ()) -> Any:
        import numpy as np

        from acenv.types import TokenOutputs

        for _ in conversations:
            yield TokenOutputs(
                np.arange(3), np.zeros(3, int), np.zeros((3, 5), np.float32), np.zeros((3, 2), np.float32)
            )


@pytest.mark.parametrize("policy", [Echo(), load_policy("oracle"), load_policy("random")], ids=lambda p: p.name)
def test_good_policies_pass(policy: Any) -> None:
    check_policy(policy)


def test_the_built_in_model_passes() -> None:
    check_policy(load_policy("nano", max_new_tokens=16))


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Nameless, "name must be text"),
        (NoRoom, "capacity must be a whole number"),
        (Forgetful, "requests got 1 decisions|0 requests"),
        (Untidy, r"act\(\) changed the messages"),
        (Counting, r"describe\(\) changes"),
        (BareText, "a decision must be an acenv.Decision, not str"),
        (Fragile, "strange conversations are answered: raised RuntimeError: too long"),
        (Refusing, "it acts in an environment: .* ended with an error: policy: no"),
        (Late, "was cancelled was decided all the same"),
        (Zeros, "logits are all 0"),
    ],
)
def test_a_broken_promise_is_named(broken: Any, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_policy(broken())


def test_answers_in_another_order_than_the_requests_are_found() -> None:
    class Backwards(Echo):
        def act(self, batch: Sequence[Request]) -> list[Decision]:
            return sorted(super().act(batch), key=lambda decision: decision.action)

    with pytest.raises(AssertionError, match="the order of a batch changes its answers"):
        check_policy(Backwards())


def test_a_policy_that_draws_at_random_may_say_so() -> None:
    class Moody(Echo):
        turns = 0

        def act(self, batch: Sequence[Request]) -> list[Decision]:
            self.turns += 1
            return [Decision(f"turn {self.turns}") for _ in batch]

    with pytest.raises(AssertionError, match="the same batch got other answers"):
        check_policy(Moody())
    check_policy(Moody(), deterministic=False)
