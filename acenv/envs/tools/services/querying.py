"""What the query services share: worlds, sessions, and scripts that turn questions into tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from random import Random
from typing import Any, ClassVar

from acenv.envs.base import Difficulty, Split
from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.database import Database, Rows
from acenv.envs.tools.services.service import FINISH, Level, Reply, Service, ServiceTask
from acenv.envs.tools.tooling import ToolError

WORLDS = 16
"""Databases per service, split and kind. They are made when they are first needed, and some are kept."""

KEPT_WORLDS = 64
"""Databases that a process keeps; the ones not used for longest are made again when they are needed."""

MOST_EASY_SUBGOALS = 5
"""Tasks with at most so many subgoals are ``"easy"`` in AgentBoard's split; AgentBoard labelled its own by hand."""

_ATTEMPTS = 500
_RANGES: dict[str, tuple[int, int]] = {"easy": (2, 3), "medium": (4, 7), "hard": (6, 12)}


class RedrawError(Exception):
    """The values drawn leave a question without one clear answer: draw again."""


def require(condition: Any) -> None:
    """Draw again unless the condition holds.

    Raises:
        RedrawError: It does not.
    """
    if not condition:
        raise RedrawError


def only(values: Sequence[Any], best: Any) -> int:
    """Where the best value is.

    Raises:
        RedrawError: There are several such values.
    """
    require(list(values).count(best) == 1)
    return list(values).index(best)


@dataclass(slots=True)
class Session:
    """What one episode sees of a service.

    Attributes:
        data: The database, shared and read-only.
        place: The city that the user is in, for the weather.
        loaded: The graphs that were loaded, for the papers.
    """

    data: Database
    place: str = ""
    loaded: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class WorldKey:
    """Which database a task is about, and where its user is.

    Attributes:
        split: Train and test tasks have different databases.
        number: Which of the databases.
        plain: Whether names are single or plain lower-case words and lists are short, for easy tasks.
        place: The city that the user is in.
    """

    split: Split
    number: int
    plain: bool
    place: str = ""


class Script:
    """Writes a task by doing it: every call goes into the plan, and its result into the subgoals."""

    def __init__(self, service: QueryService, session: Session, r: Random) -> None:
        """Start with nothing done."""
        self.service = service
        self.session = session
        self.r = r
        self.plan: list[Call] = []
        self.subgoals: list[Any] = []

    @property
    def data(self) -> Database:
        """The database that the question is about."""
        return self.session.data

    def ask(self, tool: str, **arguments: Any) -> Any:
        """Call a tool, as the expert will; a call that is there already is not made again.

        Raises:
            RedrawError: The service refuses.
        """
        call = Call(tool, arguments)
        try:
            reply = self.service.respond(self.session, call)
        except ToolError as error:
            raise RedrawError from error
        if call not in self.plan:
            self.plan.append(call)
            self.subgoals.append(reply.subgoal)
        return reply.result

    def answer(self, value: Any) -> None:
        """Call ``finish``, as the last thing."""
        self.ask(FINISH.name, answer=value)


Template = Callable[[Script], str]
"""Writes a script, and gives the question. Raises :class:`RedrawError` where the answer would not be clear."""


class QueryService(Service):
    """A service that only answers questions, from a generated database.

    Attributes:
        schema: SQL that creates the tables.
        own: Tools whose result depends on the session, so that it is not remembered.
        easy_tools: Tools of easy tasks, of which some are on offer without being needed.
        templates: The questions, by difficulty.
    """

    schema: ClassVar[str]
    own: ClassVar[frozenset[str]]
    easy_tools: ClassVar[tuple[str, ...]]
    templates: ClassVar[Mapping[Difficulty, tuple[Template, ...]]]

    @abstractmethod
    def fill(self, r: Random, *, plain: bool) -> Rows:
        """The rows of one database."""

    def place(self, script: Script) -> str:
        """Where the user is, for services that care."""
        del script
        return ""

    def database(self, key: WorldKey) -> Database:
        """The database of a world; the same object for equal worlds, as long as it is kept."""
        return _database(self, key.split, key.number, key.plain)

    def connect(self, task: ServiceTask) -> Session:
        """A session with the task's database."""
        return Session(self.database(task.world), task.world.place)

    def respond(self, world: Session, call: Call) -> Reply:
        """As every service; the reply is remembered with the database where it depends on nothing else."""
        if call.name in self.own or call.name == FINISH.name:
            return super().respond(world, call)
        # By their text: 1, 1.0 and -0.0 are equal to something that is shown differently.
        key = (call.name, repr(call.arguments))
        return world.data.remember(key, partial(super().respond, world, call))

    def sample(self, rng: Random, difficulty: Difficulty, split: Split) -> ServiceTask:
        """Draw a world, a question and its values, until the question has one clear answer.

        Raises:
            ValueError: There is no such question; only a fault in the templates leads to it.
        """
        fewest, most = _RANGES[difficulty]
        for _ in range(_ATTEMPTS):
            key = WorldKey(split, rng.randrange(WORLDS), difficulty == "easy")
            script = Script(self, Session(self.database(key)), rng)
            script.session.place = self.place(script)
            try:
                goal = rng.choice(self.templates[difficulty])(script)
            except RedrawError:
                continue
            if fewest <= len(script.plan) <= most:
                world = replace(key, place=script.session.place)
                level: Level = "easy" if len(script.plan) <= MOST_EASY_SUBGOALS else "hard"
                return ServiceTask(self.name, goal, tuple(script.plan), tuple(script.subgoals), world, level)
        raise ValueError(f"no {difficulty} question of {self.name} came out in {_ATTEMPTS} draws")

    def tools_for(self, task: ServiceTask, difficulty: Difficulty) -> tuple[str, ...]:
        """All tools; at ``"easy"`` those of the plan and another one or two, in an order that depends on the task."""
        if difficulty != "easy":
            return tuple(self.tools)
        r = Random(task.goal)
        needed = list(dict.fromkeys(call.name for call in task.plan[:-1]))
        others = [name for name in self.easy_tools if name not in needed]
        chosen = needed + r.sample(others, max(1, 3 - len(needed)))
        r.shuffle(chosen)
        return (*chosen, FINISH.name)


@lru_cache(maxsize=KEPT_WORLDS)
def _database(service: QueryService, split: Split, number: int, plain: bool) -> Database:
    r = Random(f"{service.name}/{split}/{number}/{plain}")
    return Database(service.schema, service.fill(r, plain=plain))
