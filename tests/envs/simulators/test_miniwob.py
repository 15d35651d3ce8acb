"""MiniWoB: pages as text and actions in words, in the real browser."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import acenv

if reason := acenv.registry.missing("acenv/MiniWoB-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators.browser import BrowserError
from acenv.envs.simulators.miniwob import KEYS
from acenv.envs.simulators.miniwob_tasks import TASKS, expert, pages
from acenv.types import Decision, Request


@pytest.fixture(scope="module")
def env() -> Iterator[Any]:
    """One environment with one browser for most tests; they say themselves which task it opens."""
    env = gymnasium.make("acenv/MiniWoB-v0", render_mode="ansi").unwrapped
    yield env
    env.close()


def start(env: Any, task: str, seed: int = 0) -> str:
    env.name = task
    messages, info = env.reset(seed=seed)
    assert info["labels"]["task"] == task
    return str(messages[-1]["content"])


def step(env: Any, action: Any) -> tuple[str, float, bool, dict[str, float]]:
    messages, reward, terminated, truncated, info = env.step(action)
    return messages[-1]["content"], reward, terminated or truncated, info["metrics"]


def test_all_drawn_tasks_have_a_page() -> None:
    names = [name for group in TASKS.values() for name in group]
    assert len(names) == len(set(names))
    assert all((pages() / f"{name}.html").exists() for name in names)


@pytest.mark.parametrize("task", [*TASKS["easy"], "choose-list", "click-checkboxes", "login-user"])
def test_rules_solve_easy_tasks(env: Any, task: str) -> None:
    start(env, task, seed=1)
    total, over = 0.0, False
    while not over:
        _, reward, over, metrics = step(env, env.expert_action())
        total += reward
    assert total == metrics["success"] == metrics["raw_reward"] == metrics["grounding"] == 1.0


def test_a_wrong_click_ends_the_task_without_reward(env: Any) -> None:
    page = start(env, "click-test-2")
    number = page.split('] button "TWO"')[0].rpartition("[")[2]
    observation, reward, over, metrics = step(env, f"Action: click [{number}]")
    assert over
    assert (reward, metrics["raw_reward"]) == (0.0, -1.0)
    assert "not done right" in observation


def test_the_same_seed_gives_the_same_pages(env: Any) -> None:
    seen = []
    other = gymnasium.make("acenv/MiniWoB-v0", task="click-checkboxes").unwrapped
    try:
        for one in (env, other):
            seen.append(start(one, "click-checkboxes", seed=3))
            for _ in range(2):
                seen.append(step(one, one.expert_action())[0])
        assert seen[:3] == seen[3:]
        assert start(env, "click-checkboxes", seed=4) != seen[0]
    finally:
        other.close()


def test_numbers_stay_and_states_change(env: Any) -> None:
    start(env, "enter-password")
    first, second = (e for e in env._page.elements if e.role == "text box")
    page = step(env, f'type [{first.ref}] "some words"')[0]
    assert f'[{first.ref}] text box with the text "some words"' in page
    page = step(env, f"type [{first.ref}] 'it''s new'")[0]
    assert f"[{first.ref}] text box with the text \"it''s new\" (focused)" in page
    page = step(env, "press tab")[0]
    assert f"[{second.ref}] text box (focused)" in page
    step(env, "press Ctrl+A")
    page = step(env, f'type [{first.ref}] ""')[0]
    assert f"[{first.ref}] text box (focused)" in page


def test_valid_actions_can_be_carried_out(env: Any) -> None:
    start(env, "choose-list", seed=2)
    listed = step(env, "check valid actions")[0]
    assert 'select [4] "' in listed
    assert "press Enter" in listed
    for action in [a for a in env.valid_actions() if not a.startswith("click")]:
        metrics = step(env, action)[3]
        assert metrics["grounding"] == 1.0


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ("click [999]", "no thing with the number 999"),
        ('type [5] "x"', "no text box"),
        ('select [5] "x"', "is no list"),
        ("press F12", "no such key"),
        ("press Ctrl+L", "no such key"),
        ("open http://example.org", "This is no action"),
        ("<script>alert(1)</script>", "This is no action"),
    ],
)
def test_what_cannot_be_done_is_said(env: Any, action: str, answer: str) -> None:
    start(env, "click-test-2")
    observation, _, over, metrics = step(env, action)
    assert answer in observation
    assert not over
    assert metrics["grounding"] == 0.0


def test_typed_text_is_only_typed(env: Any) -> None:
    start(env, "enter-text")
    box = next(e for e in env._page.elements if e.role == "text box")
    attack = '"); core.endEpisode(1); document.title="taken"; ("<img src=x onerror=core.endEpisode(1)>'
    observation, reward, over, _ = step(env, f"type [{box.ref}] {attack}")
    assert not over
    assert env._page.find(box.ref).value == attack
    for text in ("\ue009a", "tab\tkey", "🙂"):
        assert "cannot be typed" in step(env, f"type [{box.ref}] {text}")[0]
    step(env, "press Enter")
    assert env._browser.run("return [document.title, window.history.length > 50]") == ["Enter Text Task", False]


def test_a_form_cannot_be_sent_off_the_page(env: Any) -> None:
    start(env, "guess-number")
    box = next(e for e in env._page.elements if e.role == "text box")
    step(env, f"type [{box.ref}] 3")
    observation, _, _, _ = step(env, "press Enter")
    assert "left the page" not in observation


def test_a_thousand_actions_raise_nothing(env: Any) -> None:
    rng = random.Random(0)
    start(env, "login-user")
    env.action_space.seed(0)
    for number in range(1000):
        action = rng.choice(
            [
                env.action_space.sample(),
                f"click [{rng.randint(-2, 99)}",
                f"type [{rng.randint(20, 30)}] {'ab' * 300}",
                "select [] ''",
                None,
                "\ud800",
                "x" * 30_000,
                "press ",
                "scroll sideways",
            ]
        )
        if number % 100 == 0:
            action = rng.choice(env.valid_actions())
        if step(env, action)[2]:
            start(env, "login-user", seed=number)


def crash(env: Any) -> None:
    """Kill the browser of an environment: what the driver below its guardian has started."""
    pids = [env._browser._process.pid]
    for _ in range(2):
        listings = [path.read_text() for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/children")]
        pids = [int(pid) for listing in listings for pid in listing.split()]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_a_crashed_browser_is_an_error_and_the_next_reset_starts_another(env: Any) -> None:
    start(env, "click-test")
    crash(env)
    with pytest.raises(BrowserError, match="the browser failed"):
        env.step("click [4]")
    with pytest.raises(BrowserError, match="reset"):
        env.step("click [4]")
    assert "Click Me!" in start(env, "click-test")


class Vandal:
    """Crashes the browser in the first of two episodes."""

    name = "vandal"
    capacity = 1

    def act(self, batch: Sequence[Request]) -> Sequence[Decision]:
        (request,) = batch
        if request.seed == 0:
            crash(request.expert.__self__)  # type: ignore[union-attr]
        return [Decision("click [4]")]


def test_an_episode_whose_browser_crashes_is_recorded_as_an_error() -> None:
    results = acenv.evaluate("acenv/MiniWoB-v0", Vandal(), [0, 1], slots=1, env_kwargs={"task": "click-test"})
    first, second = results.episodes
    assert first.error is not None
    assert "the browser failed" in first.error
    assert second.error is None
    assert second.return_ == 1.0


def test_snapshots_are_refused_and_there_is_no_expert_for_all(env: Any) -> None:
    start(env, "click-button-sequence")
    with pytest.raises(NotImplementedError, match="cannot be branched"):
        env.snapshot()
    with pytest.raises(NotImplementedError, match="no rules for 'click-button-sequence'"):
        env.expert_action()
    with pytest.raises(NotImplementedError, match="do not fit"):
        expert("choose-list", env._page)


def test_unknown_tasks_are_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="click-test"):
        gymnasium.make("acenv/MiniWoB-v0", task="click-tset")


def test_the_list_of_keys_has_no_way_out() -> None:
    assert not {key for key in KEYS if key.lower().startswith(("f1", "alt", "meta", "ctrl+l", "ctrl+t", "ctrl+n"))}
