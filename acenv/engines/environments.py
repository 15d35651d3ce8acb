"""Environments in worker processes, for a policy that stays in this one: a model, or an object of the user's."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from acenv.engines.processes import Worker
from acenv.engines.shards import register
from acenv.slots import EnvironmentLostError

_USED = ("tools", "metrics", "labels", "fault", "unscored")
"""What of ``info`` goes into a record; the rest may be anything, and stays where it is."""


class EnvironmentProcesses:
    """Worker processes, each with the environments of some of the slots; use as a context manager.

    A process that dies is replaced, and the episodes that it had are begun again.
    """

    def __init__(self, workers: int, specs: Sequence[EnvSpec]) -> None:
        """Prepare for ``workers`` processes, started when they are first used."""
        self._specs = specs
        self._workers: list[Worker | None] = [None] * workers
        self._locks = [threading.Lock() for _ in range(workers)]
        # One thread a process, so that a busy process holds up no other.
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix="acenv-env") for _ in range(workers)]

    def __enter__(self) -> EnvironmentProcesses:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        for thread in self._threads:
            thread.shutdown(wait=False, cancel_futures=True)
        there = [worker for worker in self._workers if worker is not None]
        for worker in there:
            worker.hang_up()
        for worker in there:
            worker.join()

    def submit(self, slot: int, function: Callable[..., None], *arguments: Any) -> Future[None]:
        """Call a function in the thread of the process that has a slot."""
        return self._threads[slot % len(self._threads)].submit(function, *arguments)

    def make(self, slot: int, env_id: str, **keywords: Any) -> gymnasium.Env[Any, Any]:
        """Make an environment in the process that has a slot."""
        number = slot % len(self._workers)
        with self._locks[number]:
            worker = self._workers[number]
            if worker is None or worker.connection.closed:
                worker = self._workers[number] = Worker(serve, self._specs)
        return RemoteEnv(worker, self._locks[number], env_id, keywords)


class RemoteEnv(gymnasium.Env[Any, Any]):
    """An environment in another process, as far as an episode needs it."""

    _numbers = itertools.count()

    def __init__(self, worker: Worker, lock: threading.Lock, env_id: str, keywords: dict[str, Any]) -> None:
        """Have a worker make an environment.

        Raises:
            EnvironmentLostError: The process has died.
        """
        self._worker, self._lock, self._number = worker, lock, next(self._numbers)
        if self._call("make", env_id, keywords):
            self.expert_action = self._expert_action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """As the environment does; ``info`` has what goes into a record."""
        return self._call("reset", seed)

    def step(self, action: str) -> Any:
        """Likewise."""
        return self._call("step", action)

    def close(self) -> None:
        """Close it, if it is still there."""
        try:
            self._call("close")
        except EnvironmentLostError:
            return

    def _expert_action(self) -> str:
        try:
            return str(self._call("expert"))
        except EnvironmentLostError:
            return ""  # The step that follows finds it lost again, and the episode begins anew.

    def _call(self, method: str, *arguments: Any) -> Any:
        with self._lock:
            asked = False
            try:
                self._worker.connection.send((self._number, method, arguments))
                asked = True
                error, value = self._worker.connection.recv()
            except (EOFError, OSError):
                self._worker.hang_up()
                raise EnvironmentLostError(f"its worker died: {self._worker.fate()}", blamed=asked) from None
        if error:  # By its own name, so that the record says what it would say had it been raised here.
            raise type(error, (RuntimeError,), {})(value)
        return value


def serve(parent: Connection, specs: Sequence[EnvSpec]) -> None:
    """Make environments and step them as the parent says, in a worker process."""
    register(specs)
    envs: dict[int, gymnasium.Env[Any, Any]] = {}
    try:
        while True:
            number, method, arguments = parent.recv()
            try:
                answer = ("", _act(envs, number, method, arguments))
            except Exception as error:
                answer = (type(error).__name__, str(error))
            parent.send(answer)
    finally:
        for env in envs.values():
            env.close()


def _act(envs: dict[int, gymnasium.Env[Any, Any]], number: int, method: str, arguments: tuple[Any, ...]) -> Any:
    if method == "make":
        env_id, keywords = arguments
        envs[number] = gymnasium.make(env_id, **keywords)
        return hasattr(envs[number].unwrapped, "expert_action")
    env = envs[number]
    if method == "reset":
        observation, info = env.reset(seed=arguments[0])
        return observation, _used(info)
    if method == "step":
        *outcome, info = env.step(arguments[0])
        return (*outcome, _used(info))
    if method == "expert":
        return env.unwrapped.expert_action()  # type: ignore[attr-defined]
    return envs.pop(number).close()


def _used(info: dict[str, Any]) -> dict[str, Any]:
    return {name: info[name] for name in _USED if name in info}
