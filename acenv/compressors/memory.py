"""Memory that nobody uses any more, and that a library keeps nevertheless."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MMAP_THRESHOLD = -3  # as malloc.h numbers the parameters of mallopt
_OWN_MAPPING = 1 << 18
_LARGEST_THRESHOLD = 1 << 25


@contextmanager
def given_back() -> Iterator[None]:
    """Give the memory of weights back to the system as soon as they are freed, for the length of a ``with`` block.

    glibc keeps it for later, in a heap for each thread: weights that one thread has loaded leave room that no other
    uses, and a model is in memory twice where its weights are replaced one by one. Here everything of 256 KiB and more
    has a mapping of its own. Afterwards it is as in any process that has freed a few large tensors: glibc has then
    raised the limit to its largest value by itself.
    """
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, _OWN_MAPPING)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        library.malloc_trim(0)


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


def _glibc() -> Any:
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
    except OSError:  # another system, or another C library
        return None
