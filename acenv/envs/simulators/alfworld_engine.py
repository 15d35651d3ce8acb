"""ALFWorld's engine: its grammar over Fast Downward's state, without the work that no agent has asked for.

TextWorld's own environment for PDDL words all that can be done, through a grammar, after every step, which takes nearly
all of its time. Here a command is worded when its action first becomes possible, and then remembered.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, ClassVar

from acenv.envs.simulators.games import PARSING

_MANY = "[{r.name | receptacleatlocation(r:receptacle, lend:location)}]"
"""What the grammar says for the place that one goes to; it comes to the action's own receptacle."""


class Downward:
    """A copy of Fast Downward's library, which holds one game at a time; to be closed.

    Copies that are closed are used again: to unload one, and then to load another, crashes the process.
    """

    _free: ClassVar[list[Any]] = []
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        """Take a copy that is free, or load one."""
        import fast_downward

        with self._lock:
            self.library = self._free.pop() if self._free else fast_downward.load_lib()

    def close(self) -> None:
        """Give the copy back."""
        self.library.cleanup()
        with self._lock:
            self._free.append(self.library)


class HouseGame:
    """One game that runs.

    Attributes:
        intro: What the game says first.
    """

    def __init__(self, downward: Downward, domain: str, grammar: str, problem: str) -> None:
        """Start the game.

        Args:
            downward: A library that is not used elsewhere.
            domain: ALFWorld's PDDL domain.
            grammar: ALFWorld's grammar, with the goal in it.
            problem: The PDDL problem.
        """
        from alfworld.agents.utils.misc import Demangler
        from textworld.envs.pddl import logic
        from textworld.generator.game import EntityInfo

        with PARSING:
            # Fast Downward's translator keeps its settings in modules, and takes these two for itself meanwhile.
            argv, stdout = sys.argv, sys.stdout
            try:
                self._logic = logic.GameLogic(domain=domain, grammar=grammar)
                self._state = logic.PddlState(downward.library, problem, self._logic)
            finally:
                sys.argv, sys.stdout = argv, stdout
        self._library = downward.library
        self._start = list(self._state.facts)
        self._infos = {v.name: EntityInfo(v.name, v.type) for fact in self._start for v in fact.arguments}
        names = Demangler(game_infos=self._infos)
        for info in self._infos.values():
            info.name, info.definite, info.indefinite = names.demangle_alfred_name(info.id), "the", "a"
        self._worded: dict[str, str] = {}
        self._possible: dict[str, Any] | None = None
        self.intro = self._say("#intro#")

    def restart(self) -> None:
        """Go back to the start, without reading the game again."""
        self._library.load_sas(self._state.sas.encode())
        self._state.remove_facts(list(self._state.facts))
        self._state.add_facts(self._start)
        self._possible = None

    def step(self, command: str) -> str | None:
        """Do what a command says.

        Returns:
            What the game says, or None if the command is not possible now.
        """
        action = self._actions().get(command)
        if action is None:
            return None
        self._state.apply(action)
        self._possible = None
        return self._say(action.feedback_rule, action.mapping)

    def commands(self) -> list[str]:
        """All that is possible now, in order."""
        return sorted(self._actions())

    @property
    def won(self) -> bool:
        """Whether the goal holds."""
        return bool(self._library.check_goal())

    def facts(self) -> list[tuple[str, ...]]:
        """All that is true now, as predicates and the ids of things."""
        return [(fact.name, *(variable.name for variable in fact.arguments)) for fact in self._state.facts]

    def name(self, thing: str) -> str:
        """What a thing is called in commands; other words stay as they are."""
        return self._infos[thing].name.strip() if thing in self._infos else thing

    def _actions(self) -> dict[str, Any]:
        if self._possible is None:
            self._possible = {}
            for action in self._state.all_applicable_actions():
                key = f"{action.name} {' '.join(variable.name for variable in action.mapping.values())}"
                if key not in self._worded:
                    self._worded[key] = self._word(action)
                self._possible.setdefault(self._worded[key], action)
        return self._possible

    def _word(self, action: Any) -> str:
        names = {placeholder.name: self._infos[v.name].name for placeholder, v in action.mapping.items()}
        template = str(action.command_template).replace(_MANY, "{r}")
        return " ".join(template.format(**names).split())

    def _say(self, rule: str, mapping: Any = None) -> str:
        mapping = mapping or {}
        context = {
            "state": self._state,
            "facts": list(self._state.facts),
            "variables": {placeholder.name: self._infos[v.name] for placeholder, v in mapping.items()},
            "mapping": mapping,
            "entity_infos": self._infos,
        }
        with PARSING:
            return str(self._logic.grammar.derive(rule, context))
