from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import acenv
from acenv.cli import main
from acenv.compressors import MANIFEST, parse
from acenv.compressors.checkpoint import read_source
from acenv.compressors.job import check_method, layers_of
from acenv.policies import NANO
from acenv.runs import RunError
from acenv.studies.bench import BenchSettings, bench
from acenv.studies.exchange import Exchange, group
from acenv.studies.recipe import choose, fill, keeping, outer_first, shortest_globs
from acenv.studies.recovery import bench_sensitivity, first_transcripts, recover
from acenv.studies.sensitivity import Sensitivity, measure_sensitivity

DAMAGED = "model.layers.2.mlp.down_proj"
LAYERS = list(read_source(NANO).linears)


@pytest.fixture(scope="module")
def results() -> Any:
    return acenv.evaluate(["ToolSandbox", "Needle"], "oracle", range(4), env_kwargs={"difficulty": "easy"})


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the weights of a checkpoint, and let its manifest no longer say what they are."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.pop("checkpoint", None)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nano, hardly pruned, but for one layer that has lost half of its inputs."""
    folder: Path = tmp_path_factory.mktemp("damaged") / "magnitude"
    acenv.compress(NANO, "magnitude:sparsity=0.05", folder, ["a text to compare on"])
    edit(folder, lambda tensors: tensors[f"{DAMAGED}.weight"][:, ::2].zero_())
    return folder


@pytest.fixture(scope="module")
def found(results: Any, damaged: Path) -> Sensitivity:
    return measure_sensitivity(NANO, damaged, first_transcripts(results, 4), budget=0.06)


def test_planted_damage_is_on_top_of_the_list_and_kept_by_the_recipe(found: Sensitivity) -> None:
    worst = max(found.units, key=found.regained)
    assert worst.name == DAMAGED == max(found.units, key=lambda u: u.alone.kl).name
    assert found.regained(worst) > 0.5 * found.whole.kl
    assert found.recipe is not None and found.recipe.keep[0] == DAMAGED
    assert found.recipe.distance.kl < 0.5 * found.recipe.compressed.kl
    assert found.recipe.distance.kl < min(d.kl for d in (found.recipe.outer, *found.recipe.random))
    assert found.recipe.share <= 0.06 and len(found.units) == len(LAYERS) == 35
    assert found.table()["model.layers.2"]["down_proj"] == found.regained(worst)


def test_the_recipe_is_a_method_that_leaves_just_these_layers_dense(found: Sensitivity) -> None:
    assert found.recipe is not None
    source, plan = read_source(NANO), parse(found.recipe.method)
    (layers,) = check_method(source, plan)
    assert set(layers) == set(LAYERS) - set(found.recipe.layers)


def test_all_layers_exchanged_are_the_compressed_model(found: Sensitivity) -> None:
    assert found.whole == found.checkpoint


def test_a_sensitivity_survives_json(found: Sensitivity) -> None:
    assert Sensitivity.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    with pytest.raises(ValueError, match="to_dict"):
        Sensitivity.from_dict({"units": []})


def test_the_dense_model_is_itself_again_after_exchanges(results: Any, damaged: Path, tmp_path: Path) -> None:
    exchange = Exchange(acenv.load_policy("nano"), acenv.load_policy(f"hf:{damaged}"), LAYERS)
    reference = exchange.record(first_transcripts(results, 2), tmp_path)
    assert exchange.measure(reference, LAYERS).kl > 0
    assert exchange.measure(reference, ()).kl == exchange.measure(reference, ()).flips == 0.0


def test_a_method_string_is_compressed_first_and_blocks_are_exchanged_as_one(results: Any) -> None:
    found = measure_sensitivity(
        NANO, "rtn:bits=2,group_size=32", first_transcripts(results, 2), by="block", budget=0.2, bits=8
    )
    assert [u.name for u in found.units] == [f"model.layers.{i}" for i in range(5)]
    assert found.recipe is not None and len(found.recipe.keep) == 1
    assert found.recipe.method.endswith("bits=8") and "@*." in found.recipe.method
    kept = dict(zip(("weights", "bytes"), (found.units[0].weights, found.units[0].extra_bytes), strict=True))
    assert kept["bytes"] == kept["weights"] * 6 / 8  # from 2 to 8 bits; the scales stay


def test_methods_that_move_scales_are_exchanged_by_block_only(results: Any, damaged: Path, tmp_path: Path) -> None:
    def move(tensors: dict[str, Any]) -> None:
        tensors["model.layers.1.post_attention_layernorm.weight"] /= 2
        for name in ("gate", "up"):
            tensors[f"model.layers.1.mlp.{name}_proj.weight"] *= 2

    moved = tmp_path / "moved"
    shutil.copytree(damaged, moved)
    edit(moved, move)
    texts = first_transcripts(results, 2)
    with pytest.raises(ValueError, match=r"layers.1.post_attention_layernorm.*by block"):
        measure_sensitivity(NANO, moved, texts)
    one, other = (measure_sensitivity(NANO, folder, texts, by="block", budget=0) for folder in (damaged, moved))
    assert one.recipe is None
    for ours, theirs in zip(one.units, other.units, strict=True):
        assert ours.alone.kl == pytest.approx(theirs.alone.kl)  # the scales cancel within the block
        assert ours.kept.kl == pytest.approx(theirs.kept.kl)


def test_what_makes_no_sense_is_refused(results: Any, damaged: Path) -> None:
    texts = first_transcripts(results, 2)
    for options, problem in (
        ({"budget": 1.0}, "budget"),
        ({"extra_bytes": -1}, "budget"),
        ({"by": "head"}, "module, block, kind"),
        ({"bits": 8}, "does not quantise"),
    ):
        with pytest.raises(ValueError, match=problem):
            measure_sensitivity(NANO, damaged, texts, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two transcripts"):
        measure_sensitivity(NANO, damaged, texts[:1])
    with pytest.raises(ValueError, match="neither a checkpoint"):
        measure_sensitivity(NANO, "nowhere", texts)


def test_a_recipe_in_a_bench_acts_and_its_gain_is_measured_on_other_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = BenchSettings(
        model="nano",
        methods=("magnitude:sparsity=0.7",),
        envs=("ToolSandbox",),
        episodes=4,
        env_kwargs={"difficulty": "easy"},
        policy={"max_new_tokens": 40},
        replayed=1,
    )
    folder = tmp_path / "bench"
    bench(settings, folder)
    found = bench_sensitivity(folder, "magnitude-70", transcripts=2, by="block", budget=0.25)
    assert found.recipe is not None
    recovery = recover(folder, "magnitude-70", found.recipe, transcripts=2)
    assert recovery.episodes == 2 and recovery.method == found.recipe.method
    assert recovery.extra_bytes == 0  # pruned weights take as much as dense ones
    assert recovery.gain.estimate == pytest.approx(recovery.recipe_return.estimate - recovery.plain_return.estimate)
    assert (folder / "sensitivity" / "magnitude-70.json").exists()
    assert len(json.loads((folder / "bench.json").read_text())["methods"]) == 2
    with pytest.raises(SystemExit) as exit_:
        main(["sensitivity", str(folder), "--method", "magnitude-70", "--transcripts", "2", "--by", "block"])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert "model.layers.4" in out and "Keeping" not in out  # a tenth holds no block
    with pytest.raises(ValueError, match="take more episodes"):
        recover(folder, "magnitude-70", found.recipe, transcripts=8)
    with pytest.raises(ValueError, match="it has magnitude-70"):
        bench_sensitivity(folder, "gptq-2bit")
    with pytest.raises(RunError, match="no bench folder"):
        bench_sensitivity(tmp_path, "magnitude-70")


@given(st.sets(st.sampled_from(LAYERS), min_size=1))
def test_globs_match_what_is_kept_and_nothing_else(keep: set[str]) -> None:
    globs = shortest_globs(keep, LAYERS)
    assert {n for n in LAYERS if any(fnmatchcase(n, g) for g in globs)} == keep
    assert len(globs) <= len(keep)
    if keep != set(LAYERS):
        for method in ("gptq:bits=2,group_size=32", "wanda:pattern=2:4+rtn:bits=4,group_size=32"):
            plan = parse(keeping(method, globs))
            source = read_source(NANO)
            assert all(set(layers_of(source, step)) == set(LAYERS) - keep for step in plan.passes)
    quantised = parse(keeping("rtn:bits=2,group_size=32", globs, bits=8)).passes[0].layers(LAYERS)
    assert {n for n, options in quantised.items() if options.target().bits == 8} == keep


@pytest.mark.parametrize(
    ("keep", "globs"),
    [
        ([n for n in LAYERS if n.endswith("down_proj")], ("*.down_proj",)),
        ([n for n in LAYERS if ".0." in n or ".4." in n], ("*.[04].*",)),
        ([DAMAGED], ("*.2.mlp.down_proj",)),
    ],
)
def test_globs_are_short(keep: list[str], globs: tuple[str, ...]) -> None:
    assert shortest_globs(keep, LAYERS) == globs


def test_layers_that_only_help_together_are_not_taken_for_what_they_do_alone() -> None:
    """b regains nothing more once a is kept, which only a joint measurement shows."""
    worth = {frozenset("a"): 3.0, frozenset("b"): 2.9, frozenset("c"): 1.0, frozenset("ab"): 3.0, frozenset("ac"): 4.0}
    measured: list[tuple[str, ...]] = []

    def regain(kept: Any) -> float:
        measured.append(tuple(kept))
        return worth[frozenset(kept)]

    costs = dict.fromkeys("abc", 1.0)
    assert choose(costs, 2.0, {n: worth[frozenset(n)] for n in "abc"}, regain) == ("a", "c")
    assert measured == [("a", "b"), ("a", "c")]
    assert choose(costs, 0.5, dict.fromkeys("abc", 1.0), regain) == ()
    assert choose(costs, 3.0, dict.fromkeys("abc", -1.0), regain) == ()


def test_budgets_are_filled_in_order_and_outer_blocks_come_first() -> None:
    assert fill(["a", "b", "c"], {"a": 2, "b": 3, "c": 1}, 3) == ("a", "c")
    names = [f"m.{i}.q" for i in range(4)]
    assert outer_first(group(names, "module")) == ["m.0.q", "m.3.q", "m.1.q", "m.2.q"]
