"""A small server that answers, or fails, as it is told, and what it takes to ask it through a policy."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from acenv.policies import load_policy
from acenv.types import Decision, Request


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


def talk(
    answer: Callable[[Asked], Reply] | None = None, *, refuse: Callable[[dict[str, Any]], str | None] | None = None
) -> Callable[[Asked], Reply]:
    """A server that says "OK"; ``refuse`` gives the words with which it turns a request down."""

    def reply(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return Reply({"object": "list", "data": [{"id": "stub-small"}, {"id": "stub-large"}]})
        if refuse is not None and (words := refuse(asked.body)):
            return Reply({"error": {"message": words, "type": "invalid_request_error"}}, status=400)
        if answer is not None and not is_probe(asked):
            return answer(asked)
        return completion("OK", prompt_tokens=length_of(asked.body))

    return reply


def is_probe(asked: Asked) -> bool:
    """Whether it only finds out what the server understands."""
    return any(m["content"] == "Say OK." for m in asked.body["messages"])


def load(server: StubServer, model: str = "stub-large", **options: Any) -> Any:
    """The policy of a model on the server, without retries."""
    return load_policy(f"openai:{model}@{server.url}", **{"retries": 0, **options})


def ask(policy: Any, text: str = "hello", **fields: Any) -> Decision:
    """One request with one user message."""
    request = Request(**{"slot": 0, "seed": 5, "step": 0, "messages": [{"role": "user", "content": text}], **fields})
    return policy.act([request])[0]
