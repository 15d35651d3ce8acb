"""Browsers end with whoever started them, whatever happens."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import acenv

if reason := acenv.registry.missing("acenv/MiniWoB-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators.browser import Browser, BrowserError

SCRIPT = """
import os, sys, threading, time
from acenv.envs.simulators.browser import Browser
browsers = []
thread = threading.Thread(target=lambda: browsers.append(Browser()))
thread.start()
thread.join()
print(browsers[0]._process.pid, flush=True)
{end}
"""


def family(guardian: int) -> set[int]:
    """A guardian and all processes below it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, following = {guardian}, {guardian}
    while following:
        following = {pid for pid, parent in parents.items() if parent in following}
        found |= following
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that still run; one that has ended and is not waited for does not."""
    running = set()
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                running.add(pid)
        except OSError:
            continue
    return running


def profile_of(pids: set[int]) -> Path:
    for pid in pids:
        for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            if word.startswith(b"--user-data-dir="):
                return Path(word.partition(b"=")[2].decode()).parent
    raise AssertionError("no browser is running")


def gone(pids: set[int], folder: Path, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while (alive(pids) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pids) and not folder.exists()


def test_close_and_garbage_collection_end_everything() -> None:
    for end in ("close", "collect"):
        browser = Browser()
        pids = family(browser._process.pid)
        folder = profile_of(pids)
        assert len(pids) > 3
        browser.open("data:text/html,<title>hello</title>")
        assert browser.run("return document.title") == "hello"
        if end == "close":
            browser.close()
            browser.close()
            with pytest.raises(BrowserError, match="closed"):
                browser.run("return 1")
        else:
            del browser
            gc.collect()
        assert gone(pids, folder)


@pytest.mark.parametrize("end", ["kill", "exit", "error"])
def test_the_end_of_the_process_ends_everything(end: str) -> None:
    ends = {"kill": "time.sleep(60)", "exit": "sys.exit(0)", "error": "raise RuntimeError"}
    # Its thread has ended when the process is killed: a death signal would have come too early.
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(end="time.sleep(0.5); " + ends[end])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    pids = family(int(child.stdout.readline()))
    folder = profile_of(pids)
    assert len(alive(pids)) > 3
    if end == "kill":
        child.send_signal(signal.SIGKILL)
    child.wait(20)
    child.stdout.close()
    assert gone(pids, folder)


def test_a_start_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fake = tmp_path / "bin"
    fake.mkdir()
    for name, body in (("chromedriver", "echo no; sleep 60 & exit 1"), ("chromium", "exit 1")):
        (fake / name).write_text(f"#!/bin/sh\n{body}\n")
        (fake / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    with pytest.raises(BrowserError, match="chromedriver does not start: no"):
        Browser()
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_the_network_is_out_of_reach() -> None:
    import http.server

    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Browser()
    try:
        with pytest.raises(BrowserError, match="ERR_NAME_NOT_RESOLVED"):
            browser.open(f"http://127.0.0.1:{server.server_port}/")
    finally:
        browser.close()
        server.shutdown()
        server.server_close()
    assert not asked


def test_a_killed_guardian_leaves_nothing_after_close() -> None:
    browser = Browser()
    pids = family(browser._process.pid)
    folder = profile_of(pids)
    browser._process.kill()
    browser._process.wait()
    browser.close()
    assert gone(pids, folder)


def test_a_browser_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acenv.envs.simulators.browser.ANSWER_SECONDS", 3)
    browser = Browser()
    pids = family(browser._process.pid)
    folder = profile_of(pids)
    for pid in pids - {browser._process.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    with pytest.raises(BrowserError, match="failed"):
        browser.run("return 1")
    assert gone(pids, folder)
