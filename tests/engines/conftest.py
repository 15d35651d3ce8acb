"""What the tests of the engines share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.runs import Results

MORTAL = '''
import os, signal, sys
from pathlib import Path
import gymnasium
from acenv.spaces import Messages, Text


class MortalEnv(gymnasium.Env):
    """Kills its process: in seed 3 the first time, in seed 5 the first time it is reset, in seed 7 always."""

    def __init__(self, marks):
        self.observation_space, self.action_space, self.marks = Messages(), Text(), Path(marks)

    def die(self, mark):
        if mark is None or not (self.marks / mark).exists():
            if mark is not None:
                (self.marks / mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed, self.left = seed, 3
        if seed == 5:
            self.die("reset")
        return [{"role": "user", "content": str(seed)}], {"labels": {"torch": str("torch" in sys.modules)}}

    def step(self, action):
        self.left -= 1
        if self.seed == 3 and self.left == 1:
            self.die("step")
        if self.seed == 7:
            self.die(None)
        if self.seed == 8:
            raise KeyError("no such thing")
        over = self.left == 0
        info = {"metrics": {"success": 1.0}, "what is no data": open}
        return [{"role": "user", "content": action}], float(over), over, False, info

    def expert_action(self):
        return f"step {self.left}"
'''


@pytest.fixture
def mortal_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, Any]]]:
    """An environment that kills its process, known to this process alone, and its keywords."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "mortal_env.py").write_text(MORTAL)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    gymnasium.register("acenv/MortalForTests-v0", entry_point="mortal_env:MortalEnv", disable_env_checker=True)
    (tmp_path / "marks").mkdir()
    yield "acenv/MortalForTests-v0", {"marks": str(tmp_path / "marks")}
    del gymnasium.registry["acenv/MortalForTests-v0"]


def timeless(results: Results) -> list[Any]:
    """Episodes and what was said in each, by environment and seed, but for the clock."""
    episodes = sorted(results.episodes, key=lambda e: e.key)
    return [(replace(e, seconds=0.0), results.transcript(e.key)) for e in episodes]
