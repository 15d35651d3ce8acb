"""What a server understands, found out with a few short requests before the first episode.

"OpenAI-compatible" servers differ in what they refuse, and in what they pass over without a word. What would change the
prompts or the sampling has to be known before a run begins, because it is a part of what produced the run.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from acenv.chat import PROBE_TOOL
from acenv.policies.remote.address import Address
from acenv.policies.remote.answers import Answer, WithheldError, is_spent, read_answer
from acenv.policies.remote.client import Client, Fault, Refusal
from acenv.policies.remote.prompts import Said, chat_messages, seed_of
from acenv.types import Request

ToolMode = Literal["native", "template", "prompt"]
"""How tools reach the model: beside the messages, with calls read by the server; beside the messages, with the model's
text left as it is; or described in the system message."""

COMPLETIONS = "/chat/completions"
_PROBE_TOKENS = 16
_SYSTEM = {"role": "system", "content": "You are a helpful assistant, and you answer with one word."}
_USER = {"role": "user", "content": "Say OK."}
_CALL = {"id": "call_probe", "type": "function", "function": {"name": "probe_tool", "arguments": '{"x": "OK"}'}}
_CALLED: tuple[dict[str, Any], ...] = (
    {"role": "assistant", "content": "", "tool_calls": [_CALL]},
    {"role": "tool", "tool_call_id": "call_probe", "content": "OK"},
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user asks for; see :class:`acenv.policies.openai.OpenAIPolicy`."""

    max_new_tokens: int = 512
    temperature: float | None = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    tools: str = "auto"
    logprobs: bool = False
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """The request's fields that do not depend on the conversation.

        What is at its neutral value is left out, because some servers refuse fields that they do not know.
        """
        fields: dict[str, Any] = {}
        if self.temperature is not None:
            fields["temperature"] = self.temperature
        if self.top_p < 1 or self.temperature:  # a server's own default may be another one
            fields["top_p"] = self.top_p
        if self.top_k:
            fields["top_k"] = self.top_k
        if self.stop:
            fields["stop"] = list(self.stop)
        return {**fields, **self.extra_body}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server understands.

    Attributes:
        limit: The field that bounds the answer.
        seed: Whether requests may carry a seed.
        system: Whether system messages reach the model.
        repeats: Whether neighbours may have the same role.
        tools: How tools reach the model.
        calls_in_history: Whether earlier calls may be structured.
        model: How the server calls the model that answered.
        fingerprint: Its name for its configuration, where that is always the same.
    """

    limit: str = "max_tokens"
    seed: bool = True
    system: bool = True
    repeats: bool = True
    tools: ToolMode = "native"
    calls_in_history: bool = True
    model: str | None = None
    fingerprint: str | None = None

    def body(self, model: str, settings: Settings, request: Request, past: Sequence[Said] = ()) -> dict[str, Any]:
        """The JSON of a request."""
        beside = self.tools != "prompt"
        messages = chat_messages(
            request.messages,
            request.tools,
            past if self.calls_in_history else (),
            takes_tools=beside,
            takes_system=self.system,
            takes_repeated_roles=self.repeats,
        )
        body: dict[str, Any] = {"model": model, "messages": messages, **settings.fields()}
        body[self.limit] = settings.max_new_tokens
        if self.seed:
            body["seed"] = seed_of(request.seed, request.step)
        if settings.logprobs:
            body["logprobs"] = True
        if request.tools and beside:
            body["tools"] = list(request.tools)
            if self.tools == "template":
                body["tool_choice"] = "none"
        return body


class _Prober:
    """Asks for a word, and remembers what the answers tell beside it."""

    def __init__(self, client: Client, address: Address, settings: Settings) -> None:
        self._client = client
        self._address = address
        self._settings = settings
        self.limit = "max_tokens"
        self.models: set[str | None] = set()
        self.fingerprints: set[str | None] = set()

    async def ask(self, *messages: Mapping[str, Any], **fields: Any) -> Answer:
        body = {
            "model": self._address.model,
            "messages": messages or (_USER,),
            **self._settings.fields(),
            self.limit: min(_PROBE_TOKENS, self._settings.max_new_tokens),
            **fields,
        }
        try:
            answer = await self._client.post(COMPLETIONS, body, read_answer)
        except WithheldError:
            return Answer("")
        except Refusal as refusal:
            if is_spent(refusal):
                return Answer("")
            raise
        self.models.add(answer.model)
        self.fingerprints.add(answer.fingerprint)
        return answer

    async def try_out(self, *messages: Mapping[str, Any], **fields: Any) -> Answer | Refusal:
        """An answer, or why the server will not have it.

        Raises:
            Fault: It does not say; what a server takes must not be guessed while it is ill.
        """
        try:
            return await self.ask(*messages, **fields)
        except Fault as fault:
            if fault.status != 500:
                raise
            await self.ask()  # A failing chat template is often an HTTP 500, and so is a failing server.
            return Refusal(str(fault), fault.status)
        except Refusal as refusal:
            if refusal.status in (401, 403):  # The key was good a moment ago.
                raise Fault(str(refusal), status=refusal.status) from None
            return refusal


async def find_dialect(client: Client, address: Address, settings: Settings) -> Dialect:
    """Find out what a server understands.

    Raises:
        ValueError: The server is not there, or refuses the key, the model, or a setting; the message says which.
    """
    prober = _Prober(client, address, settings)
    try:
        plain = await _first(prober, client, address)
        return await _explore(prober, settings, plain)
    except Fault as fault:
        raise ValueError(f"no usable answer from {address.url}: {fault}; is the server running there?") from None


async def _first(prober: _Prober, client: Client, address: Address) -> Answer:
    """The barest request, so that what is refused now is the key, the model, or the sampling."""
    try:
        return await prober.ask()
    except Refusal as refusal:
        first = refusal
    if first.status in (400, 422):
        # Newer models of OpenAI want the other name, and older servers do not know it.
        prober.limit = "max_completion_tokens"
        answer = await prober.try_out()
        if isinstance(answer, Answer):
            return answer
    raise ValueError(await _explained(first, client, address))


async def _explained(refusal: Refusal, client: Client, address: Address) -> str:
    if refusal.status < 400:
        return str(refusal)
    if refusal.status in (401, 403):
        key = f"the key in {address.key_env}" if address.key_env else "a request without a key"
        return f"{address.url} does not accept {key}: {refusal}. api_key_env names the variable that holds the key"
    models = await _models(client)
    if models and address.model not in models:
        close = difflib.get_close_matches(address.model, models, n=3, cutoff=0.3) or models[:10]
        return f"{address.url} has no model {address.model!r}; it has {', '.join(close)} ({refusal})"
    if refusal.status == 404:
        return f"{address.url}{COMPLETIONS} does not exist, or the model {address.model!r} does not: {refusal}"
    return f"the server refuses these settings: {refusal}"


async def _models(client: Client) -> list[str]:
    """The names that the server lists, as far as it does."""
    try:
        listed = await client.get("/models")
    except (Fault, Refusal):
        return []
    entries = listed.get("data") if isinstance(listed, dict) else None
    ids = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [name for name in ids if isinstance(name, str)]


async def _explore(prober: _Prober, settings: Settings, plain: Answer) -> Dialect:
    seed, system, repeats, logprobs = await asyncio.gather(
        prober.try_out(seed=seed_of(0, 0)),
        prober.try_out(_SYSTEM, _USER),
        prober.try_out(_USER, _USER),
        prober.try_out(logprobs=True) if settings.logprobs else _nothing(),
    )
    if settings.logprobs and (not isinstance(logprobs, Answer) or logprobs.logprobs is None):
        why = f": {logprobs}" if isinstance(logprobs, Refusal) else ""
        raise ValueError(f"this server gives no log probabilities, so leave logprobs out{why}")
    dialect = Dialect(
        limit=prober.limit,
        seed=isinstance(seed, Answer),
        system=_reached(system, plain),
        repeats=isinstance(repeats, Answer),
    )
    start = (_SYSTEM, _USER) if dialect.system else (_USER,)
    bare = system if dialect.system and isinstance(system, Answer) else plain
    mode = await _tool_mode(prober, settings, start, bare)
    history = mode == "native" and dialect.system and dialect.repeats
    if history:
        history = isinstance(await prober.try_out(*start, *_CALLED, tools=[PROBE_TOOL]), Answer)
    return replace(
        dialect,
        tools=mode,
        calls_in_history=history,
        model=_only(prober.models),
        fingerprint=_only(prober.fingerprints),
    )


async def _tool_mode(prober: _Prober, settings: Settings, start: Sequence[Mapping[str, Any]], bare: Answer) -> ToolMode:
    """How tools reach the model: as asked, or the best way that works."""
    wanted = settings.tools
    if wanted == "prompt":
        return "prompt"
    if wanted in ("auto", "native"):
        native = await prober.try_out(*start, tools=[PROBE_TOOL])
        if wanted == "native" and isinstance(native, Refusal):
            raise ValueError(f"this server reads no calls ('template' or 'prompt' may do for tools): {native}")
        if wanted == "native" or _reached(native, bare):
            return "native"
    template = await prober.try_out(*start, tools=[PROBE_TOOL], tool_choice="none")
    if wanted == "template" and isinstance(template, Refusal):
        raise ValueError(f"this server takes no tools ('prompt' describes them to the model): {template}")
    # Some servers leave tools out of the prompt when none may be chosen.
    known = bare.usage.prompt_tokens and isinstance(template, Answer) and template.usage.prompt_tokens
    return "template" if wanted == "template" or (known and _reached(template, bare)) else "prompt"


def _reached(answer: Answer | Refusal, without: Answer) -> bool:
    """Whether something was taken, and shows in the length of the prompt, where the server tells that."""
    if isinstance(answer, Refusal):
        return False
    before, now = without.usage.prompt_tokens, answer.usage.prompt_tokens
    return not (before and now) or now > before


def _only(values: set[str | None]) -> str | None:
    """The one value that all answers gave; ``None`` if they differ."""
    return next(iter(values)) if len(values) == 1 else None


async def _nothing() -> None:
    return None
