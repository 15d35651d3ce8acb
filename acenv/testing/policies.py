"""What every policy promises: the checks behind :func:`check_policy`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from acenv.evaluation import evaluate
from acenv.types import Conversation, Decision, Message, Policy, Request, StreamingPolicy, Tool

_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look at something.",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
    },
}
_COLLECT_SECONDS = 60.0
"""How long a policy may take for one decision, at least one of those that are under way."""


def check_policy(policy: Policy, *, deterministic: bool = True, env_id: str = "acenv/ToolSandbox-v0") -> None:
    """Check that a policy keeps the contract of :class:`acenv.types.Policy`, and of what else it offers.

    Args:
        policy: The policy, ready to act.
        deterministic: Whether the same request must get the same answer, as with greedy decoding or seeded sampling.
        env_id: An environment in which it acts for an episode or two at the end; how well does not matter.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    for check in POLICY_CHECKS:
        if check is the_same_request_gets_the_same_answer and not deterministic:
            continue
        _named(policy, check.__name__, lambda check=check: check(policy))  # type: ignore[misc]
    _named(policy, "it acts in an environment", lambda: _acts(policy, env_id))


def it_has_a_name_and_a_capacity(policy: Policy) -> None:
    """``name`` and ``capacity``, and a description that can be written down."""
    _require(isinstance(policy.name, str) and policy.name != "", f"name must be text, not {policy.name!r}")
    _require(
        isinstance(policy.capacity, int) and policy.capacity >= 1,
        f"capacity must be a whole number of conversations, 1 or more, not {policy.capacity!r}",
    )
    describe = getattr(policy, "describe", None)
    if describe is None:
        return
    try:
        text = json.dumps(describe(), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"describe() must give what JSON can hold: {error}") from error
    _require(text == json.dumps(describe(), sort_keys=True), "describe() changes, so that no run could ever be resumed")


def it_gives_one_decision_a_request(policy: Policy) -> None:
    """For no request, for one, and for as many as it takes; and it leaves the requests as they are."""
    for size in sorted({0, 1, min(policy.capacity, 4)}):
        batch = _requests(size)
        before = copy.deepcopy([(r.messages, r.tools) for r in batch])
        decisions = policy.act(batch)
        _require(len(decisions) == size, f"{size} requests got {len(decisions)} decisions")
        for decision in decisions:
            _check_decision(decision)
        _require(before == [(r.messages, r.tools) for r in batch], "act() changed the messages or tools of a request")


def the_same_request_gets_the_same_answer(policy: Policy) -> None:
    """Twice in a row, and whatever its place in the batch."""
    size = min(policy.capacity, 4)
    batch = _requests(size)
    first = [decision.action for decision in policy.act(batch)]
    _require(first == [decision.action for decision in policy.act(batch)], "the same batch got other answers")
    turned = [decision.action for decision in policy.act(batch[::-1])][::-1]
    _require(first == turned, "the order of a batch changes its answers: are decisions in the order of the requests?")


def strange_conversations_are_answered(policy: Policy) -> None:
    """Empty, long and odd messages get a decision, which may be an error or say that the context is full."""
    for content in ("", "é中🙂\u202e", "\x00\x1b[31m", "<|im_end|><s>[INST]{{ 1/0 }}", "word " * 20_000):
        request = replace(_requests(1)[0], messages=[{"role": "user", "content": content}])
        decisions = policy.act([request])
        _require(len(decisions) == 1, f"the message {content!r:.40} got {len(decisions)} decisions")
        _check_decision(decisions[0])


def a_streaming_policy_decides_each_request_once(policy: Policy) -> None:
    """Also after :meth:`~acenv.types.StreamingPolicy.cancel`; for policies that do not stream the check passes."""
    if not isinstance(policy, StreamingPolicy):
        return
    batch = _requests(min(policy.capacity, 4))
    policy.submit(batch)
    policy.cancel()
    _require(not policy.collect(0.05), "a request that was cancelled was decided all the same")
    policy.submit(batch)
    decided: list[int] = []
    while len(decided) < len(batch):
        found = policy.collect(_COLLECT_SECONDS)
        _require(bool(found), f"no decision came within {_COLLECT_SECONDS:.0f} seconds")
        for slot, decision in found:
            _check_decision(decision)
            decided.append(slot)
    _require(sorted(decided) == [r.slot for r in batch], f"slots {decided} were decided, of {[r.slot for r in batch]}")


def what_it_scores_has_a_row_for_each_token(policy: Policy) -> None:
    """Where there is ``score()``; it never gives zeros for what it cannot compute."""
    score = getattr(policy, "score", None)
    if score is None:
        return
    request = _requests(1)[0]
    answer: Message = {"role": "assistant", "content": "look at the door"}
    outputs = list(score([Conversation([*request.messages, answer], request.tools)]))
    _require(len(outputs) == 1, f"one conversation gave {len(outputs)} outputs")
    tokens = len(outputs[0].token_ids)
    _require(tokens > 0, "no token of the assistant's message was found")
    for name in ("logits", "hidden"):
        matrix = getattr(outputs[0], name)
        _require(matrix is not None and matrix.shape[0] == tokens, f"{name} must have {tokens} rows")
        _require(bool(matrix.any()), f"{name} are all 0: raise an error where they cannot be computed")


POLICY_CHECKS: tuple[Callable[[Policy], None], ...] = (
    it_has_a_name_and_a_capacity,
    it_gives_one_decision_a_request,
    the_same_request_gets_the_same_answer,
    strange_conversations_are_answered,
    a_streaming_policy_decides_each_request_once,
    what_it_scores_has_a_row_for_each_token,
)
"""The checks of :func:`check_policy` that need no environment."""


def _acts(policy: Policy, env_id: str) -> None:
    results = evaluate(env_id, policy, range(2), env_kwargs={"difficulty": "easy"})
    for episode in results.errors:
        raise AssertionError(f"{episode.env_id} seed {episode.seed} ended with an error: {episode.error}")


def _named(policy: Policy, name: str, check: Callable[[], None]) -> None:
    where = f"{getattr(policy, 'name', type(policy).__name__)}: {name.replace('_', ' ')}"
    try:
        check()
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error


def _requests(number: int) -> Sequence[Request]:
    return [
        Request(
            slot=i,
            seed=i,
            step=0,
            messages=[{"role": "system", "content": "You are in a house."}, {"role": "user", "content": f"Door {i}?"}],
            tools=[_TOOL],
            expert=lambda: "look at the door",
        )
        for i in range(number)
    ]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _check_decision(decision: Any) -> None:
    _require(isinstance(decision, Decision), f"a decision must be an acenv.Decision, not {type(decision).__name__}")
    _require(isinstance(decision.action, str), f"an action must be text, not {type(decision.action).__name__}")
    _require(
        decision.finish in ("stop", "length", "context"), f"finish must be stop, length or context: {decision.finish!r}"
    )
    _require(
        decision.usage.prompt_tokens >= 0 and decision.usage.completion_tokens >= 0,
        f"impossible usage {decision.usage}",
    )
