"""Worker processes of this machine.

They are started afresh, not forked, so no library is in a copied state and nothing is imported but what the episodes
need; the script that calls :func:`acenv.evaluate` is not run a second time, and needs no ``__main__`` guard.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from acenv.engines.shards import Description, Job, Shard
from acenv.engines.spreading import Done, Lost, Ready
from acenv.starts import Start
from acenv.types import EngineError

_SECONDS_TO_END = 10.0
_PROGRAM = "import sys; from acenv.engines.processes import child; child(int(sys.argv[1]))"


class Worker:
    """A process that runs one function with a connection to this one."""

    def __init__(self, main: Callable[[Connection, Any], None], job: Any) -> None:
        """Start a process in which ``main`` is called with its end of the connection and with ``job``.

        Raises:
            EngineError: The system has no such processes.
        """
        if os.name != "posix":
            raise EngineError("worker processes need a POSIX system; leave out workers to use threads")
        ours, theirs = socket.socketpair()
        with theirs:
            paths = [path or os.getcwd() for path in sys.path]
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # Standard output belongs to this process, which may print JSON there.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        self.connection = Connection(ours.detach())
        self.send((main, job))

    def send(self, message: Any) -> None:
        """Send something; if the process is gone, that is found out by who waits for an answer."""
        with suppress(OSError):
            self.connection.send(message)

    def fate(self) -> str:
        """How the process ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        code = self._process.returncode
        if code is None:
            return "it closed its connection"
        return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"

    def hang_up(self) -> None:
        """Let the process come to its end."""
        self.connection.close()

    def join(self) -> None:
        """Wait until it has, or end it."""
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def child(descriptor: int) -> None:
    """What a worker process does: it gets a function and a job, and ends when its parent does."""
    os.set_inheritable(descriptor, False)  # A simulator that is started from here must not keep it open.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent is interrupted too, and says when to end.
    with Connection(descriptor) as parent, suppress(EOFError, ConnectionError):
        main, job = parent.recv()
        main(parent, job)


class ProcessPool:
    """Workers that run whole episodes, each with a policy of its own; use as a context manager."""

    def __init__(self, job: Job) -> None:
        """Prepare for workers that do ``job``."""
        self._job = job
        self._workers: dict[int, Worker] = {}

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        for worker in self._workers.values():
            worker.hang_up()
        for worker in self._workers.values():
            worker.join()

    def start(self, worker: int) -> None:
        """See :class:`acenv.engines.spreading.Pool`."""
        self._workers[worker] = Worker(run_shard, self._job)

    def give(self, worker: int, starts: Sequence[Start]) -> None:
        """See :class:`acenv.engines.spreading.Pool`."""
        self._workers[worker].send(starts)

    def wait(self) -> list[Ready | Done | Lost]:
        """See :class:`acenv.engines.spreading.Pool`."""
        numbers = {worker.connection: number for number, worker in self._workers.items()}
        return [self._event(numbers[ready]) for ready in connection.wait(list(numbers))]  # type: ignore[index]

    def _event(self, number: int) -> Ready | Done | Lost:
        worker = self._workers[number]
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.hang_up()
            return Lost(number, worker.fate())
        if isinstance(message, Description):
            return Ready(number, message)
        if isinstance(message, str):
            raise EngineError(f"a worker process failed: {message}")
        return Done(number, *message)


def run_shard(parent: Connection, job: Job) -> None:
    """Work off a share of the episodes, in a worker process."""
    shard = Shard(job)
    threading.Thread(target=_listen, args=(parent, shard), daemon=True).start()
    try:
        for message in shard.work():
            parent.send(message)
    except ConnectionError:
        raise
    except Exception as error:
        parent.send(f"{type(error).__name__}: {error}")


def _listen(parent: Connection, shard: Shard) -> None:
    try:
        while True:
            shard.give(parent.recv())
    except (EOFError, OSError):
        shard.end()
    # Environments are given the time to close; one that hangs is not.
    time.sleep(_SECONDS_TO_END / 2)
    os._exit(1)
