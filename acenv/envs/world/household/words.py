"""How the agent and the home talk: actions out of words, and words for what there is."""

from __future__ import annotations

import re

from acenv.envs.base import Difficulty
from acenv.envs.commands import command_line
from acenv.envs.world.engine import Action, World
from acenv.envs.world.household.goals import LAMP, Problem, say_goal
from acenv.envs.world.household.home import CONDITIONS, DOMAIN, SHOWN, START
from acenv.envs.world.household.kinds import preposition
from acenv.envs.world.strips import Schema, State

RULES = """\
You are a robot with one hand, in a home. What is in or on a place is seen only there, and in a closed place only when \
it is open. Do the task with any thing and any place of the kinds that it names.

Actions, one a message:
- go to PLACE
- open PLACE, close PLACE
- take THING from PLACE
- put THING in/on PLACE
- heat THING with MICROWAVE, cool THING with FRIDGE, clean THING with SINKBASIN: hold the thing, and be there; it need \
not be open
- slice THING with KNIFE: hold the knife; the thing lies in or on the place where you are
- use DESKLAMP: turns it on or off
- examine NAME, look, inventory, check valid actions

What is true here:
- Only these actions make a thing hot, cold or clean. Cooling takes heat away and heating takes cold away; cleaning \
leaves a thing neither hot nor cold.
- Food that was heated is cooked and never uncooked again; what is sliced is never whole again.
- Crockery (bowls, cups, glasses, mugs, plates) breaks when it is heated while it is cold, or cooled while it is hot.
- What is put in a garbagecan cannot be taken out again.
- To look at a thing under a desklamp, hold it where the lamp stands, with the lamp on."""

_EASY_ACTIONS = {
    "put": "",
    "put_two": "",
    "light": "use X",
    "heat": "heat X with Y",
    "cool": "cool X with Y",
    "clean": "clean X with Y",
    "slice": "slice X with Y",
}

FORMS = (
    "go to PLACE, open PLACE, close PLACE, take THING from PLACE, put THING in/on PLACE, heat THING with PLACE, "
    "cool THING with PLACE, clean THING with PLACE, slice THING with KNIFE, use LAMP, examine NAME, look, inventory, "
    "check valid actions"
)

_DONE = {"heat": "heated", "cool": "cooled", "clean": "cleaned", "slice": "sliced", "take": "taken"}

_NAME = r"[a-z]+(?: \d+)?"
_THING = rf"(?P<thing>{_NAME})"
_PLACE = rf"(?P<place>{_NAME})"
_ON = r"(?:in/on|in / on|into|onto|inside|in|on|to)"
_PATTERNS = [
    (verb, re.compile(pattern))
    for verb, pattern in (
        ("go", rf"(?:go|walk|move) to {_PLACE}"),
        ("open", rf"open {_PLACE}"),
        ("close", rf"close {_PLACE}"),
        ("take", rf"(?:take|get|pick up) {_THING}(?: from {_PLACE})?"),
        ("put", rf"(?:put|place|move) {_THING} {_ON} {_PLACE}"),
        ("heat", rf"heat {_THING} (?:with|in) {_PLACE}"),
        ("cool", rf"cool {_THING} (?:with|in) {_PLACE}"),
        ("clean", rf"(?:clean|wash) {_THING} (?:with|in) {_PLACE}"),
        ("slice", rf"(?:slice|cut) {_THING} with (?P<knife>{_NAME})"),
        ("use", rf"(?:use|turn on|turn off) (?P<lamp>{_NAME})"),
        ("examine", rf"(?:examine|look at) {_THING}"),
        ("look", r"look(?: around)?"),
        ("inventory", r"inventory|i"),
    )
]
VERBS = frozenset(
    {
        *("go", "walk", "move", "open", "close", "take", "get", "pick", "put", "place", "heat", "cool"),
        *("clean", "wash", "slice", "cut", "use", "turn"),
        *("examine", "look", "inventory", "check"),
    }
)
"""First words of the commands; ``i`` is left out, which most prose begins with."""

_NOT_WORDS = re.compile(r"[^\w\s/]+|_")
_ARTICLES = frozenset({"the", "a", "an"})


def command_words(text: str) -> str:
    """The command in a message, in small letters, without label, punctuation and articles.

    >>> command_words("Action: Put the Mug1 in/on a shelf 2.")
    'put mug 1 in/on shelf 2'
    """
    words = _NOT_WORDS.sub(" ", command_line(text).lower()).split()
    return re.sub(r"\b([a-z]+)(\d+)\b", r"\1 \2", " ".join(w for w in words if w not in _ARTICLES))


def read(words: str) -> tuple[str, dict[str, str]]:
    """The verb of a command, and the names by their roles; the verb is empty if this is no command.

    >>> read("put mug 1 in/on shelf 2")
    ('put', {'thing': 'mug 1', 'place': 'shelf 2'})
    """
    for verb, pattern in _PATTERNS:
        match = pattern.fullmatch(words)
        if match is not None:
            return verb, {role: name for role, name in match.groupdict().items() if name is not None}
    return "", {}


class View:
    """What the robot knows from where it is."""

    def __init__(self, world: World, facts: State) -> None:
        """Look around."""
        self.world = world
        self.facts = facts
        self.here = next(fact[1] for fact in facts if fact[0] == "at")
        self.held = next((fact[1] for fact in facts if fact[0] == "holds"), "")
        self.is_open = ("open", self.here) in facts
        found = [fact[1] for fact in facts if fact[0] in ("in", "stands") and fact[2] == self.here]
        self.things = sorted(found, key=world.order.__getitem__) if self.is_open else []

    def action(self, verb: str, names: dict[str, str]) -> Action:
        """The ground action that is meant; it need not be applicable.

        Raises:
            ValueError: There is none; the message says why, and nothing about what the robot has not seen.
        """
        place = names.get("place", self.here)
        if place not in self.world.of_type("place") and "place" in names:
            raise ValueError(f"there is no {place} here")
        if verb != "go" and place != self.here:
            raise ValueError(f"you are not at {place}")
        if verb == "take":
            if names["thing"] == self.held:
                raise ValueError(f"you hold {self.held} already")
            if self.here != START and not self.is_open:
                raise ValueError(f"{place} is closed")
        for role in ("knife", "thing", "lamp"):
            if role in names:
                self._need(names[role])
        binding = {"from": self.here, **names, "place": place}
        action = None
        for schema in _schemas(verb):
            kinds = schema.parameters
            if all(binding[role] in self.world.of_type(kind) for role, kind in kinds):
                action = self.world.ground(schema.name, tuple(binding[role] for role, _ in kinds))
                if action.first_failure(self.facts) is None:
                    break
        if action is None:
            raise ValueError(self._unfit(verb, binding))
        return action

    def _need(self, name: str) -> None:
        if name != self.held and name not in self.things:
            raise ValueError(f"you see no {name} here")

    def _unfit(self, verb: str, names: dict[str, str]) -> str:
        """Why an action is impossible with things or places of these kinds."""
        thing, place = names.get("thing", ""), names["place"]
        of_type = self.world.of_type
        if place == START:
            return "there is nothing here"
        if verb == "take" and place in of_type("garbagecan"):
            return f"what is in {place} cannot be taken out"
        if verb in ("open", "close"):
            return f"{place} does not open or close"
        if verb in ("heat", "cool", "clean"):
            schemas = _schemas(verb)
            if any(thing in of_type(schema.parameters[0][1]) for schema in schemas):
                return f"{place} is no {schemas[0].parameters[1][1]}"
            return f"{thing} cannot be {_DONE[verb]}"
        if verb == "slice" and thing in of_type("sliceable"):
            return f"{names['knife']} is no knife"
        if verb == "use":
            return f"{names['lamp']} cannot be used"
        return f"{thing} cannot be {_DONE.get(verb, 'moved')}"

    def examine(self, name: str) -> str:
        """What can be told of a thing or of the place where the robot is.

        Raises:
            ValueError: It is not to be seen from here.
        """
        if name == self.here:
            return self.look()
        if name in self.world.of_type("place"):
            raise ValueError(f"you are not at {name}")
        self._need(name)
        return f"{self.with_conditions(name)}: nothing else to note."

    def look(self) -> str:
        """Where the robot is and what it sees there."""
        if self.here == START:
            return f"you are in {START}. Places: {', '.join(self.world.of_type('place'))}."
        return f"you are at {self.here}. {self.contents()}"

    def contents(self) -> str:
        """What is in or on the place, if it is open."""
        if not self.is_open:
            return "it is closed."
        where = f"{preposition(self.here)} it"
        if not self.things:
            return f"nothing is {where}."
        return f"{where}: {', '.join(self.with_conditions(thing) for thing in self.things)}."

    def inventory(self) -> str:
        """What is in the hand."""
        return f"you hold {self.with_conditions(self.held)}." if self.held else "your hand is empty."

    def with_conditions(self, name: str) -> str:
        """A thing with all that is to be seen of it: ``apple 1 (sliced, cold)``."""
        told = [CONDITIONS[c] for c in SHOWN if (c, name) in self.facts]
        if ("lit", name) in self.facts:
            told.append("on")
        return f"{name} ({', '.join(told)})" if told else name

    def valid_actions(self) -> list[str]:
        """All commands that can be carried out now, in the words of :func:`say`."""
        actions = [say(action) for action in self.world.applicable(self.facts)]
        known = [*([self.here] if self.here != START else []), *([self.held] if self.held else []), *self.things]
        return [*actions, *(f"examine {name}" for name in known), "look", "inventory"]


def _schemas(verb: str) -> list[Schema]:
    return [schema for name, schema in DOMAIN.actions.items() if name.partition("_")[0] == verb]


def say(action: Action) -> str:
    """A ground action as an agent would write it."""
    schema = DOMAIN.actions[action.name]
    return schema.forms[0].format(**_binding(schema, action))


def effect(action: Action) -> str:
    """What the agent is told after an action."""
    schema = DOMAIN.actions[action.name]
    binding = _binding(schema, action)
    return schema.effect.format(**binding, preposition=preposition(binding.get("place", "")))


def _binding(schema: Schema, action: Action) -> dict[str, str]:
    return {variable: value for (variable, _), value in zip(schema.parameters, action.arguments, strict=True)}


def opening(problem: Problem, difficulty: Difficulty) -> str:
    """What the agent is told first. At easy that is all there is; above, only the places."""
    places = [name for name, kind in problem.objects if DOMAIN.is_a(kind, "place")]
    goal = say_goal(problem.goal, difficulty)
    if difficulty != "easy":
        return f"{RULES}\n\nTask: {goal}.\nYou are in {START}, and your hand is empty. Places: {', '.join(places)}."
    return f"{_easy_actions(problem)}\nTask: {goal}.\n{_everything(problem, places)}"


def _easy_actions(problem: Problem) -> str:
    """The actions that the task can need."""
    goal = problem.goal
    closed = any(DOMAIN.is_a(kind, "closet") and ("open", name) not in problem.init for name, kind in problem.objects)
    forms = ["go to X", *(["open X"] if closed else []), "take X from Y", _EASY_ACTIONS[goal.task]]
    if goal.target not in ("", LAMP):
        forms.append("put X in Y")
    return f"Actions: {', '.join(form for form in forms if form)}, check."


def _everything(problem: Problem, places: list[str]) -> str:
    """Where everything is, and what is closed."""
    place_of = {fact[1]: fact[2] for fact in problem.init if fact[0] in ("in", "stands")}
    told = [
        f"{name} is {preposition(place_of[name])} {place_of[name]}." for name, _ in problem.objects if name in place_of
    ]
    told += [f"{place} is closed." for place in places if ("open", place) not in problem.init]
    return f"Places: {', '.join(places)}. {' '.join(told)}"
