"""Memory that nobody uses any more, and that a library keeps nevertheless."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def give_back() -> None:
    """Give freed memory back to the system.

    glibc keeps it for later, in a heap for each thread: weights that one thread has loaded leave room that no other
    uses, and a model is in memory twice where its weights are replaced one by one.
    """
    trim = _trimmer()
    if trim is not None:
        trim(0)


@contextmanager
def tracing() -> Iterator[None]:
    """Let torch.fx forget afterwards what was traced in a ``with`` block.

    It keeps the namespaces of all functions that are wrapped for tracing, and in them lies the model.
    """
    from torch.fx import _symbolic_trace

    registered = _symbolic_trace._wrapped_fns_to_patch
    before = dict(registered)
    try:
        yield
    finally:
        registered.clear()
        registered.update(before)


@functools.cache
def _trimmer() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
    return trim
