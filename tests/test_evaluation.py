from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import acenv
from acenv.evaluation import PolicyError
from acenv.runs import Results, RunError
from acenv.types import Decision, Request, Usage

EASY = {"difficulty": "easy"}


class Expert:
    """The oracle, with a hook."""

    name = "expert"

    def __init__(self, capacity: int = 4, change: Any = None) -> None:
        self.capacity = capacity
        self.change = change
        self.batches: list[list[Request]] = []

    def act(self, batch: Sequence[Request]) -> Sequence[Decision]:
        self.batches.append(list(batch))
        decisions = [Decision(r.expert() if r.expert else "", Usage(10, 5)) for r in batch]
        return [self.change(r, d) if self.change else d for r, d in zip(batch, decisions, strict=True)]


class SlowEnv(gymnasium.Env[Any, Any]):
    """Seed 0 waits in every step until all others are through."""

    others_done = threading.Event()
    finished = 0

    def __init__(self, difficulty: str = "easy") -> None:
        from acenv.spaces import Messages, Text

        self.observation_space, self.action_space = Messages(), Text()
        self.seed = -1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.seed = seed or 0
        return [{"role": "user", "content": str(seed)}], {}

    def step(self, action: str) -> Any:
        if self.seed == 0:
            assert SlowEnv.others_done.wait(20)
        elif self.seed == 99:
            raise OSError("the simulator is gone")
        else:
            SlowEnv.finished += 1
            if SlowEnv.finished == 12:
                SlowEnv.others_done.set()
        return [{"role": "user", "content": "done"}], 1.0, True, False, {"metrics": {"success": 1.0}}


@pytest.fixture
def slow_env() -> Iterator[str]:
    gymnasium.register("acenv/SlowForTests-v0", entry_point=SlowEnv, disable_env_checker=True)
    SlowEnv.others_done.clear()
    SlowEnv.finished = 0
    yield "acenv/SlowForTests-v0"
    del gymnasium.registry["acenv/SlowForTests-v0"]


def strip(results: Results) -> list[Any]:
    return sorted((replace(e, seconds=0.0) for e in results.episodes), key=lambda e: e.key)


def test_results_do_not_depend_on_slots_or_workers() -> None:
    base = acenv.evaluate("quick", Expert(4), range(6), env_kwargs=EASY)
    assert len(base) == 24 and set(base.returns().values()) == {1.0}
    for slots, workers, capacity in ((1, 1, 4), (7, 2, 3), (40, None, 16)):
        other = acenv.evaluate("quick", Expert(capacity), range(6), slots=slots, workers=workers, env_kwargs=EASY)
        assert strip(other) == strip(base)
        assert other.transcript(("acenv/PDDL-v0", 3)) == base.transcript(("acenv/PDDL-v0", 3))


def test_a_batch_is_never_larger_than_the_policy_takes() -> None:
    policy = Expert(capacity=3)
    acenv.evaluate("ToolSandbox", policy, range(8), slots=8, env_kwargs=EASY)
    assert max(len(batch) for batch in policy.batches) == 3


def test_a_slot_stays_with_its_episode() -> None:
    policy = Expert(capacity=5)
    acenv.evaluate("worlds", policy, range(9), env_kwargs=EASY)
    last: dict[int, Request] = {}
    for request in (r for batch in policy.batches for r in batch):
        if request.step:
            assert last[request.slot].seed == request.seed
            assert last[request.slot].step == request.step - 1
        last[request.slot] = request


def test_a_slow_environment_holds_up_nobody_else(slow_env: str) -> None:
    results = acenv.evaluate(slow_env, Expert(capacity=3), range(13), slots=3)
    assert len(results) == 13 and set(results.returns().values()) == {1.0}


class Streaming(Expert):
    """The oracle; seed 0 waits for its first decision until nothing else can be decided."""

    def __init__(self, capacity: int = 4) -> None:
        super().__init__(capacity)
        self.waiting: dict[int, Request] = {}
        self.order: list[int] = []
        self.most = 0
        self.cancelled = 0

    def submit(self, batch: Sequence[Request]) -> None:
        assert not self.waiting.keys() & {request.slot for request in batch}
        self.waiting |= {request.slot: request for request in batch}
        self.most = max(self.most, len(self.waiting))

    def collect(self, timeout: float | None = None) -> Sequence[tuple[int, Decision]]:
        quick = [r for r in self.waiting.values() if r.seed or r.step]
        if timeout is not None and not quick:
            time.sleep(timeout)
            return []
        now = quick[:1] or list(self.waiting.values())
        self.order += [r.seed for r in now]
        return [(self.waiting.pop(r.slot).slot, *self.act([r])) for r in now]

    def cancel(self) -> None:
        self.waiting.clear()
        self.cancelled += 1


def test_a_long_answer_holds_up_no_short_one() -> None:
    policy = Streaming(capacity=3)
    results = acenv.evaluate("ToolSandbox", policy, range(8), slots=5, env_kwargs=EASY)
    assert strip(results) == strip(acenv.evaluate("ToolSandbox", Expert(), range(8), env_kwargs=EASY))
    first = policy.order.index(0)
    assert set(policy.order[:first]) == set(range(1, 8)) and set(policy.order[first:]) == {0}
    assert policy.most == 3 and policy.cancelled == 1


def test_a_streaming_policy_may_only_decide_what_was_asked() -> None:
    class Wrong(Streaming):
        def collect(self, timeout: float | None = None) -> Sequence[tuple[int, Decision]]:
            return [(77, Decision(""))]

    policy = Wrong()
    with pytest.raises(PolicyError, match="slot 77, which had not asked"):
        acenv.evaluate("worlds", policy, range(2), env_kwargs=EASY)
    assert policy.cancelled == 1 and not policy.waiting


def test_log_probabilities_are_recorded(tmp_path: Path) -> None:
    def change(request: Request, decision: Decision) -> Decision:
        return replace(decision, logprobs=(-0.5, -0.25)) if request.seed else decision

    results = acenv.evaluate("worlds", Expert(change=change), range(2), env_kwargs=EASY, out=tmp_path)
    steps = {t.seed: t.steps for t in results.transcripts()}
    assert {step.logprobs for step in steps[0]} == {None}
    assert all(list(step.logprobs or ()) == [-0.5, -0.25] for step in steps[1])


def test_a_failing_environment_is_an_error_and_no_zero(slow_env: str) -> None:
    results = acenv.evaluate(slow_env, Expert(), [1, 99, 2])
    assert results.returns() == {(slow_env, 1): 1.0, (slow_env, 2): 1.0}
    (failed,) = results.errors
    assert failed.seed == 99 and math.isnan(failed.return_)
    assert failed.error == "environment step failed: OSError: the simulator is gone"


def test_a_decision_can_report_a_fault_or_a_full_context() -> None:
    def change(request: Request, decision: Decision) -> Decision:
        if request.seed == 1:
            return Decision("", error="no answer from the server")
        if request.seed == 2 and request.step == 1:
            return Decision("", finish="context")
        return decision

    results = acenv.evaluate("worlds", Expert(change=change), range(4), env_kwargs=EASY)
    episodes = {e.seed: e for e in results.episodes}
    assert episodes[1].error == "policy: no answer from the server"
    assert episodes[2].truncated and episodes[2].error is None and 0 <= episodes[2].return_ < 1
    assert results.transcript(("acenv/PDDL-v0", 2)).steps[-1].finish == "context"
    assert episodes[3].return_ == 1.0
    assert episodes[3].usage == Usage(10 * episodes[3].length, 5 * episodes[3].length)


def test_plain_functions_act() -> None:
    assert acenv.evaluate("needle", lambda messages: "", range(3), env_kwargs=EASY).mean_returns() == {
        "acenv/Needle-v0": 0.0
    }


def test_a_policy_that_breaks_its_contract_is_told_how() -> None:
    class Short(Expert):
        def act(self, batch: Sequence[Request]) -> Sequence[Decision]:
            return list(super().act(batch))[1:]

    class Strings(Expert):
        def act(self, batch: Sequence[Request]) -> Any:
            return ["go" for _ in batch]

    with pytest.raises(PolicyError, match="4 requests with 3 decisions"):
        acenv.evaluate("worlds", Short(), range(4), env_kwargs=EASY)
    with pytest.raises(PolicyError, match="a str, not a Decision"):
        acenv.evaluate("worlds", Strings(), range(4), env_kwargs=EASY)


def test_settings_that_make_no_sense_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no environment or suite"):
        acenv.evaluate("nothing", "oracle")
    with pytest.raises(ValueError, match="slots"):
        acenv.evaluate("quick", "oracle", slots=0)
    with pytest.raises(ValueError, match="seeds"):
        acenv.evaluate("quick", "oracle", [-1])
    with pytest.raises(ValueError, match="difficulty"):
        acenv.evaluate("quick", "oracle", out=tmp_path / "run", env_kwargs={"difficulty": "no"})
    assert not (tmp_path / "run").exists()


def test_finished_episodes_are_on_disk_before_the_next_batch(tmp_path: Path) -> None:
    seen: list[int] = []

    def count(request: Request, decision: Decision) -> Decision:
        path = tmp_path / "episodes.jsonl"
        seen.append(len(path.read_text().splitlines()) if path.exists() else 0)
        return decision

    acenv.evaluate("needle", Expert(1, count), range(4), out=tmp_path, env_kwargs={**EASY, "needles": 1})
    assert seen == [0, 1, 2, 3]


def test_a_run_is_taken_up_again_and_refuses_another_policy(tmp_path: Path) -> None:
    class Tired(Expert):
        def act(self, batch: Sequence[Request]) -> Sequence[Decision]:
            if len(self.batches) == 5:
                raise RuntimeError("power cut")
            return super().act(batch)

    with pytest.raises(RuntimeError, match="power cut"):
        acenv.evaluate("quick", Tired(), range(5), out=tmp_path, env_kwargs=EASY)
    done = {e.key for e in Results.load(tmp_path).episodes}
    assert 0 < len(done) < 20
    policy = Expert()
    results = acenv.evaluate("quick", policy, range(5), out=tmp_path, env_kwargs=EASY)
    assert len(results) == 20 and set(results.returns().values()) == {1.0}
    assert len((tmp_path / "episodes.jsonl").read_text().splitlines()) == 20
    with pytest.raises(RunError, match="policy.name"):
        acenv.evaluate("quick", "oracle", range(5), out=tmp_path, env_kwargs=EASY)


def test_a_record_that_cannot_be_scored_is_an_error_and_no_zero(tmp_path: Path) -> None:
    gold = "Node:\n1: a\n2: b\nEdge: (START,1) (1,2) (2,1) (2,END)"  # a cycle: no order of its nodes is right
    roles = (("user", "Do it."), ("assistant", gold))
    record = {"conversations": [{"role": role, "content": content} for role, content in roles], "id": "x_0"}
    path = tmp_path / "graph_eval.json"
    path.write_text(json.dumps([record]))
    results = acenv.evaluate("WorkflowOpenGrounded", "oracle", range(2), env_kwargs={"source": str(path)})
    assert results.returns() == {} and len(results.errors) == 2
    assert all(str(e.error).startswith("unscored: ") for e in results.errors)


def test_keywords_for_one_environment_and_labels_of_the_tasks(tmp_path: Path) -> None:
    keywords = {"difficulty": "easy", "acenv/LongGenBench-v0": {"task": "mmlu"}, "acenv/Ruler-v0": {"task": "vt"}}
    acenv.evaluate(["LongGenBench", "Ruler"], "oracle", range(3), env_kwargs=keywords, out=tmp_path)
    loaded = acenv.Results.load(tmp_path)
    assert {(e.env_id, e.labels["task"]) for e in loaded.episodes} == {
        ("acenv/LongGenBench-v0", "mmlu"),
        ("acenv/Ruler-v0", "vt"),
    }
    with pytest.raises(ValueError, match="must be an object"):
        acenv.evaluate("Ruler", "oracle", range(1), env_kwargs={"acenv/Ruler-v0": "vt"})
