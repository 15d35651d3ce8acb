"""Replaying a finished bench again, with more transcripts or for methods whose internals are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acenv.analysis.replay import Replay
from acenv.compression import dense_folder
from acenv.policies import load_policy
from acenv.runs import Results, RunError
from acenv.studies.bench import load_bench, load_settings
from acenv.studies.plan import DENSE
from acenv.studies.steps import replay_into
from acenv.workers import Silent, Watcher


def replay_bench(
    folder: str | Path,
    methods: Sequence[str] = (),
    *,
    limit: int | None = None,
    watcher: Watcher | None = None,
) -> dict[str, Replay]:
    """Run the original and compressed models of a bench over the original's transcripts.

    What is found replaces ``internals/<method>.json``, so that the next report shows it.

    Args:
        folder: A finished bench folder.
        methods: Names in it; none for all.
        limit: At most so many transcripts, taken from each environment in turn; ``None`` for all.
        watcher: Is told about the progress.

    Raises:
        RunError: It is no finished bench folder, or holds no method of that name.
        ValueError: See :func:`acenv.analysis.replay.replay`.
    """
    watcher = watcher or Silent()
    path, settings = Path(folder), load_settings(folder)
    known = [candidate.name for candidate in load_bench(folder).candidates]
    if unknown := [name for name in methods if name not in known]:
        raise RunError(f"{path} has no method {', '.join(unknown)}; it has {', '.join(known)}")
    reference = Results.load(path / "runs" / DENSE)
    dense = dense_folder(settings.model, path / "checkpoints" / DENSE)
    base: Any = load_policy(f"hf:{dense}", **{**settings.policy, "name": DENSE})
    found = {}
    for name in methods or known:
        done = watcher.stage(f"{name}: both models on the same transcripts")
        model: Any = load_policy(f"hf:{path / 'checkpoints' / name}", **{**settings.policy, "name": name})
        found[name] = replay_into(path / "internals" / f"{name}.json", reference, base, model, limit)
        done()
    return found
