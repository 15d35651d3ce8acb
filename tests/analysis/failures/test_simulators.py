"""What the simulators' environments find wrong with commands; those that are not installed are passed over."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest

from acenv.registry import SIMULATORS

PROSE = "I think that I should look around the whole room first"


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("TextWorld", {"fly home": "hallucinated tool", PROSE: "unparsable", "open moon": "wrong argument"}),
        ("ALFWorld", {"fly home": "hallucinated tool", PROSE: "unparsable", "take": "schema violation"}),
        ("ALFWorld", {"open cabinet 1": "invalid in this world"}),
        ("ScienceWorld", {"fly home": "hallucinated tool", PROSE: "unparsable", "open moon": "wrong argument"}),
        ("ScienceWorld", {"dunk": "schema violation"}),
        ("TextWorldExpress", {"fly home": "hallucinated tool", PROSE: "unparsable", "open moon": "wrong argument"}),
        ("MiniWoB", {"fly home": "hallucinated tool", PROSE: "unparsable", "click [99]": "wrong argument"}),
    ],
)
def test_commands_that_are_refused(name: str, refused: dict[str, str]) -> None:
    env_id = f"acenv/{name}-v0"
    if missing := SIMULATORS[env_id].missing():
        pytest.skip(missing)
    env: Any = gymnasium.make(env_id, difficulty="medium").unwrapped
    try:
        env.reset(seed=0)
        for command, fault in refused.items():
            assert env.step(command)[4].get("fault") == fault, command
        assert "fault" not in env.step("check valid actions")[4]
    finally:
        env.close()
