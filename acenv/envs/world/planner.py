"""A planner for any problem of the engine: good plans quickly, not the shortest.

Two searches, one after the other. The first is greedy and evaluates a state when it is taken up, guided by relaxed
plans (Hoffmann and Nebel 2001, "The FF planning system") whose supporters are chosen by the additive heuristic (Bonet
and Geffner 2001, "Planning as heuristic search"). Actions that begin a relaxed plan are preferred, by a queue of their
own (Helmert 2006, "The Fast Downward planning system"). Where that is lost on a plateau, the second takes up states
that have something new first (Lipovetzky and Geffner 2017, "Best-first width search", the variant f5). Actions without
which the plan still works are taken out of it at the end.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from acenv.envs.world.engine import World
from acenv.envs.world.grounding import GroundTask, Operator
from acenv.envs.world.puzzle import Plan
from acenv.envs.world.strips import Atom, State

MAX_EXPANSIONS = 100_000
"""States that a plan is looked for from, before the planner gives up."""

_GUIDED_EXPANSIONS = 300
"""Of these, what the first search gets; it needs fewer where it is any good."""

_BOOST = 1000
"""How far the queue of preferred actions is put ahead whenever the search gets nearer to the goal than ever before."""


_LOST = "the goal cannot be reached from here"


class PlanningError(ValueError):
    """There is no plan, or none was found within the limit; the message says which."""


def plan(
    world: World,
    init: State,
    goal: Iterable[Atom],
    *,
    unwanted: Iterable[Atom] = (),
    max_expansions: int = MAX_EXPANSIONS,
) -> Plan:
    """A plan from ``init`` to where all facts of ``goal`` hold and none that is ``unwanted``; the same each time.

    Raises:
        PlanningError: There is no plan, or none was found within ``max_expansions`` states.
    """
    return Planner(world, init, goal, unwanted=unwanted).plan(init, max_expansions=max_expansions)


class Planner:
    """Plans from any state that can come up in one problem, which is grounded once."""

    def __init__(self, world: World, init: State, goal: Iterable[Atom], *, unwanted: Iterable[Atom] = ()) -> None:
        """Ground the problem."""
        self._task = GroundTask(world, init, goal, unwanted)
        self._operators = self._task.operators
        users: list[list[int]] = [[] for _ in range(self._task.size)]
        for i, operator in enumerate(self._operators):
            for fact in operator.pre:
                users[fact].append(i)
        self._users = users
        self._without_conditions = [i for i, operator in enumerate(self._operators) if not operator.pre]
        # An operator is looked at only where its rarest condition holds.
        groups: dict[int, list[tuple[int, Operator]]] = {}
        for i, operator in enumerate(self._operators):
            rarest = min(operator.pre, key=lambda fact: len(users[fact]), default=None)
            groups.setdefault(0 if rarest is None else 1 << rarest, []).append((i, operator))
        self._groups = list(groups.items())

    def plan(self, state: State, *, max_expansions: int = MAX_EXPANSIONS) -> Plan:
        """See :func:`plan`."""
        if self._task.goal is None:
            raise PlanningError("the goal can never be reached: no action brings about one of its facts")
        start = self._task.state(state)
        found = self._search(start, min(_GUIDED_EXPANSIONS, max_expansions))
        if found is None:
            found = self._search_for_news(start, max_expansions - _GUIDED_EXPANSIONS)
        if found is None:
            raise PlanningError(f"no plan was found within {max_expansions} states")
        kept = self._without_idle(start, found)
        return [(op.action.name, op.action.arguments) for op in kept]

    def _search(self, start: int, max_expansions: int) -> list[Operator] | None:
        """Search by relaxed plans; None if the limit is reached."""
        goal_mask = sum(1 << fact for fact in self._task.goal or ())
        came: dict[int, tuple[int, int]] = {start: (start, -1)}
        ordinary: list[tuple[int, int, int]] = []  # the parent's estimate, a ticket, the state
        preferred: list[tuple[int, int, int]] = []
        priority = [0, 0]
        best, ticket, expanded = 1 << 30, 0, 0
        closed: set[int] = set()
        here: int | None = start
        while here is not None:
            if here & goal_mask == goal_mask:
                return self._path(came, here)
            if here not in closed:
                closed.add(here)
                chosen = self._relaxed_plan(here)
                if chosen is not None:
                    if expanded >= max_expansions:
                        return None
                    expanded += 1
                    estimate = len(chosen)
                    if estimate < best:
                        best = estimate
                        priority[1] -= _BOOST
                    for i, _, after in self._successors(here):
                        if after in closed:
                            continue
                        wanted = i in chosen
                        if after not in came:
                            came[after] = (here, i)
                        elif not wanted:
                            continue
                        ticket += 1
                        heapq.heappush(ordinary, (estimate, ticket, after))
                        if wanted:
                            heapq.heappush(preferred, (estimate, ticket, after))
            here = _take((ordinary, preferred), priority)
        raise PlanningError(_LOST)

    def _search_for_news(self, start: int, max_expansions: int) -> list[Operator] | None:
        """Search by novelty, then goal facts; None if the limit is reached.

        A state is new for its fact or pair of facts among those with as many goal facts open and as many facts of the
        relaxed plan, made when the last goal fact was reached, that came true since.
        """
        goal_mask = sum(1 << fact for fact in self._task.goal or ())
        open_goals = (goal_mask & ~start).bit_count()
        news: dict[tuple[int, int], _News] = {}
        came: dict[int, tuple[int, int]] = {start: (start, -1)}
        # Novelty, open goal facts, a ticket, the state, facts of the relaxed plan, those that came true.
        heap = [(1, open_goals, 0, start, self._relaxed_facts(start), 0)]
        expanded = 0
        while heap:
            _, open_goals, _, here, relaxed, met = heapq.heappop(heap)
            if expanded >= max_expansions:
                return None
            expanded += 1
            for i, operator, after in self._successors(here):
                if after in came:
                    continue
                came[after] = (here, i)
                left = (goal_mask & ~after).bit_count()
                if not left:
                    return self._path(came, after)
                nearer = left < open_goals
                wish = self._relaxed_facts(after) if nearer else relaxed
                if not wish:
                    continue  # a dead end
                done = 0 if nearer else met | operator.add_mask & relaxed
                same = (left, done) == (open_goals, met)
                fresh = after & ~here if same else after
                novelty = news.setdefault((left, done.bit_count()), _News()).look(after, fresh)
                heapq.heappush(heap, (novelty, left, len(came), after, wish, done))
        raise PlanningError(_LOST)

    def _successors(self, state: int) -> Iterator[tuple[int, Operator, int]]:
        """Operators that are applicable, with their numbers, and the states that they lead to."""
        for bit, group in self._groups:
            if state & bit == bit:
                for i, operator in group:
                    if state & operator.pre_mask == operator.pre_mask:
                        yield i, operator, state & ~operator.delete_mask | operator.add_mask

    def _relaxed_facts(self, state: int) -> int:
        """Facts that become true in a relaxed plan; none if there is no such plan."""
        facts = 0
        for i in self._relaxed_plan(state) or ():
            facts |= self._operators[i].add_mask
        return facts & ~state

    def _relaxed_plan(self, state: int) -> set[int] | None:
        """Operators that reach the goal if nothing is deleted; None if there are none."""
        operators, users = self._operators, self._users
        costs: list[int] = [-1] * self._task.size
        supporter = [-1] * self._task.size
        missing = [len(operator.pre) for operator in operators]
        sums = [1] * len(operators)
        heap: list[tuple[int, int]] = []
        bits = state
        while bits:
            low = bits & -bits
            fact = low.bit_length() - 1
            costs[fact] = 0
            heap.append((0, fact))
            bits ^= low
        for i in self._without_conditions:
            for added in operators[i].add:
                if costs[added] < 0:
                    costs[added], supporter[added] = 1, i
                    heap.append((1, added))
        heapq.heapify(heap)
        goal = self._task.goal or ()
        left = set(goal)
        while heap:
            cost, fact = heapq.heappop(heap)
            if cost > costs[fact]:
                continue
            left.discard(fact)
            if not left:
                break
            for i in users[fact]:
                missing[i] -= 1
                sums[i] += cost
                if not missing[i]:
                    total = sums[i]
                    for added in operators[i].add:
                        if costs[added] < 0 or total < costs[added]:
                            costs[added] = total
                            supporter[added] = i
                            heapq.heappush(heap, (total, added))
        if left:
            return None
        chosen: set[int] = set()
        stack = list(goal)
        seen = set(stack)
        while stack:
            i = supporter[stack.pop()]
            if i >= 0 and i not in chosen:
                chosen.add(i)
                for needed in operators[i].pre:
                    if needed not in seen:
                        seen.add(needed)
                        stack.append(needed)
        return chosen

    def _path(self, came: dict[int, tuple[int, int]], state: int) -> list[Operator]:
        found = []
        while came[state][1] >= 0:
            state, i = came[state]
            found.append(self._operators[i])
        return found[::-1]

    def _without_idle(self, start: int, operators: list[Operator]) -> list[Operator]:
        """The plan without actions that it does not need (Nakhost and Mueller 2010, action elimination)."""
        i = 0
        while i < len(operators):
            shorter = self._skip(start, operators, i)
            if shorter is None:
                i += 1
            else:
                operators = shorter
        return operators

    def _skip(self, start: int, operators: list[Operator], skipped: int) -> list[Operator] | None:
        """The plan without one action and those that need it; None if it does not reach the goal any more."""
        state, kept = start, []
        for i, operator in enumerate(operators):
            if i != skipped and state & operator.pre_mask == operator.pre_mask:
                state = state & ~operator.delete_mask | operator.add_mask
                kept.append(operator)
        return kept if all(state >> fact & 1 for fact in self._task.goal or ()) else None


class _News:
    """Facts, and pairs of facts, that states had so far."""

    def __init__(self) -> None:
        self._facts = 0
        self._beside: dict[int, int] = {}  # by fact, as a bit: the facts that were true together with it

    def look(self, state: int, fresh: int) -> int:
        """1 if the state has a new fact, 2 if a new pair, else 3; ``fresh`` has the facts that can be part of it."""
        novelty = 1 if state & ~self._facts else 3
        self._facts |= state
        beside = self._beside
        while fresh:
            low = fresh & -fresh
            fresh ^= low
            known = beside.get(low, 0)
            if state & ~known:
                novelty = min(novelty, 2)
                beside[low] = known | state
        return novelty


def _take(queues: tuple[list[tuple[int, int, int]], ...], priority: list[int]) -> int | None:
    """The best state of the queue whose turn it is; None if all are empty."""
    turns = [i for i, queue in enumerate(queues) if queue]
    if not turns:
        return None
    turn = min(turns, key=lambda i: (priority[i], -i))
    priority[turn] += 1
    return heapq.heappop(queues[turn])[2]
