from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import acenv
from acenv.analysis.attribution import Attribution
from acenv.runs import RunError
from acenv.studies.attribute import attribute
from acenv.types import Decision, Request, Usage

ENV = "acenv/ChoicesForTests-v0"
LENGTH = 5


def score(actions: Sequence[str], seed: int, goal: str = "right") -> float:
    """Seed 0: a fifth of the return for each right action. Others: any function of all that was done."""
    if seed == 0:
        return sum(action == goal for action in actions) / LENGTH
    return (hash_of((seed, *actions)) % 1000) / 1000


def hash_of(value: object) -> int:
    return sum((i + 1) * ord(c) * 7919 for i, c in enumerate(repr(value)))


class ChoicesEnv(gymnasium.Env[Any, Any]):
    """Five decisions; an action that starts with 'stop' ends it. ``branches`` says how the state can be had again."""

    resets = 0
    wobbles = False

    def __init__(self, branches: str = "snapshot") -> None:
        from acenv.spaces import Messages, Text

        self.observation_space, self.action_space = Messages(), Text()
        if branches == "snapshot":
            self.snapshot = lambda: (self.task, list(self.actions), self.total)  # type: ignore[method-assign]
            self.restore = self.put_back  # type: ignore[method-assign]
        elif branches == "refused":
            self.snapshot = self.refuse  # type: ignore[method-assign]

    def refuse(self) -> None:
        raise NotImplementedError("pages have no state that could be put back")

    def put_back(self, snapshot: Any) -> Any:
        self.task, actions, self.total = snapshot
        self.actions = list(actions)
        return self.messages()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        ChoicesEnv.resets += 1
        self.task, self.actions, self.total = int(seed or 0), [], 0.0
        return self.messages(), {"metrics": {"success": 0.0}}

    def step(self, action: str) -> Any:
        if action == "crash":
            raise OSError("the simulator is gone")
        self.actions.append(action)
        total = score(self.actions, self.task)
        if ChoicesEnv.wobbles:
            total = (total + ChoicesEnv.resets * 0.01) % 1.0
        reward, self.total = total - self.total, total
        over = action.startswith("stop") or len(self.actions) == LENGTH
        return self.messages(), reward, over, False, {"metrics": {"success": total}}

    def messages(self) -> list[dict[str, str]]:
        said = [{"role": "user", "content": f"task {self.task}"}]
        for i, action in enumerate(self.actions):
            said += [{"role": "assistant", "content": action}, {"role": "user", "content": f"step {i + 1}"}]
        return said


@pytest.fixture(autouse=True)
def choices_env() -> Iterator[None]:
    gymnasium.register(ENV, entry_point=ChoicesEnv, disable_env_checker=True, order_enforce=False)
    ChoicesEnv.wobbles, ChoicesEnv.resets = False, 0
    yield
    del gymnasium.registry[ENV]


class Scripted:
    """Decides by a function of what was done so far."""

    def __init__(self, name: str, choose: Callable[[int, list[str]], str | Decision], capacity: int = 3) -> None:
        self.name, self.capacity, self.choose = name, capacity, choose
        self.asked = 0

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        self.asked += len(batch)
        decisions = []
        for request in batch:
            actions = [m["content"] for m in request.messages if m["role"] == "assistant"]
            answer = self.choose(int(request.messages[0]["content"].split()[1]), actions)
            decisions.append(answer if isinstance(answer, Decision) else Decision(answer, Usage(1, 1)))
        return decisions


def right(seed: int, actions: list[str]) -> str:
    return "right"


def wrong_at(*steps: int) -> Callable[[int, list[str]], str]:
    return lambda seed, actions: "wrong" if len(actions) in steps else "right"


def total(found: Attribution) -> None:
    for e in found.episodes:
        for path in (e.path, e.base_path):
            assert math.fsum(d.share for d in path) == pytest.approx(e.lost, abs=1e-12)
            assert all(d.step >= e.first for d in path)  # type: ignore[operator]


@pytest.mark.parametrize("branches", ["snapshot", "refused", "none"])
def test_known_mistakes_cost_what_they_cost(branches: str) -> None:
    found = attribute(
        Scripted("base", right),
        Scripted("small", wrong_at(1, 3)),
        ENV,
        [0],
        env_kwargs={"branches": branches},
    )
    (episode,) = found.episodes
    assert (episode.base_return, episode.compressed_return, episode.first) == (
        pytest.approx(1.0),
        pytest.approx(0.6),
        1,
    )
    for path in (episode.path, episode.base_path):
        assert [(d.step, d.share, d.alone, d.pooled) for d in path] == [
            (1, pytest.approx(0.2), pytest.approx(0.2), 1),
            (3, pytest.approx(0.2), pytest.approx(0.2), 1),
        ]
    assert [(d.base, d.compressed) for d in episode.path] == [("right", "wrong")] * 2
    assert found.loss().estimate == pytest.approx(0.4)
    assert [(g.name, g.differing, round(g.share.estimate, 9)) for g in found.by_kind()] == [("text", 2, 1.0)]
    assert {g.name: (g.decisions, g.differing) for g in found.by_step()} == {
        "0": (1, 0),
        "1": (1, 1),
        "2": (1, 0),
        "3": (1, 1),
        "4": (1, 0),
    }


def test_an_early_end_costs_all_that_the_base_would_still_have_won() -> None:
    found = attribute(
        Scripted("base", right), Scripted("small", lambda s, a: "stop" if len(a) == 2 else "right"), ENV, [0]
    )
    (episode,) = found.episodes
    (deviation,) = episode.path
    assert (deviation.step, deviation.share, deviation.alone) == (2, pytest.approx(0.6), pytest.approx(0.6))
    # Along the base's path the compressed model would stop at every later step too, at once or with less to lose.
    assert [round(d.alone, 9) for d in episode.base_path] == [0.6]


def test_the_state_is_not_left_by_what_both_decide_alike() -> None:
    base, small = Scripted("base", right), Scripted("small", right)
    found = attribute(base, small, ENV, range(6))
    assert [e.first for e in found.episodes] == [None] * 6
    assert base.asked == small.asked == 6 * LENGTH  # both episodes, and no branch
    assert found.loss().estimate == 0.0 and found.by_kind() == ()
    assert found.effort.rollouts == 12 and found.effort.walks == 0


def test_runs_that_are_there_are_not_run_again() -> None:
    base, small = Scripted("base", right), Scripted("small", wrong_at(2))
    runs = acenv.evaluate(ENV, base, range(4)), acenv.evaluate(ENV, small, range(4))
    fresh = attribute(base, small, ENV, range(4))
    base.asked = small.asked = 0
    again = attribute(base, small, ENV, range(4), runs=runs)
    assert again.episodes == fresh.episodes
    assert base.asked + small.asked == again.effort.decisions < fresh.effort.decisions
    with pytest.raises(ValueError, match="not the same tasks"):
        attribute(base, small, ENV, range(4), runs=runs, env_kwargs={"branches": "none"})


@st.composite
def policies(draw: st.DrawFn) -> tuple[Scripted, Scripted]:
    salts = draw(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)))
    agreement = draw(st.integers(0, 10))
    vocabulary = ["right", "wrong", "", "stop", "ri"][: draw(st.integers(2, 5))]

    def choose(salt: int) -> Callable[[int, list[str]], str]:
        def answer(seed: int, actions: list[str]) -> str:
            own = salt if hash_of((seed, actions, "x")) % 10 >= agreement else 0
            return vocabulary[hash_of((own, seed, actions)) // 7919 % len(vocabulary)]

        return answer

    return Scripted("base", choose(salts[0] + 1)), Scripted("small", choose(salts[1] + 1))


@settings(max_examples=40)
@given(pair=policies(), bound=st.one_of(st.none(), st.integers(1, 4)))
def test_the_parts_add_up_to_the_loss(pair: tuple[Scripted, Scripted], bound: int | None) -> None:
    found = attribute(*pair, ENV, range(4), max_branches=bound, workers=1)
    assert len(found.episodes) == 4 and not found.excluded
    total(found)
    for e in found.episodes:
        assert (e.first is None) == (not e.path) == (not e.base_path)
        assert e.truncated == (bound is not None and max(len(e.path), len(e.base_path)) > bound)
    whole = found.loss().estimate
    for groups in (found.by_kind(), found.by_context(), found.by_step()):
        assert math.fsum(g.cost.estimate for g in groups) == pytest.approx(whole, abs=1e-9)
    for groups in (found.by_context(), found.by_step()):  # kinds that only the base's path has are left out
        assert math.fsum(g.other_order.estimate for g in groups) == pytest.approx(whole, abs=1e-9)


@settings(max_examples=15)
@given(pair=policies())
def test_the_values_are_those_of_rollouts_done_by_hand(pair: tuple[Scripted, Scripted]) -> None:
    base, small = pair

    def play(actions: list[str], policy: Scripted) -> float:
        while len(actions) < LENGTH and not (actions and actions[-1].startswith("stop")):
            actions = [*actions, str(policy.choose(1, actions))]
        return score(actions, 1)

    (episode,) = attribute(base, small, ENV, [1], max_branches=None, workers=1).episodes
    ours: list[str] = []
    for deviation in episode.path:
        while len(ours) < deviation.step:
            ours.append(str(small.choose(1, ours)))
        after = [*ours, str(small.choose(1, ours))]
        assert deviation.share == pytest.approx(play(ours, base) - play(after, base))
        mended = play([*ours, str(base.choose(1, ours))], small)
        assert deviation.alone == pytest.approx(mended - episode.compressed_return)
    theirs: list[str] = []
    for deviation in episode.base_path:
        while len(theirs) < deviation.step:
            theirs.append(str(base.choose(1, theirs)))
        after = [*theirs, str(base.choose(1, theirs))]
        assert deviation.share == pytest.approx(play(after, small) - play(theirs, small))
        swapped = play([*theirs, str(small.choose(1, theirs))], base)
        assert deviation.alone == pytest.approx(episode.base_return - swapped)


def test_faults_are_excluded_and_counted() -> None:
    def faulty(seed: int, actions: list[str]) -> str | Decision:
        if seed == 1:
            return Decision("", error="no answer from the server")
        if seed == 2 and len(actions) == 2:
            return "crash"
        return "wrong" if len(actions) == 1 else "right"

    found = attribute(Scripted("base", right), Scripted("small", faulty), ENV, range(4))
    assert {e.seed for e in found.episodes} == {0, 3}
    reasons = {e.seed: e.reason for e in found.excluded}
    assert "no answer from the server" in reasons[1] and "the simulator is gone" in reasons[2]
    assert "2 episodes are in no figure" in found.sentences()[-1]
    nothing = attribute(Scripted("base", right), Scripted("small", faulty), ENV, [1])
    assert nothing.episodes == () and "nothing to explain" in nothing.sentences()[0]
    assert Attribution.from_dict(json.loads(json.dumps(nothing.to_dict(), allow_nan=False))) == nothing


def test_an_environment_that_does_not_repeat_itself_is_not_explained() -> None:
    ChoicesEnv.wobbles = True
    found = attribute(
        Scripted("base", right), Scripted("small", wrong_at(1)), ENV, [0, 3], env_kwargs={"branches": "none"}
    )
    assert len(found.excluded) == 2
    assert all("did not repeat itself" in e.reason for e in found.excluded)


def test_a_context_that_is_full_ends_a_branch_and_has_a_kind() -> None:
    def full(seed: int, actions: list[str]) -> str | Decision:
        return Decision("", finish="context") if len(actions) >= 3 else "right"

    found = attribute(Scripted("base", right), Scripted("small", full), ENV, [0])
    (episode,) = found.episodes
    (deviation,) = episode.path
    assert (deviation.step, deviation.kind, round(deviation.share, 9)) == (3, "cut off", 0.4)
    total(found)


def test_what_was_stopped_goes_on_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    out = tmp_path / "attribution.json"
    tired = Scripted("small", wrong_at(1, 2), capacity=1)
    inner = tired.choose

    def choose(seed: int, actions: list[str]) -> str | Decision:
        if seed == 9 and tired.asked:
            raise KeyboardInterrupt
        return inner(seed, actions)

    tired.choose = choose
    base = Scripted("base", right, capacity=1)
    with pytest.raises(KeyboardInterrupt):
        attribute(base, tired, ENV, range(12), out=out)
    assert not out.exists()
    partial = tmp_path / ".attribution.json.partial"
    assert len(partial.read_text().splitlines()) > 3
    with partial.open("a") as file:
        file.write('{"episode": {"env')  # a line that a crash has torn
    fresh = Scripted("small", wrong_at(1, 2), capacity=1)
    found = attribute(base, fresh, ENV, range(12), out=out)
    assert not partial.exists()
    undisturbed = Scripted("small", wrong_at(1, 2), capacity=1)
    assert attribute(base, undisturbed, ENV, range(12)).episodes == found.episodes
    assert fresh.asked < undisturbed.asked
    assert Attribution.from_dict(json.loads(out.read_text())) == found
    assert found.effort == attribute(base, undisturbed, ENV, range(12)).effort


def test_draws_are_averaged_over() -> None:
    class Sampling(Scripted):
        def describe(self) -> dict[str, Any]:
            return {"temperature": 1.0}

        def act(self, batch: Sequence[Request]) -> list[Decision]:
            return [Decision("wrong" if hash_of((r.seed, r.step)) % 3 == 0 else "right") for r in batch]

    found = attribute(Scripted("base", right), Sampling("small", right), ENV, [0], replicates=20)
    assert len(found.episodes) == 20 and len({e.compressed_return for e in found.episodes}) > 2
    total(found)
    assert found.loss().estimate == pytest.approx(sum(e.lost for e in found.episodes) / 20)
    assert math.isnan(found.loss().low)  # one task, however often it is played
    once = attribute(Scripted("base", right), Sampling("small", right), ENV, [0])
    assert any("draw their tokens" in sentence for sentence in once.sentences())


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    pair = Scripted("base", right), Scripted("small", right)
    for options in ({"replicates": 0}, {"max_branches": 0}, {"workers": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            attribute(*pair, ENV, [0], **options)  # type: ignore[arg-type]
    for seeds in ([], [-1]):
        with pytest.raises(ValueError, match="seeds"):
            attribute(*pair, ENV, seeds)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        attribute(*pair, ENV, [0], out=tmp_path / "file" / "a.json")
