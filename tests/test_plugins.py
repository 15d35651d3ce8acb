"""What another package adds by entry points works by name, and what is broken in it breaks nothing else."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

import acenv
from acenv.analysis.analyzers import analyze
from acenv.analysis.report import render_report
from acenv.analysis.report_data import ReportData
from acenv.analysis.tables import rows_of, write_tables
from acenv.cli import main
from acenv.compressors import parse
from acenv.plugins import ANALYZERS, PluginError, plugins
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


def lengths(data):
    """Steps of an episode.

    More of which nobody wants to read.
    """
    for candidate in data.candidates:
        episodes = candidate.results.episodes
        yield {"method": candidate.name, "steps": sum(e.length for e in episodes) / len(episodes), "<b>": None}


def broken(data):
    raise RuntimeError("no <i>luck</i>")


def crooked(data):
    return [7]


def nothing(data):
    return ()
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

[acenv.analyzers]
episode lengths = third_party:lengths
broken = third_party:broken
crooked = third_party:crooked
lost = third_party:Lost
nothing = third_party:nothing
retention = third_party:lengths
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


@pytest.fixture
def compared() -> ReportData:
    runs = [acenv.evaluate("ToolSandbox", policy, range(3)) for policy in ("oracle", "random")]
    return acenv.gather(runs[0], {"random": runs[1]})


@pytest.mark.usefixtures("third_party")
@pytest.mark.filterwarnings("ignore:third-party 1.2 adds a table")
def test_analyzers_of_another_package_add_tables_and_broken_ones_say_so(compared: ReportData) -> None:
    found = {added.name: added for added in analyze(compared)}
    assert list(found) == ["episode lengths", "broken", "crooked", "lost", "nothing"]
    lengths = found["episode lengths"]
    assert (lengths.caption, lengths.package) == ("Steps of an episode.", "third-party 1.2")
    assert lengths.columns == ("method", "steps", "<b>") and lengths.rows[0]["method"] == "random"
    assert found["broken"].error == "the analyzer 'broken' of third-party 1.2 failed: RuntimeError: no <i>luck</i>"
    assert "'crooked' of third-party 1.2 failed: TypeError" in found["crooked"].error
    assert "'lost' of the package third-party 1.2 cannot be loaded" in found["lost"].error
    assert found["nothing"].rows == () and not found["nothing"].error


@pytest.mark.usefixtures("third_party")
def test_a_table_that_acenv_has_itself_is_left_out_with_a_warning(compared: ReportData) -> None:
    with pytest.warns(UserWarning, match="third-party 1.2 adds a table retention, which acenv has itself"):
        names = compared.tables
    assert names.count("retention") == 1 and "episode lengths" in names


@pytest.mark.usefixtures("third_party")
@pytest.mark.filterwarnings("ignore:third-party 1.2 adds a table", "ignore:the table .* is left out")
def test_added_tables_go_where_acenvs_own_go(compared: ReportData, tmp_path: Path) -> None:
    (row,) = rows_of(compared, "episode lengths")
    assert row["method"] == "random" and row["steps"] > 0
    written = {path.name for path in write_tables(compared, tmp_path)}
    assert {"episode lengths.csv", "episode lengths.tex", "retention.csv"} <= written
    assert not any("broken" in name for name in written)
    with pytest.raises(PluginError, match="'broken' of third-party 1.2 failed"):
        rows_of(compared, "broken")


@pytest.mark.usefixtures("third_party")
@pytest.mark.filterwarnings("ignore:third-party 1.2 adds a table")
def test_added_tables_are_in_the_report_as_text(compared: ReportData) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    page = render_report(compared)
    assert "Added by other packages" in page and "Steps of an episode." in page
    assert "&lt;b&gt;" in page and "no &lt;i&gt;luck&lt;/i&gt;" in page
    assert "<b></th>" not in page and "<i>luck" not in page
    assert "third-party 1.2 found nothing." in page


@pytest.mark.usefixtures("third_party")
@pytest.mark.filterwarnings("ignore:third-party 1.2 adds a table")
def test_compare_prints_added_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / policy for policy in ("oracle", "random")]
    for folder in folders:
        acenv.evaluate("ToolSandbox", folder.name, range(3), out=folder)
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as left:
            main(["compare", *map(str, folders), *flags])
        assert left.value.code in (0, None)
        printed = capsys.readouterr().out
        if flags:
            added = json.loads(printed)["added"]
            assert added["episode lengths"]["rows"][0]["<b>"] is None
            assert "RuntimeError" in added["broken"]["error"]
        else:
            assert "Steps of an episode." in printed and "no <i>luck</i>" in " ".join(printed.split())


def test_without_other_packages_nothing_is_added() -> None:
    assert all(env_id.startswith("acenv/") for env_id in acenv.env_ids())
    assert plugins(ANALYZERS) == {}
