"""Engines print banners, tables and progress bars to both streams, from Python and from C: keep all of it out."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Send standard output and standard error of the process into a file for the length of a ``with`` block.

    The file descriptors themselves are redirected, as native code does not ask ``sys.stdout``; ``sys.stdout`` too: it
    leads elsewhere in notebooks. Engines that keep hold of it write to the real streams once the block is left.
    Handlers and level of the root logger, which some engines change when they are imported, are put back. An exception
    that leaves the block carries the last lines that were printed as a note.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    _flush()
    saved = [os.dup(fd) for fd in (1, 2)]
    try:
        with tempfile.TemporaryFile() as sink:
            for fd in (1, 2):
                os.dup2(sink.fileno(), fd)
            out, err = (open(fd, "w", buffering=1, errors="replace", closefd=False) for fd in (1, 2))  # noqa: SIM115
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    yield
            except Exception as error:
                out.flush()
                err.flush()
                if lines := _last_lines(sink.fileno()):
                    error.add_note("The engine's last words:\n" + lines)
                raise
            finally:
                out.flush()
                err.flush()
                for fd, old in zip((1, 2), saved, strict=True):
                    os.dup2(old, fd)
    finally:
        for old in saved:
            os.close(old)
        root.handlers[:] = handlers
        root.setLevel(level)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _last_lines(fd: int) -> str:
    size = os.fstat(fd).st_size
    text = os.pread(fd, 4000, max(0, size - 4000)).decode("utf-8", "replace")
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    return "\n".join([line for line in lines if line][-8:])
