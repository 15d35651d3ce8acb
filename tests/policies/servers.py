"""Real servers for the tests, in processes of their own: on the loopback device and a free port, ended by their id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerError(Exception):
    """A server did not come up; the message has the end of what it said."""


@dataclass(slots=True)
class Server:
    """A server in a process of its own.

    Attributes:
        command: How it was started.
        ready_url: Answers with a status below 500 once the server can be used.
        env: Its environment.
        log: What it says.
        timeout: Seconds that it may take to come up.
        process: The running one.
    """

    command: Sequence[str]
    ready_url: str
    env: Mapping[str, str]
    log: Path
    timeout: float
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL, with ``/v1``."""
        parts = urllib.parse.urlsplit(self.ready_url)
        return f"{parts.scheme}://{parts.netloc}/v1"

    def start(self) -> None:
        """Start and wait until it can be used.

        Raises:
            ServerError: It ended, or took too long.
        """
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(f"{self.command[0]} ended with {self.process.returncode}: {self._last_words()}")
            if _answers(self.ready_url):
                return
            time.sleep(0.1)
        self.stop()
        raise ServerError(f"{self.command[0]} was not ready after {self.timeout:g} s: {self._last_words()}")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL, 10)

    def stop(self) -> None:
        """Ask it to end, and make it end."""
        self._end(signal.SIGTERM, 10)
        self._end(signal.SIGKILL, 10)

    def _end(self, how: signal.Signals, patience: float) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        # It leads a group of its own, in which its workers are.
        os.killpg(self.process.pid, how)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]


def start_server(
    command: Sequence[str], ready_url: str, timeout: float, *, log: Path, env: Mapping[str, str] | None = None
) -> Server:
    """Start a server and wait for it; the caller stops it.

    Args:
        command: Program and arguments.
        ready_url: Answers with a status below 500 once the server can be used.
        timeout: Seconds that it may take.
        log: File for what it says.
        env: Added to the environment of this process.

    Raises:
        ServerError: It did not come up.
    """
    server = Server(command, ready_url, {**os.environ, **(env or {})}, log, timeout)
    server.start()
    return server


def start_transformers(model: Path, log: Path, *, timeout: float = 240.0) -> Server:
    """``transformers serve`` with one model, in float32 on the CPU; it is ready when it has loaded the model."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "transformers.cli.transformers", "serve", str(model)),
        *("--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)),
    ]
    env = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return start_server(command, f"http://127.0.0.1:{port}/health", timeout, log=log, env=env)


def _answers(url: str) -> bool:
    # No proxy leads back to this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False
