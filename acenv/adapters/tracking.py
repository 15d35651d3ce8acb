"""Callbacks that log an evaluation to MLflow, Weights & Biases or Trackio, episode by episode.

Tested with mlflow-skinny 3.17.2, wandb 0.31.0 and trackio 0.43.0::

    run = wandb.init(project="acenv", mode="offline")
    with acenv.adapters.tracking.to_wandb(run) as track:
        acenv.evaluate("quick", "nano", progress=track)

You start the tracker's run, with its project, its server and its keys, none of which passes through here; the callback
logs to it, and leaves it open. An episode becomes one step with the metrics ``acenv/NAME/return``, ``/length``,
``/tokens`` and whatever the environment measures; leaving the ``with`` block logs means over the scored episodes as
``acenv/NAME/mean/…``, and how many episodes the machinery failed to finish.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from acenv.types import Episode

Log = Callable[[Mapping[str, float], int], None]
"""Takes metrics and the step that they belong to."""


class Tracker:
    """A callback for ``acenv.evaluate(..., progress=...)``; leaving its ``with`` block logs the summary.

    >>> seen = []
    >>> with Tracker(lambda metrics, step: seen.append((step, dict(metrics)))) as track:
    ...     track(Episode("acenv/PDDL-v0", 7, 0.5, 3, False, True))
    >>> seen[0]
    (1, {'acenv/PDDL/return': 0.5, 'acenv/PDDL/length': 3.0, 'acenv/PDDL/tokens': 0.0})
    >>> seen[1]
    (1, {'acenv/PDDL/mean/return': 0.5, 'acenv/PDDL/mean/length': 3.0, 'acenv/PDDL/mean/tokens': 0.0, \
'acenv/episodes': 1.0, 'acenv/errors': 0.0})
    """

    def __init__(self, log: Log) -> None:
        """``log`` sends metrics off; the step counts episodes from 1."""
        self._log = log
        self._sums: dict[str, list[float]] = defaultdict(list)
        self._episodes = self._errors = 0

    def __call__(self, episode: Episode) -> None:
        """Log one episode; of one that cannot be scored, only that it failed."""
        self._episodes += 1
        name = _short(episode.env_id)
        if episode.error is not None:
            self._errors += 1
            self._log({f"acenv/{name}/error": 1.0}, self._episodes)
            return
        values = {
            "return": episode.return_,
            "length": float(episode.length),
            "tokens": float(episode.usage.completion_tokens),
            **episode.metrics,
        }
        finite = {metric: float(value) for metric, value in values.items() if math.isfinite(value)}
        for metric, value in finite.items():
            self._sums[f"acenv/{name}/mean/{metric}"].append(value)
        self._log({f"acenv/{name}/{metric}": value for metric, value in finite.items()}, self._episodes)

    def summary(self) -> dict[str, float]:
        """Means over the episodes so far, and their number."""
        means = {metric: math.fsum(values) / len(values) for metric, values in self._sums.items()}
        return means | {"acenv/episodes": float(self._episodes), "acenv/errors": float(self._errors)}

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self._log(self.summary(), self._episodes)


def to_mlflow(run: Any) -> Tracker:
    """Log to an MLflow run (what ``mlflow.start_run()`` gives), on the tracking server that is set.

    MLflow takes letters, digits and ``_-. :/`` in names; other characters become ``_``.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client, run_id = MlflowClient(), run.info.run_id

    def log(metrics: Mapping[str, float], step: int) -> None:
        now = time.time_ns() // 10**6
        client.log_batch(run_id, [Metric(_plain(name), value, now, step) for name, value in metrics.items()])

    return Tracker(log)


def to_wandb(run: Any) -> Tracker:
    """Log to a Weights & Biases run (what ``wandb.init()`` gives)."""
    return Tracker(lambda metrics, step: run.log({**metrics, "acenv/episode": step}))


def to_trackio(run: Any) -> Tracker:
    """Log to a Trackio run (what ``trackio.init()`` gives)."""
    return Tracker(lambda metrics, step: run.log({**metrics, "acenv/episode": step}))


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)


def _short(env_id: str) -> str:
    """An id without what all ids have, for the name of a metric."""
    return env_id.removeprefix("acenv/").rsplit("-v", 1)[0]
