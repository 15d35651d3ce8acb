"""The ``openai`` policy: a model behind any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import json
import math
import queue
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from acenv.policies.remote.address import DEFAULT_KEY_ENV, find_address
from acenv.policies.remote.answers import Answer, WithheldError, is_spent, is_too_long, read_answer
from acenv.policies.remote.background import Background
from acenv.policies.remote.client import Client, Fault, Refusal
from acenv.policies.remote.dialect import COMPLETIONS, Dialect, Settings, find_dialect
from acenv.policies.remote.prompts import Said, said
from acenv.types import Decision, Request

REFUSALS = 3
"""Requests that are refused, while not one has been answered yet, before a run is given up."""

_FIRST_WORDS = 60.0  # Seconds; a server that has to load its model first takes its time.
_LONGEST = 1e6
_TINY = 1e-9
TOOL_MODES = ("auto", "native", "template", "prompt")
_OWN_FIELDS = frozenset(
    {"model", "messages", "tools", "tool_choice", "stream", "n", "seed", "logprobs"}
    | {"max_tokens", "max_completion_tokens", "temperature", "top_p", "stop"}
)


_Decided = queue.SimpleQueue[tuple[int, Decision]]


class OpenAIPolicy:
    """Lets a model act that is served by vLLM, SGLang, llama.cpp, Ollama, ``transformers serve``, OpenAI or the like.

    Each conversation is a request of its own, and up to ``capacity`` of them are under way at once. A fault of network
    or server is tried again, and in the end is the ``error`` of that request: its episode is counted, never scored, and
    run again when the run is resumed.

    What the server understands is found out when the policy is made, and stands in :meth:`describe`.
    """

    def __init__(
        self,
        target: str,
        *,
        name: str | None = None,
        capacity: int = 32,
        max_new_tokens: int = 512,
        temperature: float | None = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stop: Sequence[str] = (),
        tools: str = "auto",
        logprobs: bool = False,
        timeout: float = 600.0,
        connect_timeout: float = 10.0,
        retries: int = 5,
        backoff: float = 0.5,
        api_key_env: str = DEFAULT_KEY_ENV,
        header_env: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        """Ask the server what it understands.

        Args:
            target: ``MODEL@URL``, such as ``Qwen/Qwen3-8B@http://127.0.0.1:8000/v1``.
            name: How reports call the policy; the last part of the model's name by default.
            capacity: How many requests are under way at once.
            max_new_tokens: Longer answers are cut, with ``finish="length"``; thoughts count too.
            temperature: 0 takes the most probable token; ``None`` leaves it to the server.
            top_p: Draw from the most probable tokens that together reach this probability.
            top_k: Draw from this many of the most probable tokens; 0 for all. Not every server takes it.
            stop: Texts that end an answer.
            tools: ``"native"``: the server gets them and reads the calls. ``"template"``: the server's chat template
                gets them, and the model's text is left as it is. ``"prompt"``: they are described in the system
                message. ``"auto"``: the first of these that works.
            logprobs: Ask for the log probabilities of the tokens that were written.
            timeout: Seconds for an attempt, from connecting to the last byte.
            connect_timeout: Seconds until a connection stands.
            retries: Attempts after the first one.
            backoff: Upper bound of the first pause between attempts in seconds; doubles each time, up to 30.
            api_key_env: Environment variable that holds the key.
            header_env: Further headers, each with the environment variable that holds its value.
            extra_body: Further fields of each request, such as ``{"chat_template_kwargs": {...}}``.

        Raises:
            ValueError: A setting makes no sense, the server does not answer, or it refuses the key, the model or a
                setting.
        """
        _check(
            {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "top_k": top_k, "stop": stop}
            | {"tools": tools, "timeout": timeout, "connect_timeout": connect_timeout, "retries": retries}
            | {"backoff": backoff, "header_env": header_env, "extra_body": extra_body}
        )
        extra = _checked_fields(extra_body)
        self._address = find_address(str(target), key_env=api_key_env, header_env=header_env)
        self.name = name or self._address.model.rstrip("/").rpartition("/")[2]
        self.capacity = capacity
        self._settings = Settings(
            max_new_tokens=max_new_tokens,
            temperature=None if temperature is None else float(temperature),
            top_p=float(top_p),
            top_k=top_k,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            tools=tools,
            logprobs=bool(logprobs),
            extra_body=extra,
        )
        self._client = Client(
            self._address,
            connections=capacity,
            timeout=timeout,
            connect_timeout=connect_timeout,
            retries=retries,
            backoff=backoff,
        )
        self._background = Background("acenv-openai", self._client.close)
        weakref.finalize(self, self._background.stop)  # also when the interpreter ends
        self._past: dict[int, list[Said]] = {}
        self._decided: _Decided = queue.SimpleQueue()
        self._under_way = 0
        self._refusals = 0
        self._answered = False
        try:
            self._dialect = self._background.run(self._get_to_know(max(timeout, _FIRST_WORDS))).result()
        except BaseException:
            self._background.stop()
            raise

    def __repr__(self) -> str:
        return f"OpenAIPolicy({self._address.model!r} at {self._address.url!r}, capacity={self.capacity})"

    def describe(self) -> dict[str, Any]:
        """Everything that changes the answers: model and server, sampling, and what the server was found to take.

        No credentials are in it. A run can only be resumed with an equal description.
        """
        asked = asdict(self._settings)
        return {
            "policy": "openai",
            "name": self.name,
            "model": self._address.model,
            "url": self._address.url,
            **{field: list(value) if field == "stop" else value for field, value in asked.items() if field != "tools"},
            "server": asdict(self._dialect),
        }

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """Answer every request, up to ``capacity`` at once; what fails for one is that one's ``error``.

        Raises:
            ValueError: The server refuses one request after the other, and has answered none.
        """
        future = self._background.run(self._decide_all(batch))
        try:
            decisions = future.result()
        except BaseException:
            future.cancel()
            raise
        self._check_refusals(decisions)
        return decisions

    def submit(self, batch: Sequence[Request]) -> None:
        """Ask for each of the requests; returns at once."""
        for request in batch:
            self._under_way += 1
            self._background.run(self._decide_into(self._decided, request))

    def collect(self, timeout: float | None = None) -> list[tuple[int, Decision]]:
        """Wait until a request is decided, and give all that are.

        Raises:
            ValueError: The server refuses one request after the other, and has answered none.
        """
        if not self._under_way:
            return []
        decided = []
        try:
            decided.append(self._decided.get(timeout=timeout))
            while True:
                decided.append(self._decided.get_nowait())
        except queue.Empty:
            pass
        self._under_way -= len(decided)
        self._check_refusals([decision for _, decision in decided])
        return decided

    def cancel(self) -> None:
        """Give up what is under way, close all connections and end the thread; the policy can be used again."""
        self._background.stop()
        self._decided = queue.SimpleQueue()
        self._under_way = 0

    def _check_refusals(self, decisions: Sequence[Decision]) -> None:
        if self._refusals >= REFUSALS and not self._answered:
            why = next((decision.error for decision in decisions if decision.error), "")
            raise ValueError(f"the first {self._refusals} requests were refused, so the run would be empty: {why}")

    async def _get_to_know(self, seconds: float) -> Dialect:
        try:
            async with asyncio.timeout(seconds):
                return await find_dialect(self._client, self._address, self._settings)
        except TimeoutError:
            raise ValueError(f"{self._address.url} did not answer a few short questions in {seconds:g} s") from None

    async def _decide_all(self, batch: Sequence[Request]) -> list[Decision]:
        gate = asyncio.Semaphore(self.capacity)

        async def decide(request: Request) -> Decision:
            async with gate:
                return await self._decide(request)

        return await asyncio.gather(*map(decide, batch))

    async def _decide_into(self, decided: _Decided, request: Request) -> None:
        decided.put((request.slot, await self._decide(request)))

    async def _decide(self, request: Request) -> Decision:
        """Ask, and turn whatever comes of it into a decision."""
        try:
            past = self._past.get(request.slot, [])[: request.step]
            answer = await self._ask(request, past if len(past) == request.step else [])
        except Refusal as refusal:
            if is_too_long(refusal):
                return Decision("", finish="context")
            if is_spent(refusal):
                return Decision("", finish="length")
            self._refusals += 1
            return Decision("", error=str(refusal))
        except (Fault, WithheldError) as error:
            return Decision("", error=str(error))
        except Exception as error:  # whatever it is, it must not take the other conversations along
            return Decision("", error=f"{type(error).__name__}: {self._address.redact(str(error))}")
        self._answered = True
        if self._dialect.calls_in_history:
            self._past[request.slot] = [*past, said(answer, request.step)]
        return Decision(answer.action, answer.usage, answer.finish, logprobs=answer.logprobs)

    async def _ask(self, request: Request, past: Sequence[Said]) -> Answer:
        body = self._dialect.body(self._address.model, self._settings, request, past)
        try:
            return await self._client.post(COMPLETIONS, body, read_answer)
        except Refusal as refusal:
            if not is_too_long(refusal):
                raise
        # Servers refuse a prompt that fits, where prompt and limit together do not. The room that is left is less than
        # the limit then, and an answer without a limit ends where the room does.
        del body[self._dialect.limit]
        return await self._client.post(COMPLETIONS, body, read_answer)


def _check(options: Mapping[str, Any]) -> None:
    """Refuse values that make no sense, those of a wrong type included: they come from command lines too."""
    ranges: dict[str, tuple[type, float, float, str]] = {
        "max_new_tokens": (int, 1, math.inf, "1 or more"),
        "top_p": (float, _TINY, 1, "above 0 and at most 1"),
        "top_k": (int, 0, math.inf, "0 (all tokens) or more"),
        "timeout": (float, _TINY, _LONGEST, "a number of seconds"),
        "connect_timeout": (float, _TINY, _LONGEST, "a number of seconds"),
        "retries": (int, 0, math.inf, "0 or more"),
        "backoff": (float, _TINY, _LONGEST, "a number of seconds"),
    }
    if options["temperature"] is not None:
        ranges["temperature"] = (float, 0, _LONGEST, "0 or more, or None to leave it to the server")
    for option, (kind, least, most, meaning) in ranges.items():
        value = options[option]
        fits = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        if not fits or not least <= value <= most:
            raise ValueError(f"{option} must be {meaning}, not {value!r}")
    if options["tools"] not in TOOL_MODES:
        raise ValueError(f"tools must be one of {', '.join(TOOL_MODES)}, not {options['tools']!r}")
    stop = options["stop"]
    if not isinstance(stop, (str, list, tuple)) or not all(isinstance(text, str) and text for text in stop):
        raise ValueError(f"stop must be texts, not {stop!r}")
    for option in ("header_env", "extra_body"):
        if not isinstance(options[option], (Mapping, type(None))):
            raise ValueError(f"{option} must be an object such as {{'name': ...}}, not {options[option]!r}")


def _checked_fields(extra_body: Mapping[str, Any] | None) -> dict[str, Any]:
    fields = dict(extra_body or {})
    if own := sorted(_OWN_FIELDS & fields.keys()):
        raise ValueError(f"extra_body may not hold {', '.join(own)}: the policy sets them")
    try:
        json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"extra_body must be JSON: {error}") from None
    return fields
