from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from acenv.cli import main
from acenv.registry import SIMULATORS, Requirement


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def evaluate(capsys: pytest.CaptureFixture[str], out: Path, policy: str, *more: str) -> Any:
    return run_json(
        capsys, "eval", "--policy", policy, "--envs", "ToolSandbox", "PDDL", "--episodes", "5", "--difficulty", "easy",
        "--out", str(out), *more,
    )  # fmt: skip


@pytest.mark.parametrize(
    "verb", ["envs", "play", "eval", "compress", "bench", "sweep", "compare", "failures", "report"]
)
def test_every_verb_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert f"$ acenv {verb}" in out


def test_envs_lists_environments_and_suites(capsys: pytest.CaptureFixture[str]) -> None:
    listed = run_json(capsys, "envs")
    assert "acenv/ToolSandbox-v0" in listed["envs"]
    assert len(listed["suites"]["quick"]) == 4
    assert "acenv/PDDL-v0" in run(capsys, "envs")[1]


def test_what_is_not_installed_can_be_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIMULATORS, "acenv/BabyAI-v0", Requirement("babyai", ("no_such_module",)))
    arguments = ("eval", "--policy", "oracle", "--envs", "PDDL", "BabyAI", "--episodes", "2")
    code, _, err = run(capsys, *arguments)
    assert code == 1 and "pip install 'acenv[babyai]'" in err and "--skip-missing" in " ".join(err.split())
    code, out, err = run(capsys, *arguments, "--skip-missing")
    assert code == 0 and "PDDL" in out and "left out: acenv/BabyAI-v0" in err
    code, _, err = run(capsys, "eval", "--policy", "oracle", "--envs", "BabyAI", "--skip-missing")
    assert code == 1 and "not installed" in err
    assert run_json(capsys, "envs")["missing"]["acenv/BabyAI-v0"] == "pip install 'acenv[babyai]'"


def test_eval_writes_a_run_and_says_the_returns(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = evaluate(capsys, tmp_path / "run", "oracle")
    assert answer == {
        "policy": "oracle",
        "mean_returns": {"acenv/ToolSandbox-v0": 1.0, "acenv/PDDL-v0": 1.0},
        "official": answer["official"],
        "errors": 0,
    }
    assert answer["official"]["AgentBoard/PDDL"]["progress_rate"] == 1.0
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 10
    code, out, _ = run(capsys, "eval", "--policy", "random", "--envs", "needle", "--episodes", "2")
    assert code == 0 and "Needle-v0" in out
    official = run_json(capsys, "eval", "--policy", "oracle", "--envs", "ruler", "--episodes", "2")["official"]
    assert official["episodes"] == {"RULER": 2.0} and set(official["RULER"].values()) == {100.0}


def test_compare_and_report_read_run_folders(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    evaluate(capsys, tmp_path / "good", "oracle")
    evaluate(capsys, tmp_path / "bad", "random")
    compared = run_json(capsys, "compare", str(tmp_path / "good"), str(tmp_path / "bad"))
    assert compared["bad"]["overall"]["difference"]["estimate"] < -0.8
    code, out, _ = run(capsys, "compare", str(tmp_path / "good"), str(tmp_path / "bad"))
    assert code == 0 and "overall" in out
    page = tmp_path / "page.html"
    written = run_json(capsys, "report", str(tmp_path / "good"), str(tmp_path / "bad"), "--out", str(page))
    assert written == {"report": str(page)}
    assert "<html" in page.read_text(encoding="utf-8")


def test_report_writes_charts_and_tables_as_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    evaluate(capsys, tmp_path / "good", "oracle")
    evaluate(capsys, tmp_path / "bad", "random")
    folders = ["--figures", str(tmp_path / "figures"), "--tables", str(tmp_path / "tables")]
    written = run_json(capsys, "report", str(tmp_path / "good"), str(tmp_path / "bad"), *folders)
    assert written["figures"] == str(tmp_path / "figures") and written["tables"] == str(tmp_path / "tables")
    assert (tmp_path / "figures" / "retention-overall.svg").exists()
    assert (tmp_path / "figures" / "failures-bad.png").exists()
    assert (tmp_path / "tables" / "retention.csv").read_text(encoding="utf-8").startswith("method,environment")
    assert (tmp_path / "tables" / "failures.tex").exists()
    code, _, err = run(capsys, "report", *[str(tmp_path / name) for name in ("good", "bad", "bad")])
    assert code != 0 and "names of their own" in err


def test_failures_are_counted_listed_and_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good, bad = str(tmp_path / "good"), str(tmp_path / "bad")
    evaluate(capsys, tmp_path / "good", "oracle")
    evaluate(capsys, tmp_path / "bad", "random")
    found = run_json(capsys, "failures", bad)
    assert sum(count["primary"] for count in found["counts"].values()) == len(found["episodes"]) > 5
    assert run_json(capsys, "failures", good) == {"counts": {}, "episodes": []}
    kind = found["episodes"][0]["primary"]["kind"]
    some = run_json(capsys, "failures", bad, "--reference", good, "--kind", kind)
    assert some["episodes"] and {one["primary"]["kind"] for one in some["episodes"]} == {kind}
    code, out, _ = run(capsys, "failures", bad)
    assert code == 0 and "episodes lost" in out and kind in out
    code, _, err = run(capsys, "failures", bad, "--kind", "laziness")
    assert code == 1 and "unparsable" in err
    overall = run_json(capsys, "compare", good, bad)["bad"]["failures"][-1]
    assert overall["candidate_lost"] == len(found["episodes"])
    assert "and by what" in run(capsys, "compare", good, bad)[1]


def test_play_shows_the_conversation(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run(capsys, "play", "PDDL", "--policy", "oracle")
    assert code == 0 and "The goal is reached." in out and "return 1.000" in out
    monkeypatch.setattr("sys.stdin", io.StringIO("check\n\nlook\n\n" + "look\n\n" * 40))
    code, out, _ = run(capsys, "play", "PDDL", "--policy", "human")
    assert code == 0 and "Valid actions" in out and "return 0.000" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["eval", "--policy", "oracle", "--envs", "ToolSandbx"], 1, "ToolSandbox-v0"),
        (["eval", "--policy", "wizard"], 1, "unknown policy"),
        (["eval", "--policy", "oracle", "--env-option", "length"], 2, "NAME=VALUE"),
        (["eval", "--policy", "oracle", "--env-option", "colour=3", "--envs", "needle"], 1, "colour"),
        (["compare", "nowhere", "elsewhere"], 1, "no run folder"),
        (["report", "nowhere"], 1, "bench"),
        (["play", "quick"], 2, "4 environments"),
        (["compress", "nano", "gptp:bits=4", "--out", "x"], 1, "gptq"),
        (["bench", "--methods", "gptq:bits=5"], 1, "bits"),
        (["bench", "--methods", "wanda", "wanda"], 1, "same"),
        (["fly"], 2, "fly"),
    ],
)
def test_mistakes_are_explained_on_standard_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    ended, out, err = run(capsys, *arguments)
    assert ended == code
    assert message in " ".join(err.split())
    assert "Traceback" not in err + out


def test_error_episodes_have_their_own_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = run(capsys, "play", "PDDL", "--policy", "human")
    assert code == 3
    assert "1 episodes are errors and not scored" in " ".join(err.split())
