"""An event loop in a thread of its own, for code that is called from threads without one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
_PATIENCE = 5.0


class Background:
    """Runs coroutines; the thread is started when it is needed and ended by :meth:`stop`.

    The thread is a daemon, so that one that hangs cannot keep the interpreter from ending.
    """

    def __init__(self, name: str, cleanup: Callable[[], Awaitable[None]]) -> None:
        """``cleanup`` runs in the loop as the last thing before it ends."""
        self._name = name
        self._cleanup = cleanup
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._last: asyncio.Task[None] | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine in the loop."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self) -> None:
        """Cancel all that runs, clean up and end the thread; a later :meth:`run` starts another one."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            if loop is None or thread is None or not thread.is_alive():
                return
            if thread is threading.current_thread():  # The last reference to the owner was held by a coroutine.
                self._last = loop.create_task(self._end(loop))
                return
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._wind_up(), loop).result(_PATIENCE)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_PATIENCE)

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        await self._wind_up()
        loop.stop()

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._cleanup()
        with suppress(RuntimeError):  # When the interpreter ends, the executor's threads have been joined already.
            await asyncio.get_running_loop().shutdown_default_executor()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
