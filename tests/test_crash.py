"""What becomes of a run when its process is killed, and when the disk or the folder will not have it."""

from __future__ import annotations

import ctypes
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from acenv.runs import Results

SETTINGS = ("--policy", "oracle", "--envs", "ToolSandbox", "PDDL", "--difficulty", "easy")
EPISODES = 120

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


def start(folder: Path, *more: str, episodes: int = EPISODES, **options: Any) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "acenv", "eval", *SETTINGS, "--episodes", str(episodes), "--out", str(folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [*command, "--json", *more],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for success, and give what was printed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def refuse(process: subprocess.Popen[str]) -> str:
    """Wait for a failure that is told, and give what was said."""
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    return " ".join(err.split())


def records(folder: Path) -> dict[tuple[str, int], tuple[Any, bytes]]:
    """What a run holds of each episode, but for its clock and its place: a second record of one is a failure."""
    transcripts = (folder / "transcripts.jsonl").read_bytes()
    found: dict[tuple[str, int], tuple[Any, bytes]] = {}
    for line in (folder / "episodes.jsonl").read_text().split("\n")[:-1]:
        episode = json.loads(line)
        said = transcripts[episode.pop("transcript") :].partition(b"\n")[0]
        del episode["seconds"]
        key = (episode["env_id"], episode["seed"])
        assert key not in found, f"{key} is there twice"
        assert (json.loads(said)["env_id"], json.loads(said)["seed"]) == key
        found[key] = (episode, said)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], tuple[Any, bytes]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(start(folder))
    whole = records(folder)
    assert len(whole) == 2 * EPISODES
    return whole


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def began(folder: Path) -> int:
    """Changes whenever a process takes up the run: it writes the manifest anew."""
    path = folder / "manifest.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def changed(folder: Path, before: int) -> bool:
    return began(folder) != before


def tear(path: Path, rng: random.Random) -> None:
    """Take some bytes of the last line away, as a machine does that goes down while it writes."""
    data = path.read_bytes() if path.exists() else b""
    if last := data.splitlines(keepends=True)[-1:]:
        os.truncate(path, len(data) - rng.randint(1, len(last[0]) - 1))


def members(session: int) -> list[int]:
    """Processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, *fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It has gone meanwhile.
        if int(fields[2]) == session and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def kill_and_finish(base: Path, kills: int, undisturbed: dict[tuple[str, int], tuple[Any, bytes]]) -> tuple[int, int]:
    """Kill runs at random moments, take each up again until it is whole; gives how many stopped half-way, and ended.

    Each start is in one process or with two workers, since either goes on where the other was.
    """
    rng = random.Random(20)
    killed = halfway = ended = 0
    while killed < kills or (base / str(ended)).exists():
        folder = base / str(ended)
        before = began(folder)
        process = start(folder, *rng.choice([(), ("--workers", "2")]))
        if killed < kills:
            if rng.random() < 0.9:
                wait_for(partial(changed, folder, before), process)
                time.sleep(rng.uniform(0.0, 1.0))
            else:
                time.sleep(rng.uniform(0.0, 2.0))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        if process.returncode == -signal.SIGKILL:
            killed += 1
            until = time.monotonic() + 20
            while members(process.pid):  # What it had started must not outlive it.
                assert time.monotonic() < until
                time.sleep(0.02)
            for name in ("episodes.jsonl", "transcripts.jsonl"):
                if rng.random() < 0.3:
                    tear(folder / name, rng)
            if began(folder):
                # A reader makes nothing of the torn line, and of the others what they were.
                listed = {e.key: e for e in Results.load(folder).episodes}
                assert all(listed[key].return_ == undisturbed[key][0]["return_"] for key in listed)
                halfway += 0 < len(listed) < len(undisturbed)
        else:
            assert process.returncode == 0, err
            assert json.loads(out)["errors"] == 0
            assert records(folder) == undisturbed
            ended += 1
    return halfway, ended


@linux
def test_a_killed_run_loses_and_repeats_nothing(
    tmp_path: Path, undisturbed: dict[tuple[str, int], tuple[Any, bytes]]
) -> None:
    halfway, ended = kill_and_finish(tmp_path, 4, undisturbed)
    assert halfway >= 1 and ended >= 1


@linux
@pytest.mark.slow
def test_a_run_that_is_killed_at_100_moments_loses_and_repeats_nothing(
    tmp_path: Path, undisturbed: dict[tuple[str, int], tuple[Any, bytes]]
) -> None:
    halfway, ended = kill_and_finish(tmp_path, 100, undisturbed)
    assert halfway >= 30 and ended >= 1


@linux
def test_a_disk_that_is_full_is_told_and_the_run_goes_on_later(
    tmp_path: Path, undisturbed: dict[tuple[str, int], tuple[Any, bytes]]
) -> None:
    """The limit on the size of files tears a line in the middle, as a full disk does."""
    limit = 200_000
    full = start(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    said = refuse(full)
    assert "cannot append to the run" in said and "start the same command again" in said
    for name in ("episodes.jsonl", "transcripts.jsonl"):
        assert (tmp_path / name).read_bytes().endswith(b"\n")
    kept = records(tmp_path)
    assert 0 < len(kept) < len(undisturbed) and all(undisturbed[key] == kept[key] for key in kept)
    finish(start(tmp_path))
    assert records(tmp_path) == undisturbed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_is_full_from_the_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "transcripts.jsonl").symlink_to("/dev/full")
    assert "No space left on device" in refuse(start(tmp_path, episodes=2))
    assert (tmp_path / "episodes.jsonl").read_bytes() == b""
    (tmp_path / "transcripts.jsonl").unlink()
    finish(start(tmp_path, episodes=2))
    assert len(records(tmp_path)) == 4


def obey_permissions() -> None:
    """Let a process of root heed the permissions of files: it loses the capability that overrides them."""
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0) != 0:  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
        raise OSError("the capability cannot be dropped")


@linux
@pytest.mark.parametrize("there", [True, False], ids=["folder with a run", "empty folder"])
def test_a_folder_that_is_read_only_is_told_and_left_alone(tmp_path: Path, there: bool) -> None:
    if there:
        finish(start(tmp_path, episodes=2))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        try:
            process = start(tmp_path, episodes=3, preexec_fn=obey_permissions)
        except subprocess.SubprocessError:
            pytest.skip("root that can not be made to heed permissions")
        said = refuse(process)
    finally:
        tmp_path.chmod(0o755)
    assert "cannot write to the run folder" in said and "Permission denied" in said
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@linux
def test_a_second_process_is_refused_and_the_first_goes_on(
    tmp_path: Path, undisturbed: dict[tuple[str, int], tuple[Any, bytes]]
) -> None:
    first = start(tmp_path)
    wait_for(partial(changed, tmp_path, 0), first)
    os.kill(first.pid, signal.SIGSTOP)  # It must not be through before the second begins.
    try:
        assert "another process is writing to the run" in refuse(start(tmp_path))
    finally:
        os.kill(first.pid, signal.SIGCONT)
    finish(first)
    assert records(tmp_path) == undisturbed
