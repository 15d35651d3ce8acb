"""Servers for the tests: real ones in processes of their own, and a small one that answers, or fails, as it is told.

Everything listens on the loopback device, on a free port, and is ended by its process id.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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


def start_transformers(model: Path, log: Path, *, timeout: float = 90.0) -> Server:
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


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came in; ``attempt`` counts equal ones, from 0."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    attempt: int
    peer: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Attributes:
        body: Sent as it is if it is bytes, else as JSON.
        fault: ``"drop"`` closes before a word is said, ``"reset"`` does so rudely, ``"cut"`` says half of it,
            ``"hang"`` says nothing for ever, ``"flood"`` never stops.
        delay: Seconds before the answer.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    delay: float = 0.0


def completion(content: str | None, *, prompt_tokens: int = 10, finish: str | None = "stop", **message: Any) -> Reply:
    """A chat completion as OpenAI writes it; further fields go into the message."""
    words = len((content or "").split())
    return Reply(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "stub-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"role": "assistant", "content": content, **message},
                }
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": words,
                "total_tokens": prompt_tokens + words,
            },
        }
    )


def length_of(body: Mapping[str, Any]) -> int:
    """A number of prompt tokens that grows with messages and tools."""
    return len(json.dumps([body.get("messages"), body.get("tools")])) // 4


class StubServer:
    """An HTTP server in a thread; ``answer`` says what each request gets. Use as a context manager."""

    def __init__(self, answer: Callable[[Asked], Reply], *, port: int = 0) -> None:
        self.answer = answer
        self.port = port
        self.asked: list[Asked] = []
        self.open = 0
        self.most_open = 0
        self.connections = 0
        self._times: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """The base URL, with ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[Asked]:
        """Requests for completions."""
        return [asked for asked in self.asked if asked.path.endswith("/chat/completions")]

    def __enter__(self) -> StubServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512, limit=1 << 24)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.connections += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether the connection stays."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        _, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        text = await reader.readexactly(int(headers.get("content-length", 0)))
        key = f"{path} {text.decode()}"
        attempt = self._times.get(key, 0)
        self._times[key] = attempt + 1
        peer = writer.get_extra_info("peername")[1]
        asked = Asked(path, headers, json.loads(text) if text else {}, attempt, peer)
        self.asked.append(asked)
        reply = self.answer(asked)
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.fault == "hang":
            await reader.read()  # until the other side gives up
            return False
        if reply.fault == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if reply.fault in ("drop", "reset"):
            return False
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        length = (1 << 40) if reply.fault == "flood" else len(body)
        own = {"Content-Type": "application/json", "Content-Length": str(length), **reply.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in own.items())
        writer.write(f"HTTP/1.1 {reply.status} Whatever\r\n{lines}\r\n".encode())
        while reply.fault == "flood":
            writer.write(b" " * 65536)
            await writer.drain()
        writer.write(body[: len(body) // 2] if reply.fault == "cut" else body)
        await writer.drain()
        return reply.fault != "cut"
