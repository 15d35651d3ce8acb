from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from acenv.envs.base import split_of
from acenv.envs.world.shop.environment import ShopEnv, read_action
from acenv.envs.world.shop.goals import MAX_ANSWERS, PAGE_SIZE
from acenv.envs.world.shop.index import SHOPS, open_shop
from acenv.envs.world.shop.scoring import best_reward, fits
from acenv.types import Message

DIFFICULTIES = ("easy", "medium", "hard")
BUTTON = re.compile(r"\[+([^\[\]]+)\]")


def follow(env: ShopEnv) -> tuple[list[Message], float]:
    """Follow the expert to the end of the episode; the conversation and the sum of the rewards."""
    total, over = 0.0, False
    while not over:
        messages, reward, terminated, truncated, _ = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    return messages, total


def said(env: ShopEnv, action: Any) -> str:
    """What the agent is told after an action."""
    return env.step(action)[0][-1]["content"]


def opened(seed: int = 0, difficulty: Any = "medium") -> ShopEnv:
    """An environment on the page of a product that fits."""
    env = ShopEnv(difficulty=difficulty)
    env.reset(seed=seed)
    while env.state.page != "item":
        env.step(env.expert_action())
    return env


def clicks(page: str) -> list[str]:
    """The buttons of a page, without the one that ends the episode."""
    names = [name for name in BUTTON.findall(page) if name.lower() not in ("buy now", "search")]
    return [f"click[{name}]" for name in names]


def wander(env: ShopEnv, rng: np.random.Generator, steps: int) -> None:
    """Take random buttons that are on the page."""
    page = "[Search]"
    for _ in range(steps):
        actions = clicks(page) or ["search[red lamp]", f"search[{env.task.query}]", "search[zzzz]"]
        messages, _, _, _, info = env.step(actions[int(rng.integers(len(actions)))])
        page = messages[-1]["content"]
        assert info["metrics"]["grounding"] == 1.0


@pytest.mark.parametrize(("difficulty", "split"), list(itertools.product(DIFFICULTIES, ("train", "test"))))
def test_the_expert_returns_exactly_one(difficulty: Any, split: Any) -> None:
    env = ShopEnv(difficulty=difficulty, split=split)
    for seed in range(15):
        _, info = env.reset(seed=seed)
        assert info["metrics"]["progress"] == info["metrics"]["bought"] == 0.0
        assert follow(env)[1] == 1.0
        assert all(value == 1.0 for value in env.metrics().values())
    with pytest.raises(ResetNeeded, match="bought"):
        env.expert_action()


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_expert_recovers_from_wandering(difficulty: Any) -> None:
    rng = np.random.default_rng(0)
    env = ShopEnv(difficulty=difficulty, max_steps=200)
    for seed in range(12):
        env.reset(seed=seed)
        wander(env, rng, 20)
        env.expert_action()  # asking changes nothing
        assert follow(env)[1] == 1.0
        assert env.steps < 60


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_exactly_what_fits_can_bring_the_full_reward(difficulty: Any) -> None:
    env = ShopEnv(difficulty=difficulty)
    for seed in range(8):
        env.reset(seed=seed)
        goal = env.task
        products = open_shop(difficulty, goal.split, goal.number).products
        fitting = {id_ for id_, product in products.items() if fits(product, goal.wish)}
        assert fitting == set(goal.answers)
        assert fitting == {id_ for id_, product in products.items() if best_reward(product, goal.wish) == 1.0}
        assert 1 <= len(fitting) <= MAX_ANSWERS
        for _, value in goal.wish.options:
            assert value in goal.instruction
        assert str(goal.wish.limit // 100) in goal.instruction
        if difficulty != "easy":
            assert all(attribute in goal.instruction for attribute in goal.wish.attributes)
            first = open_shop(difficulty, goal.split, goal.number).search(goal.instruction)[0]
            assert 0.0 < best_reward(products[first], goal.wish) < 1.0 or first not in goal.answers


def test_results_are_paged_and_buttons_lead_where_they_say() -> None:
    env = ShopEnv()
    env.reset(seed=2)
    first = said(env, "search[steel kettle]")
    assert first.startswith("Page 1 of 5, 50 products found")
    assert len(clicks(first)) == PAGE_SIZE["medium"] + 2
    second = said(env, "click[Next >]")
    assert second.startswith("Page 2 of 5")
    assert not set(BUTTON.findall(first)[:10]) & set(BUTTON.findall(second)[:10])
    product = BUTTON.findall(second)[3]
    page = said(env, f"click[{product.lower()}]")
    assert "Category: " in page
    assert said(env, "CLICK[ features ]").startswith("Features of ")
    assert said(env, "click[< prev]") == page
    assert said(env, "click[Description]").startswith("Description of ")
    assert said(env, "click[< Prev]") == page
    assert said(env, "click[< Prev]") == second
    assert said(env, "click[< Prev]") == first
    assert said(env, "click[Back to Search]") == "[Search]"
    assert env.metrics()["bought"] == 0.0


def test_options_and_features_are_hidden_until_a_product_is_opened() -> None:
    env = ShopEnv()
    env.reset(seed=0)
    results = said(env, env.expert_action())
    assert "colour" not in results.lower()
    assert not any(attribute in results for attribute in env.task.wish.attributes)
    page = said(env, env.expert_action())
    assert "colour: [" in page
    assert not any(f"It {attribute}" in page for attribute in env.task.wish.attributes)


def test_choices_change_the_price_and_leaving_forgets_them() -> None:
    env = opened(difficulty="hard")
    product = env._item
    option = max(product.options, key=lambda o: o.extras[-1])
    page = said(env, f"click[{option.values[-1].upper()}]")
    assert f"[[{option.values[-1]}]]" in page
    total = product.price + option.extras[-1]
    assert f"Price: ${total // 100}.{total % 100:02}" in page
    assert f"[[{option.values[0]}]]" in said(env, f"click[{option.values[0]}]")
    env.step("click[Features]")
    assert "[[" in said(env, "click[< Prev]")
    env.step("click[< Prev]")
    assert "[[" not in said(env, f"click[{product.id}]")


def test_buying_the_wrong_thing_ends_the_episode_with_webshops_reward() -> None:
    env = opened()  # the right product, but nothing is chosen
    wish = env.task.wish
    wanted = len(wish.attributes) + len(wish.options) + 1
    messages, reward, terminated, _, info = env.step("click[Buy Now]")
    assert terminated
    assert messages[-1]["content"].startswith("You bought")
    metrics = info["metrics"]
    assert reward == metrics["reward"] == pytest.approx((wanted - len(wish.options)) / wanted)
    assert metrics["success"] == metrics["option_score"] == 0.0
    assert metrics["attribute_score"] == metrics["price_score"] == metrics["bought"] == 1.0
    assert metrics["progress"] == pytest.approx((2 + reward) / 3)


def test_looking_around_earns_progress_but_no_return() -> None:
    env = ShopEnv()
    seen = []
    env.reset(seed=5)
    for action in (f"search[{env.task.query}]", f"click[{env.task.answers[0]}]", "click[< Prev]"):
        while action.startswith("click[B") and env.task.answers[0] not in {p.id for p in env._on_page()}:
            env.step("click[Next >]")
        _, reward, _, _, info = env.step(action)
        assert reward == 0.0
        seen.append(info["metrics"]["progress"])
    assert seen[0] <= 1 / 3 < seen[1] == seen[2] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        ("buy it", "Write search"),
        ("click[Buy Now]", "no such button"),
        ("click[Back to Search]", "no such button"),
        ("search[]", "words to search for"),
        ("search[ ,.! ]", "words to search for"),
    ],
)
def test_what_cannot_be_done_is_refused_and_shown_the_page(action: str, complaint: str) -> None:
    env = ShopEnv()
    env.reset(seed=0)
    messages, reward, over, _, info = env.step(action)
    assert complaint in messages[-1]["content"]
    assert messages[-1]["content"].endswith("[Search]")
    assert (reward, over, info["metrics"]["grounding"]) == (0.0, False, 0.0)


def test_searching_needs_the_search_page() -> None:
    env = opened()
    state = env.state
    assert "search page" in said(env, "search[rug]")
    assert env.state is state
    assert state.page == "item"


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("click[Next >]", ("click", "Next >")),
        ("I could click[B1].\nAction: Search[red  rug]", ("search", "red  rug")),
        ("<think>click[b1]</think>\nclick[b2]", ("click", "b2")),
        ("Let me look.\nclick [b3", ("click", "b3")),
        ("double-click", None),
        ("", None),
    ],
)
def test_actions_are_found_in_what_was_written(text: str, action: tuple[str, str] | None) -> None:
    assert read_action(text) == action


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_no_text_raises_or_reaches_the_shop(difficulty: Any) -> None:
    parts = [
        "search[",
        "click[",
        "]",
        "[",
        '"',
        "' OR 1=1 --",
        "NEAR(",
        "*",
        "< Prev",
        "Next >",
        "\x00",
        "🫖",
        "\ud800",
    ]
    rng = np.random.default_rng(1)
    env = ShopEnv(difficulty=difficulty, max_steps=10_000)
    env.patience = None
    env.action_space.seed(0)
    env.reset(seed=0)
    shop = open_shop(difficulty, "test", env.task.number)
    before = dict(shop.products), shop.search("lamp kettle")
    for i in range(1000):
        text = "".join(parts[int(k)] for k in rng.integers(len(parts), size=int(rng.integers(9))))
        _, reward, _, _, _ = env.step(text if i % 3 else env.action_space.sample())
        assert reward == 0.0
    for text in ("search[" + "a b " * 2_500_000 + "]", "search[" + "x" * 15_000 + "]", "click[" * 3000):
        env.step(text)
    assert (dict(shop.products), shop.search("lamp kettle")) == before
    if env.state.page != "search":
        env.step("click[Back to Search]")
    assert follow(env)[1] == 1.0


def test_environments_share_a_shop_between_threads() -> None:
    def run(seed: int) -> list[Message]:
        env = ShopEnv()
        env.reset(seed=seed)
        return follow(env)[0]

    alone = [run(seed) for seed in range(8)]
    open_shop.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(8))) == alone


def test_snapshots_move_between_instances() -> None:
    env, other = ShopEnv(), ShopEnv(split="train")
    env.reset(seed=4)
    env.step(env.expert_action())
    branch = env.snapshot()
    rest = follow(env)
    other.reset(seed=9)
    for target in (other, env, other):
        target.restore(branch)
        assert follow(target) == rest


def test_splits_have_their_own_shops_and_wishes() -> None:
    prints: dict[str, set[str]] = {}
    for split in ("train", "test"):
        env = ShopEnv(difficulty="easy", split=split)  # type: ignore[arg-type]
        prints[split], numbers = set(), set()
        for seed in range(150):
            env.reset(seed=seed)
            assert env.task.split == split == split_of(env.fingerprint(env.task))
            prints[split].add(env.task.instruction)
            numbers.add(env.task.number)
        assert numbers == set(range(SHOPS))
    assert not prints["train"] & prints["test"]


def test_labels_tell_department_and_level() -> None:
    found = set()
    for difficulty in DIFFICULTIES:
        env = ShopEnv(difficulty=difficulty)  # type: ignore[arg-type]
        for seed in range(8):
            env.reset(seed=seed)
            found.add((difficulty, env.labels()["level"]))
            assert (env.labels()["task"] == "items") == (difficulty == "easy")
    assert found == {("easy", "easy"), ("medium", "easy"), ("medium", "hard"), ("hard", "hard")}


def test_easy_episodes_are_short() -> None:
    env = ShopEnv(difficulty="easy")
    for seed in range(50):
        messages, _ = env.reset(seed=seed)
        assert len(messages[0]["content"].split()) <= 25
        messages, _ = follow(env)
        assert len(messages) <= 11
        assert sum(len(m["content"]) for m in messages) < 700
