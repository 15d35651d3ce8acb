"""``acenv/Shop-v0``: find, configure and buy a product in a web shop."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import numpy as np
from gymnasium.error import ResetNeeded

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split
from acenv.envs.commands import command_line
from acenv.envs.world.shop.goals import PAGE_SIZE, Goal, draw_goal, fingerprint
from acenv.envs.world.shop.index import SHOPS, Shop, open_shop, search_words
from acenv.envs.world.shop.pages import (
    BACK,
    BUY,
    DESCRIPTION,
    FEATURES,
    NEXT,
    PREVIOUS,
    bar,
    item_page,
    money,
    results_page,
    text_page,
)
from acenv.envs.world.shop.scoring import Product, Score, best_on_page, best_reward, last_reward, score
from acenv.types import Fault, Message, Tool

EASY_RULES = "Shop with search[words] and click[button]."

RULES = """\
You are in a web shop. Find what is asked for, choose its options, and buy it. An action is one of:
- search[words]: on the search page only; finds products whose texts have any of the words, the best match first
- click[button]: any button of the present page; the page shows them in brackets
Results show titles and prices. Options are on the page of a product, what is true of it is on its pages Features and \
Description. Options that are not chosen are not delivered, and some may cost extra. Leaving a product's page for the \
results forgets what was chosen. click[Buy Now] ends the episode and cannot be undone. Wanted are the right kind of \
product, every attribute, every option, and the price. Write one action a message."""

MAX_STEPS: dict[str, int] = {"easy": 10, "medium": 30, "hard": 60}
"""AgentBoard's limit at medium; a hard search may lead through the pages of a dozen products."""

HARD_WISHES = 5
"""Tasks with so many wanted attributes and options are labelled ``hard``."""

_ACTION = re.compile(r"\b(search|click)\s*\[([^\]\n]{0,200})", re.IGNORECASE)

_BRACKETS = re.compile(r"\b([a-z]\w*)\s*\[[^\]\n]{0,200}\]", re.IGNORECASE)
"""Any verb with something in brackets."""

PageName = Literal["search", "results", "item", "Description", "Features"]


@dataclass(slots=True)
class ShopState:
    """What changes in an episode.

    Attributes:
        page: What is seen.
        results: Ids of the products that the last search found.
        number: Which page of them, from 0.
        item: Id of the product that was opened last.
        chosen: The chosen values of its options, by option.
        searched: The best reward that any product on a visited page of results can bring.
        opened: The best reward of an opened product, as AgentBoard takes it (see ``last_reward``).
        opened_best: The best reward that an opened product can bring.
        bought: The score of the purchase; None before it.
    """

    page: PageName = "search"
    results: tuple[str, ...] = ()
    number: int = 0
    item: str = ""
    chosen: dict[str, str] = field(default_factory=dict)
    searched: float = 0.0
    opened: float = 0.0
    opened_best: float = 0.0
    bought: Score | None = None


class ShopEnv(ConversationEnv[Goal, ShopState]):
    """Buy what an instruction asks for: search, read, choose options, ``click[Buy Now]``.

    Actions, pages and buttons are WebShop's (Yao et al. 2022): ``search[words]`` on the search page, ``click[button]``
    elsewhere, in letters of any size. The words go to a full-text index (BM25) over generated products. Titles and
    prices are seen on pages of results; options, features and description only on a product's own pages.

    The score is WebShop's reward of the purchase, 0 before it. A purchase ends the episode, a wrong one too. Tasks
    are drawn so that exactly the products that fit the instruction can bring 1.

    ``progress`` is AgentBoard's progress rate: the mean of the best reward that a product on a visited page of
    results can bring, the same of the opened products, and the reward of the purchase. AgentBoard's server forgets
    the best of an opened product's combinations of options and keeps the last; ``corrected_progress`` does not.
    ``grounding`` counts actions of the right form that the present page offers.
    """

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            difficulty: ``"easy"``: short titles, three results a page, one or two options; ``"medium"``: 1,024
                products, two to four attributes and one or two options; ``"hard"``: 3,072 products under two names
                each, attributes said in many ways on two pages, options that cost extra.
            split: Which shops and tasks to draw; ``"train"`` and ``"test"`` have none in common.
            max_steps: Actions after which an episode is cut; None: 10, 30 or 60, by difficulty.
            render_mode: ``"ansi"`` or None.

        Raises:
            ValueError: A value that is not one of those named above.
        """
        limit = MAX_STEPS.get(difficulty, 1) if max_steps is None else max_steps
        super().__init__(difficulty=difficulty, split=split, max_steps=limit, render_mode=render_mode)
        self._shop: Shop  # shared by all environments and never changed, and so no part of the state

    @property
    def _easy(self) -> bool:
        return self.difficulty == "easy"

    def sample_task(self, rng: np.random.Generator) -> Goal:
        """Draw a shop of the split and something to buy there."""
        number = int(rng.integers(SHOPS))
        shop = open_shop(self.difficulty, self.split, number)
        choices = Random(int(rng.integers(2**63)))
        while True:
            goal = draw_goal(shop, self.split, number, self.difficulty, choices)
            if goal is not None:
                return goal

    def fingerprint(self, task: Goal) -> str:
        """What is wished for, in whatever words and shop."""
        return fingerprint(task.wish)

    def open(self, task: Goal) -> tuple[ShopState, list[Message], list[Tool]]:
        """Rules, the instruction, and the search page."""
        self._shop = open_shop(self.difficulty, task.split, task.number)
        if self._easy:
            opening = f"{EASY_RULES}\nTask: {task.instruction}\n[search]"
        else:
            opening = f"{RULES}\n\nInstruction: {task.instruction}\n\n[Search]"
        return ShopState(), [{"role": "user", "content": opening}], []

    def resume(self) -> None:
        """Go back to the shop of the episode."""
        self._shop = open_shop(self.difficulty, self.task.split, self.task.number)

    def apply(self, action: str) -> Outcome:
        """Search or click, or say why not."""
        found = read_action(action)
        if found is None:
            known = _BRACKETS.search(command_line(action))
            fault: Fault = "unparsable" if known is None else "hallucinated tool"
            return self._refuse("Write search[words] or click[button].", fault)
        verb, words = found
        if verb == "click":
            return self._click(words)
        if self.state.page != "search":
            return self._refuse("Searching is done on the search page.")
        if not search_words(words):
            return self._refuse("Write the words to search for in the brackets.", "schema violation")
        self.state.results, self.state.number = self._shop.search(words), 0
        return self._show("results")

    def metrics(self) -> dict[str, float]:
        """AgentBoard's progress, and WebShop's reward with its parts, which are 0 before the purchase."""
        state = self.state
        bought = state.bought or Score()
        return {
            "progress": (state.searched + state.opened + bought.reward) / 3,
            "corrected_progress": (state.searched + state.opened_best + bought.reward) / 3,
            "reward": bought.reward,
            "type_score": bought.type,
            "attribute_score": bought.attributes,
            "option_score": bought.options,
            "price_score": bought.price,
            "bought": float(state.bought is not None),
        }

    def labels(self) -> dict[str, str]:
        """The department, and AgentBoard's split into easy and hard by the number of wanted attributes and options."""
        wish = self.task.wish
        hard = len(wish.attributes) + len(wish.options) >= HARD_WISHES
        return {"task": wish.category[-2].lower(), "level": "hard" if hard else "easy"}

    def expert_action(self) -> str:
        """The next click or search on the way to a product that fits, from whatever page.

        Raises:
            gymnasium.error.ResetNeeded: Something was bought.
        """
        state, goal = self.state, self.task
        if state.bought is not None:
            raise ResetNeeded("something was bought and nothing is left to do: call reset()")
        if state.page == "search":
            return f"search[{goal.query}]"
        if state.page in (DESCRIPTION, FEATURES):
            return self._say(PREVIOUS)
        if state.page == "item" and state.item in goal.answers:
            return self._say(self._next_choice() or BUY)
        place = next((i for i, id_ in enumerate(state.results) if id_ in goal.answers), None)
        if place is None:
            return self._say(BACK)
        if state.page == "item":
            return self._say(PREVIOUS)
        page = place // PAGE_SIZE[self.difficulty]
        if page == state.number:
            return self._say(state.results[place])
        return self._say(NEXT if page > state.number else PREVIOUS)

    # Inside

    def _next_choice(self) -> str:
        """The value that still has to be chosen on the page of a product that fits; empty if none."""
        state, wanted = self.state, dict(self.task.wish.options)
        for name, value in wanted.items():
            if state.chosen.get(name) != value:
                return value
        if self._item.price_with(state.chosen) > self.task.wish.limit:
            for option in self._item.options:
                if option.name not in wanted and state.chosen.get(option.name, option.values[0]) != option.values[0]:
                    return option.values[0]
        return ""

    def _say(self, button: str) -> str:
        return f"click[{button.lower() if self._easy else button}]"

    @property
    def _item(self) -> Product:
        return self._shop.products[self.state.item]

    def _on_page(self) -> list[Product]:
        size = PAGE_SIZE[self.difficulty]
        first = self.state.number * size
        return [self._shop.products[id_] for id_ in self.state.results[first : first + size]]

    def _moves(self) -> list[str]:
        """The buttons of the present page, without products and options."""
        state = self.state
        if state.page == "search":
            return []
        if state.page == "results":
            more = (state.number + 1) * PAGE_SIZE[self.difficulty] < len(state.results)
            return [*([NEXT] if more else []), *([PREVIOUS] if state.number else []), BACK]
        if state.page == "item":
            return [*([] if self._easy else [DESCRIPTION, FEATURES]), BUY, PREVIOUS, BACK]
        return [PREVIOUS, BACK]

    def _click(self, words: str) -> Outcome:
        state = self.state
        wanted = " ".join(words.lower().split())
        button = next((name for name in self._moves() if name.lower() == wanted), "")
        if button == BUY:
            return self._buy()
        if button == BACK:
            return self._show("search")
        if button == NEXT:
            state.number += 1
            return self._show("results")
        if button == PREVIOUS:
            if state.page == "results":
                state.number -= 1
            return self._show("item" if state.page in (DESCRIPTION, FEATURES) else "results")
        if button == DESCRIPTION:
            return self._show("Description")
        if button == FEATURES:
            return self._show("Features")
        if state.page == "results":
            for product in self._on_page():
                if product.id.lower() == wanted:
                    state.item, state.chosen = product.id, {}
                    return self._show("item")
        if state.page == "item":
            for option in self._item.options:
                for value in option.values:
                    if value.lower() == wanted:
                        state.chosen[option.name] = value
                        # The page is the same but for the brackets: easy conversations are kept short.
                        return Outcome(f"{option.name}: [[{value}]]", 0.0) if self._easy else self._show("item")
        return self._refuse("There is no such button here.")

    def _show(self, page: PageName) -> Outcome:
        """Go to a page, and note what it is worth."""
        state, wish = self.state, self.task.wish
        state.page = page
        if page == "results":
            state.searched = max(state.searched, best_on_page(self._on_page(), wish))
        elif page == "item":
            state.opened = max(state.opened, last_reward(self._item, wish))
            state.opened_best = max(state.opened_best, best_reward(self._item, wish))
        return Outcome(self._page_text(), 0.0)

    def _page_text(self) -> str:
        state, moves = self.state, self._moves()
        if state.page == "search":
            return bar(["Search"], self._easy)
        if state.page == "results":
            count = -(-len(state.results) // PAGE_SIZE[self.difficulty])
            return results_page(self._on_page(), state.number + 1, count, len(state.results), moves, self._easy)
        if state.page == "item":
            return item_page(self._item, state.chosen, moves, self._easy)
        return text_page(self._item, state.page, moves)

    def _buy(self) -> Outcome:
        state = self.state
        state.bought = score(self._item, self.task.wish, state.chosen)
        price = money(self._item.price_with(state.chosen), self._easy)
        return Outcome(f"You bought {self._item.title} for {price}.", state.bought.reward, terminated=True)

    def _refuse(self, reason: str, fault: Fault = "invalid in this world") -> Outcome:
        return Outcome(f"{reason}\n{self._page_text()}", 0.0, valid=False, fault=fault)


def read_action(text: str) -> tuple[str, str] | None:
    """The verb, in small letters, and what stands in its brackets; None if there is no action in the text.

    It is looked for behind the label ``Action:`` first, and then anywhere after what was thought.

    >>> read_action("I see. Action: Click[Buy Now]"), read_action("buy it")
    (('click', 'Buy Now'), None)
    """
    match = _ACTION.search(command_line(text)) or _ACTION.search(text.rpartition("</think>")[2])
    return (match[1].lower(), match[2].strip()) if match else None
