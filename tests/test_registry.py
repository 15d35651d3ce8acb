from __future__ import annotations

import subprocess
import sys

import gymnasium
import pytest

import acenv
from acenv.registry import SIMULATORS, MissingSimulatorError, Requirement, resolve_env_ids

NEVER = Requirement("chess", ("no_such_module",), ("no-such-program",))


def test_import_registers_the_environments_and_loads_neither_torch_nor_any_of_them() -> None:
    code = (
        "import acenv, gymnasium, sys;"
        "assert 'acenv/ToolSandbox-v0' in gymnasium.registry;"
        "print(sorted(m for m in sys.modules if m in ('torch', 'transformers', 'scipy') or m.startswith('acenv.envs')))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_every_id_of_every_suite_can_be_made() -> None:
    for env_id in {env_id for ids in acenv.suites.values() for env_id in ids}:
        assert env_id in acenv.env_ids()
        if env_id not in SIMULATORS:
            gymnasium.make(env_id).close()


def test_the_suites_have_what_the_paper_evaluates() -> None:
    names = ("PDDL", "ScienceWorld", "TextWorld", "ToolQuery", "ToolOperation")
    assert {f"acenv/{name}-v0" for name in names} <= set(acenv.suites["acbench"])
    assert not set(acenv.suites["worlds"]) & set(SIMULATORS)
    assert set(acenv.suites["simulators"]) == set(SIMULATORS)


def test_a_simulator_that_is_not_installed_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIMULATORS, "acenv/BabyAI-v0", NEVER)
    for attempt in (
        lambda: gymnasium.make("acenv/BabyAI-v0"),
        lambda: acenv.evaluate(["PDDL", "BabyAI"], "oracle", range(2)),
    ):
        with pytest.raises(MissingSimulatorError, match=r"BabyAI-v0: pip install 'acenv\[chess\]', and have no-such"):
            attempt()


def test_names_are_found_without_prefix_and_version() -> None:
    assert resolve_env_ids("toolsandbox") == ["acenv/ToolSandbox-v0"]
    assert resolve_env_ids(["longcontext", "Needle", "acenv/Ruler-v0"]) == resolve_env_ids("longcontext")
    assert len(resolve_env_ids("quick")) == 4


def test_unknown_names_are_answered_with_close_ones() -> None:
    with pytest.raises(ValueError, match="ToolSandbox-v0"):
        resolve_env_ids("ToolSandbx")
