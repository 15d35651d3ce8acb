"""Earlier runs of the original model, taken over so that it does not have to act again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from acenv.runs import Results, RunError
from acenv.store import RunStore, different_settings


def dense_runs(folder: Path, name: str) -> list[Path]:
    """The run folders of the original in a folder: a run itself, or those of a bench or a sweep.

    Args:
        folder: A run, bench or sweep folder.
        name: Which run of a bench or sweep; a run folder is one of the original, and no second run of it.

    Raises:
        RunError: There is none of these.
    """
    if (folder / "manifest.json").exists():
        return [folder] if name == "dense" else []
    manifests = (path for depth in ("", "*/") for path in folder.glob(f"{depth}runs/{name}/manifest.json"))
    runs = sorted(path.parent for path in manifests)
    if not runs and name == "dense":
        raise RunError(f"{folder} is no run, bench or sweep folder, so it cannot be a baseline")
    return runs


def adopt(run: Path, target: Path, env_ids: Collection[str], seeds: Collection[int]) -> list[str]:
    """Copy the finished episodes of a run into another run of the same model with the same settings.

    Args:
        run: Where they are; nothing is changed there.
        target: A run folder that was opened with the settings of now.
        env_ids: Environments that are wanted.
        seeds: Seeds that are wanted.

    Returns:
        The settings that differ, in which case nothing was copied. The name of the policy is not among them.

    Raises:
        RunError: A folder holds no run, or cannot be written.
    """
    theirs, ours = Results.load(run), Results.load(target)
    # What the policy was called does not change its answers.
    policy = {**theirs.manifest.get("policy", {}), "name": ours.manifest["policy"]["name"]}
    if changes := different_settings({**theirs.manifest, "policy": policy}, ours.manifest):
        return changes
    with RunStore(target, ours.manifest) as store:
        for episode in theirs.episodes:
            wanted = episode.env_id in env_ids and episode.seed in seeds
            if wanted and episode.error is None and episode.key not in store.finished:
                store.append(episode, theirs.transcript(episode.key))
    return []
