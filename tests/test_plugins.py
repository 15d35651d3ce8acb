"""What another package adds by entry points works by name, and what is broken in it breaks nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

import acenv
from acenv.compressors import parse
from acenv.plugins import PluginError, plugins
from acenv.registry import register, resolve_env_ids

CODE = '''
from dataclasses import dataclass
from acenv.compressors.magnitude import dense_weight, load, run as _run
from acenv.compressors.options import Engine, PruningOptions
from acenv.envs.base import ConversationEnv, Outcome
from acenv.types import Decision


class AddEnv(ConversationEnv):
    """Add two numbers."""

    def sample_task(self, rng):
        return tuple(int(n) for n in rng.integers(1000, size=2))

    def fingerprint(self, task):
        return str(task)

    def open(self, task):
        return [], [{"role": "user", "content": f"{task[0]} + {task[1]} = ?"}], []

    def apply(self, action):
        return Outcome("", float(action.strip() == str(sum(self.task))), terminated=True)

    def expert_action(self):
        return str(sum(self.task))


class Parrot:
    def __init__(self, target="nothing", *, capacity=8):
        self.name, self.capacity = f"parrot-{target}", capacity

    def act(self, batch):
        return [Decision(self.name) for _ in batch]


def run(job):
    _run(job)


ENGINE = Engine(PruningOptions, "third_party", "torch", "", False)
NOT_AN_ENGINE = 7
'''

ENTRY_POINTS = """
[acenv.envs]
acenv/Add-v0 = third_party:AddEnv
other/Add-v3 = third_party:AddEnv
acenv/Needle-v0 = third_party:AddEnv
no name at all = third_party:AddEnv

[acenv.policies]
parrot = third_party:Parrot
ghost = third_party:Ghost

[acenv.compressors]
trim = third_party:ENGINE
seven = third_party:NOT_AN_ENGINE
absent = no_such_module:ENGINE
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that is installed as pip would, without pip."""
    (tmp_path / "third_party.py").write_text(CODE)
    info = tmp_path / "third_party-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.cache_clear()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        register()
    yield
    plugins.cache_clear()
    for env_id in ("acenv/Add-v0", "other/Add-v3"):
        gymnasium.registry.pop(env_id)


@pytest.mark.usefixtures("third_party")
def test_environments_of_another_package_are_evaluated_by_name() -> None:
    assert {"acenv/Add-v0", "other/Add-v3"} <= set(acenv.env_ids())
    assert resolve_env_ids("Add-v3") == ["other/Add-v3"]
    results = acenv.evaluate(["add", "other/Add-v3"], "oracle", range(3))
    assert results.mean_returns() == {"acenv/Add-v0": 1.0, "other/Add-v3": 1.0}


@pytest.mark.usefixtures("third_party")
def test_names_that_are_taken_or_make_no_sense_are_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning) as caught:
        register()
    texts = [str(warning.message) for warning in caught]
    assert any("third-party 1.2 adds acenv/Needle-v0, which acenv has itself" in text for text in texts)
    assert any("third-party 1.2 adds 'no name at all', which is left out" in text for text in texts)
    assert "Needle" in type(gymnasium.make("acenv/Needle-v0").unwrapped).__name__


@pytest.mark.usefixtures("third_party")
def test_policies_of_another_package_are_loaded_by_name() -> None:
    assert acenv.load_policy("parrot").name == "parrot-nothing"
    policy = acenv.load_policy("parrot:grey", capacity=2)
    assert (policy.name, policy.capacity) == ("parrot-grey", 2)
    with pytest.raises(ValueError, match="unknown option 'colour'"):
        acenv.load_policy("parrot", colour="red")
    with pytest.raises(PluginError, match="'ghost' of the package third-party 1.2 cannot be loaded"):
        acenv.load_policy("ghost")
    with pytest.raises(ValueError, match="parrot +of third-party 1.2"):
        acenv.load_policy("parot")


@pytest.mark.usefixtures("third_party")
def test_methods_of_another_package_compress(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    method = parse("trim:sparsity=0.25+rtn:bits=8,group_size=32")
    assert method.passes[0].prunes and method.slug == "trim-25-rtn-8bit-g32"
    folder = acenv.compress("nano", "trim:sparsity=0.25", tmp_path / "trimmed")
    assert acenv.load_policy(f"hf:{folder}").name
    with pytest.raises(PluginError, match="must be an acenv.compressors.options.Engine, and is a int"):
        parse("seven")
    with pytest.raises(PluginError, match="No module named 'no_such_module'"):
        parse("absent")
    with pytest.raises(ValueError, match="did you mean trim"):
        parse("trin")


def test_without_other_packages_nothing_is_added() -> None:
    assert all(env_id.startswith("acenv/") for env_id in acenv.env_ids())
