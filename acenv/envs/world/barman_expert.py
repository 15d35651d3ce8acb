"""The expert of barman: one order after the other, with no more handling than each needs."""

from __future__ import annotations

from collections.abc import Iterable

from acenv.envs.world.puzzle import Plan, Problem
from acenv.envs.world.strips import State

SHAKER = "shaker"
"""The only shaker of a problem, where there is one."""

LEVELS = ("empty", "half-full", "full")
"""Of the shaker, from none to both portions."""


def solve(problem: Problem, state: State) -> Plan:
    """A plan from any state; without cocktails it is the shortest. Of a lost goal, it reaches what can be reached.

    Shots in the hands come first, cocktails before plain ingredients, and of cocktails the one that the shaker has or
    is meant for.

    Raises:
        ValueError: A wrong mixture in the shaker is in the way of all that is left to do.
    """
    return _Bar(problem, state).serve()


def lost(problem: Problem, state: State) -> bool:
    """Whether the shaker has a mixture that can become no cocktail while one is still to be made."""
    if ("level", SHAKER, LEVELS[0]) in state or ("shaken", SHAKER) in state:
        return False
    mixed = {fact[2] for fact in state if fact[0] == "has" and fact[1] == SHAKER}
    recipes = {fact[1]: set(fact[2:]) for fact in state if fact[0] == "recipe"}
    full = ("level", SHAKER, LEVELS[-1]) in state
    if not mixed or any(mixed == parts if full else mixed < parts for parts in recipes.values()):
        return False
    return any(fact[2] in recipes and fact not in state for fact in problem.goal)


class _Bar:
    """A state of barman that actions are carried out on, and the plan that they make."""

    def __init__(self, problem: Problem, state: State) -> None:
        kinds: dict[str, list[str]] = {}
        for name, kind in problem.objects:
            kinds.setdefault(kind, []).append(name)
        self.orders = [(fact[1], fact[2]) for fact in problem.goal]
        self.recipes: dict[str, tuple[str, str]] = {}
        self.hands = dict.fromkeys(kinds["hand"], "")
        self.shots: dict[str, tuple[str, str]] = {}  # "clean", "stained" or "has", and the drink
        self.mixed: set[str] = set()
        self.level = 0
        self.shaken = self.dirty = False
        for fact in sorted(state):
            if fact[0] == "holds":
                self.hands[fact[1]] = fact[2]
            elif fact[0] == "has" and fact[1] == SHAKER:
                self.mixed.add(fact[2])
            elif fact[0] in ("clean", "stained", "has"):
                self.shots[fact[1]] = (fact[0], fact[2] if len(fact) > 2 else "")
            elif fact[0] == "level":
                self.level = LEVELS.index(fact[2])
            elif fact[0] == "recipe":
                self.recipes.setdefault(fact[1], (fact[2], fact[3]))
        self.shaken = ("shaken", SHAKER) in state
        self.dirty = ("dirty", SHAKER) in state
        self.plan: Plan = []

    # What is to be done

    def open_orders(self) -> list[tuple[str, str]]:
        """Shots that do not have their drink, with the drink; held shots first."""
        held = self.hands.values()
        todo = [(shot, drink) for shot, drink in self.orders if self.shots[shot] != ("has", drink)]
        return sorted(todo, key=lambda order: order[0] not in held)

    def spoiled(self) -> bool:
        """Whether no cocktail can come of what is in the shaker."""
        if self.shaken or not self.mixed:
            return False
        full = self.level == len(LEVELS) - 1
        return not any(self.mixed == set(r) if full else self.mixed < set(r) for r in self.recipes.values())

    def serve(self) -> Plan:
        """The whole plan."""
        while mixes := [(shot, drink) for shot, drink in self.open_orders() if drink in self.recipes]:
            if self.spoiled():
                break
            self._advance(mixes)
        while orders := [order for order in self.open_orders() if order[1] not in self.recipes]:
            self._fill(*orders[0])
        if self.open_orders() and not self.plan:
            raise ValueError("what is in the shaker makes no cocktail and cannot be got out")
        return self.plan

    def _advance(self, orders: list[tuple[str, str]]) -> None:
        """Serve what is in the shaker, or bring it one stage nearer to a cocktail that is wanted."""
        wanted = [drink for _, drink in orders]
        targets = [shot for shot, drink in orders if drink in self.mixed]
        if self.shaken and targets and self.level > 0:
            for shot in targets[: self.level]:
                self._make_clean(shot)
            self._hold(SHAKER)
            for shot in targets[: self.level]:
                self._pour_out(shot)
        elif self.shaken:
            self._hold(SHAKER)
            (drink,) = self.mixed
            hand = self._hand_of(SHAKER)
            self._do("empty_shaker", SHAKER, hand, drink, LEVELS[self.level], LEVELS[0])
            self.mixed, self.level, self.shaken, self.dirty = set(), 0, False, True
        elif self.dirty:
            hand, other = self._work_with(SHAKER)
            self._do("clean_shaker", SHAKER, hand, other)
            self.dirty = False
        else:
            possible = [*wanted, *self.recipes] if self.mixed else wanted
            drink = next(d for d in possible if self.mixed <= set(self.recipes[d]))
            self._mix(drink, [shot for shot, wish in orders if wish == drink] or [shot for shot, _ in orders])

    def _mix(self, cocktail: str, shots: list[str]) -> None:
        """Pour what is missing, by way of one of the shots, have those clean that will be filled, and shake."""
        one, two = self.recipes[cocktail]
        missing = [part for part in (one, two) if part not in self.mixed]
        if missing:
            shot = next((s for s in shots if self.shots[s][1] in missing), shots[0])
            missing.sort(key=lambda part: part != self.shots[shot][1])
            for part in missing:
                self._fill(shot, part)
                self._pour_in(shot)
        for shot in shots[: len(LEVELS) - 1]:
            self._make_clean(shot)
        hand, other = self._work_with(SHAKER)
        self._do("shake", SHAKER, hand, other, cocktail, one, two)
        self.mixed, self.shaken = {cocktail}, True

    # Single actions, with what they need

    def _do(self, name: str, *arguments: str) -> None:
        self.plan.append((name, arguments))

    def _hand_of(self, thing: str) -> str:
        return next((hand for hand, held in self.hands.items() if held == thing), "")

    def _put_down(self, hand: str) -> None:
        self._do("put_down", self.hands[hand], hand)
        self.hands[hand] = ""

    def _hold(self, thing: str) -> str:
        """Take a thing into a hand, if it is in none."""
        hand = self._hand_of(thing)
        if not hand:
            if "" not in self.hands.values():
                self._put_down(self._spare(self.hands))
            hand = self._hand_of("")
            self._do("pick", thing, hand)
            self.hands[hand] = thing
        return hand

    def _spare(self, hands: Iterable[str]) -> str:
        """The hand whose thing is needed least: a shot that is done, or any."""
        done = [s for s, drink in self.orders if self.shots[s] == ("has", drink)]
        wanted = [s for s, _ in self.orders]
        return min(hands, key=lambda hand: (self.hands[hand] not in done, self.hands[hand] in wanted))

    def _work_with(self, thing: str) -> tuple[str, str]:
        """Hold a thing while the other hand is free; both hands."""
        hand = self._hold(thing)
        other = next(h for h in self.hands if h != hand)
        if self.hands[other]:
            self._put_down(other)
        return hand, other

    def _make_empty(self, shot: str) -> None:
        state, drink = self.shots[shot]
        if state == "has":
            self._do("empty", shot, self._hold(shot), drink)
            self.shots[shot] = ("stained", drink)

    def _make_clean(self, shot: str) -> None:
        self._make_empty(shot)
        state, drink = self.shots[shot]
        if state == "stained":
            self._do("clean", shot, *self._work_with(shot), drink)
            self.shots[shot] = ("clean", "")

    def _fill(self, shot: str, drink: str) -> None:
        """Fill a shot with an ingredient that it may have already."""
        if self.shots[shot] == ("has", drink):
            return
        if self.shots[shot][1] != drink:
            self._make_clean(shot)
        name = "refill" if self.shots[shot][0] == "stained" else "fill"
        self._do(name, shot, *self._work_with(shot), drink)
        self.shots[shot] = ("has", drink)

    def _pour_in(self, shot: str) -> None:
        drink = self.shots[shot][1]
        hand = self._hold(shot)
        self._do("pour", shot, hand, SHAKER, drink, LEVELS[self.level], LEVELS[self.level + 1])
        self.shots[shot] = ("stained", drink)
        self.mixed.add(drink)
        self.level += 1

    def _pour_out(self, shot: str) -> None:
        (drink,) = self.mixed
        hand = self._hand_of(SHAKER)
        self._do("serve", SHAKER, shot, hand, drink, LEVELS[self.level], LEVELS[self.level - 1])
        self.shots[shot] = ("has", drink)
        self.level -= 1
