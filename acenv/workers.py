"""Steps of a long job, one after another in this process or side by side in several, with their progress."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any, Protocol


class Watcher(Protocol):
    """Is told how a job goes on."""

    def stage(self, title: str, total: int = 1) -> Callable[[], None]:
        """A stage of ``total`` steps begins; gives what is called after each of them."""
        ...


class Silent:
    """A watcher that does not look."""

    def stage(self, title: str, total: int = 1) -> Callable[[], None]:
        """Begin a stage that nobody sees."""
        return lambda: None


class Workers:
    """Runs steps: functions of a module, whose first argument is a :class:`Watcher`; use as a context manager.

    With one job a step runs at once, in this process. With more, that many processes are started afresh (``spawn``, so
    that no library is in a forked state), each with its share of the cores, and steps begin in the order in which they
    were submitted.
    """

    def __init__(self, jobs: int, watcher: Watcher) -> None:
        """Prepare for ``jobs`` processes."""
        self._jobs = jobs
        self._watcher = watcher
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        """Start the processes, if there are to be several."""
        if self._jobs > 1:
            context = multiprocessing.get_context("spawn")
            self._events = context.Queue()
            threads = max(1, (os.cpu_count() or 1) // self._jobs)
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()
            self._pool = ProcessPoolExecutor(
                self._jobs, mp_context=context, initializer=_start_worker, initargs=(self._events, threads)
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._events.put(None)
            self._listener.join()

    def submit(self, step: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a step, now or as soon as a process is free; its exception is that of the future."""
        if self._pool is not None:
            return self._pool.submit(_run_step, step, arguments)
        future: Future[Any] = Future()
        future.set_result(step(self._watcher, *arguments))
        return future

    def _listen(self) -> None:
        """Pass on what the processes tell, until they are done."""
        stages: dict[tuple[int, int], Callable[[], None]] = {}
        while (event := self._events.get()) is not None:
            key, title, total = event
            if key in stages:
                stages[key]()
            else:
                stages[key] = self._watcher.stage(title, total)


class _Messenger:
    """The watcher of a step in another process."""

    def __init__(self, events: Any) -> None:
        self._events = events
        self._numbers = itertools.count()

    def stage(self, title: str, total: int = 1) -> Callable[[], None]:
        key = (os.getpid(), next(self._numbers))
        self._events.put((key, title, total))
        return lambda: self._events.put((key, title, total))


_messenger: Watcher = Silent()


def _start_worker(events: Any, threads: int) -> None:
    global _messenger
    _messenger = _Messenger(events)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # Read when torch is imported, which no step has done yet.


def _run_step(step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return step(_messenger, *arguments)
