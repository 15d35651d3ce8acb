"""Runs a program, and ends it with all of its children when the process that started it goes away.

    python -I -S browser_guardian.py FOLDER PROGRAM [ARGUMENT ...]

Standard input is a pipe that its starter holds: its end means that everything has to go, and FOLDER with it, whether
the starter closed it or was killed itself. A death signal of the kernel would not do: it is tied to the *thread* that
started the program, and environments are made in worker threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

_PR_SET_CHILD_SUBREAPER = 36
"""From Linux' ``prctl.h``: orphans below this process become its children, so that none gets away."""


def main() -> None:
    """Start the program, wait for the end of the pipe, clear up."""
    folder, *command = sys.argv[1:]
    starter = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    os.close(1)  # The program alone writes to the starter.
    # A forked copy of the starter may hold the pipe open, so its death is looked for as well.
    while os.getppid() == starter and child.poll() is None:
        if select.select([0], [], [], 0.5)[0] and not os.read(0, 1):
            break
    end(lambda: descendants(os.getpid()))
    shutil.rmtree(folder, ignore_errors=True)


def end(find: Callable[[], list[int]], seconds: float = 10) -> None:
    """Kill processes, and those that they have started meanwhile, until none is found."""
    deadline = time.monotonic() + seconds
    while (pids := find()) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)


def descendants(root: int) -> list[int]:
    """All processes below one, itself left out."""
    table = processes()
    found, following = [], [root]
    while following:
        following = [pid for pid, (parent, _) in table.items() if parent in following]
        found += following
    return found


def processes() -> dict[int, tuple[int, int]]:
    """Parent and session of every process that has not ended."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                # The name in parentheses may hold spaces and parentheses; state, parent, group and session follow it.
                fields = file.read().rpartition(")")[2].split()
                if fields[0] != "Z":
                    table[int(name)] = (int(fields[1]), int(fields[3]))
    return table


def strays(session: int, folder: str) -> list[int]:
    """The processes of a session, and those that were told to work in a folder."""
    found = []
    for pid, (_, own) in processes().items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if own == session or folder.encode() in file.read():
                found.append(pid)
    return found


if __name__ == "__main__":
    main()
