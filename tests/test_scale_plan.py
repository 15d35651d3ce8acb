from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "plan.py"


@pytest.fixture(scope="module")
def planning() -> Any:
    spec = importlib.util.spec_from_file_location("scale_plan", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale_plan"] = module  # Dataclasses look for their module there.
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scale_plan"]


@pytest.fixture
def node(planning: Any) -> Any:
    rates = dict(environments_rate=100.0, nano_rate=5.0, store_rate=20_000.0, open_rate=200_000.0)
    sizes = dict(episodes_bytes=300.0, transcripts_bytes=1_700.0, index_bytes=50.0, resume_bytes=200.0)
    return planning.Node("a machine", "quick", "medium", **rates, **sizes)


@pytest.fixture
def wish(planning: Any) -> Any:
    return planning.Wish(100_000_000, 10.0, 50, 4, 2.0, "assumed", 1_000_000)


def test_the_arithmetic(planning: Any, node: Any, wish: Any) -> None:
    found = {(line.name, line.unit): line for line in planning.plan(node, wish)}
    values = {
        ("speed that is needed", "episodes/s"): 100e6 / 864_000,
        ("environments", "core-hours"): 1e6 / 3600,
        ("environments", "node-hours"): 1e6 / 3600 / 50,
        ("model", "GPU-hours"): 50e6 / 3600,
        ("nodes for the model", ""): 15,  # 115.7 episodes a second, at 8 a node
        ("nodes for the environments", ""): 1,
        ("nodes, both side by side", ""): 15,
        ("stores at once, at least", ""): 1,
        ("disk", "TB"): 0.2,
        ("run folders", ""): 100,
        ("disk of a folder", "GB"): 2.0,
        ("opening a folder", "s"): 5.0,
        ("index of a folder", "MB"): 50.0,
        ("index of all folders at once", "GB"): 5.0,
        ("taking up all of it in one folder", "GB"): 20.0,
    }
    assert {key: found[key].value for key in values} == pytest.approx(values)


def test_every_line_says_where_it_comes_from(planning: Any, node: Any, wish: Any) -> None:
    lines = planning.plan(node, wish)
    assert {line.source for line in lines} == {"measured", "assumed", "computed"}
    (model,) = (line for line in planning.plan(node, replace(wish, model_rate_from="given")) if line.source == "given")
    assert model.name == "model on one GPU"
    measured = {line.value for line in lines if line.source == "measured"}
    assert measured == {value for name, value in asdict(node).items() if name != "open_rate" and value in measured}


def test_what_makes_no_sense_is_refused(planning: Any, node: Any, wish: Any) -> None:
    for change in ({"days": 0.0}, {"model_rate": -1.0}, {"episodes": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(change))} must be more than 0"):
            planning.plan(node, replace(wish, **change))


def test_the_script_reads_what_was_measured(
    planning: Any, node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "node.json"
    path.write_text(json.dumps(asdict(node)))
    monkeypatch.setattr(sys, "argv", ["plan.py", "--node", str(path), "--episodes", "2e6", "--json"])
    planning.main()
    lines = json.loads(capsys.readouterr().out)
    assert {"name": "run folders", "value": 2, "unit": "", "source": "computed"} in lines


def test_the_store_is_measured(planning: Any, tmp_path: Path) -> None:
    import acenv

    results = acenv.evaluate("PDDL", "oracle", range(3), env_kwargs={"difficulty": "easy"})
    records = [(episode, results.transcript(episode.key)) for episode in results.episodes]
    found = planning._measure_store(tmp_path, records, 50)
    assert all(value > 0 for value in found.values())
    stored = acenv.Results.load(tmp_path)
    assert len(stored) == 50 and stored.transcript(("acenv/PDDL-v0", 4)).steps == records[1][1].steps
