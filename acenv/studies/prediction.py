"""What a bench teaches about a checkpoint that has not acted: its loss, from a replay of the bench's transcripts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from acenv.analysis.loss_model import check_known
from acenv.analysis.prediction import K, Prediction, Relations, known_points, mean_loss, predict_loss, relate
from acenv.analysis.replay import Replay, replay
from acenv.analysis.report import Candidate, ReportData
from acenv.compression import dense_folder
from acenv.policies import load_policy
from acenv.studies.bench import load_bench, load_settings
from acenv.studies.plan import DENSE
from acenv.workers import Silent, Watcher


def relate_bench(data: ReportData, k: int = K) -> Relations:
    """Set the internals of a bench's methods against the return that they lose.

    Args:
        data: The bench; methods without internals are left out.
        k: The k of the top-k internals.

    Raises:
        ValueError: No method has internals.
    """
    return relate(data.reference.returns(), _replayed(data.candidates), k=k)


def predict_checkpoint(folder: str | Path, checkpoint: str, k: int = K, watcher: Watcher | None = None) -> Prediction:
    """Predict what a compressed checkpoint would lose in the environments of a bench, without letting it act.

    Both models read as many of the dense run's transcripts as the bench's own methods did.

    Args:
        folder: A finished bench folder.
        checkpoint: A folder, or a spec of a policy that can score, such as ``"hf:PATH"``. One of the bench's own
            checkpoints is predicted from the others only.
        k: The k of the top-k internals.
        watcher: Is told about the progress.

    Raises:
        RunError: It is no bench folder, or the bench has not finished.
        ValueError: The bench has too few methods with internals, or the checkpoint cannot be replayed.
    """
    watcher = watcher or Silent()
    path, data = Path(folder), load_bench(folder)
    settings = load_settings(folder)
    place = Path(checkpoint.removeprefix("hf:")).expanduser()
    own = next((c for c in data.candidates if (path / "checkpoints" / c.name).resolve() == place.resolve()), None)
    known = known_points(data.reference.returns(), _replayed([c for c in data.candidates if c is not own]), k)
    check_known(known)
    if own is not None and own.replay is not None:
        predicted = predict_loss(known, own.replay, k=k)
        lost = mean_loss(data.reference.returns(), own.results.returns(), own.name)
        return replace(predicted, method=own.name, actual=lost)
    read = next(len(c.replay.episodes) + c.replay.skipped for c in data.candidates if c.replay is not None)
    done = watcher.stage(f"{place.name}: both models on {read} transcripts")
    dense = dense_folder(settings.model, path / "checkpoints" / DENSE)
    spec = f"hf:{place}" if place.is_dir() else checkpoint
    base: Any = load_policy(f"hf:{dense}", **{**settings.policy, "name": DENSE})
    model: Any = load_policy(spec, **settings.policy)
    found = replay(data.reference, base, model, limit=read)
    done()
    return predict_loss(known, found, k=k)


def _replayed(candidates: Iterable[Candidate]) -> dict[str, tuple[dict[tuple[str, int], float], Replay]]:
    return {c.name: (c.results.returns(), c.replay) for c in candidates if c.replay is not None}
