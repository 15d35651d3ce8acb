"""The texts of a calibration: drawn from experts, files and recorded runs, evenly and with a seed."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium

from acenv.calibration import SEEDS, Spec, check, names_in
from acenv.registry import missing, resolve_env_ids, suites
from acenv.runs import Results
from acenv.transcripts import expert_conversation
from acenv.types import Conversation

HELDOUT = 8
"""Texts that are kept back to compare the models on."""

MIN_HELDOUT_SHARE = 5
"""Of a file or a run that is small, one text in so many is kept back."""

_PATIENCE = 3
"""Failures of an expert in a row, after which no more is asked of it."""

_REPEATS = 50
"""Repeated tasks in a row, after which an environment is taken to have no more."""

Text = Conversation | str


@dataclass(frozen=True, slots=True)
class Calibration:
    """Texts that were drawn.

    Attributes:
        samples: To calibrate on.
        heldout: Others of the same kind, none of them among the samples.
        left_out: Environments of which there are no transcripts, with the reason.
    """

    samples: tuple[Text, ...]
    heldout: tuple[Text, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def draw(
    spec: Spec,
    env_ids: Sequence[str] = suites["quick"],
    difficulties: Sequence[str] = ("easy",),
    exclude: Collection[Text] = (),
) -> Calibration:
    """Draw the texts of a spec; the same spec gives the same texts.

    Args:
        spec: Where they come from.
        env_ids: Environments of ``transcripts`` that names none. Those that are not installed, or whose expert gives
            nothing, are left out.
        difficulties: Of transcripts, evenly, unless the spec has its own.
        exclude: Texts that must not be among the samples.

    Raises:
        ValueError: There is no text to be had, or it cannot be used; the message names the way out.
        RunError: The folder holds no run.
    """
    check(spec)
    seen = {_key(text) for text in exclude}
    if spec.kind == "transcripts":
        return _draw_transcripts(spec, env_ids, difficulties, seen)
    groups = _text_groups(spec) if spec.kind == "text" else _run_groups(spec)
    total = sum(map(len, groups.values()))
    if not total:
        raise ValueError(
            f"calibration {spec}: there is no text in it" + (", or no return so high" * (spec.kind == "run"))
        )
    streams = {name: iter(texts) for name, texts in groups.items()}
    heldout = _evenly(streams, min(HELDOUT, total // MIN_HELDOUT_SHARE), set())
    samples = _evenly(streams, spec.samples, seen | {_key(text) for text in heldout})
    if not samples:
        raise ValueError(f"calibration {spec}: all its texts are among those that models are compared on")
    return Calibration(tuple(samples), tuple(heldout))


def _draw_transcripts(
    spec: Spec, env_ids: Sequence[str], difficulties: Sequence[str], seen: set[Hashable]
) -> Calibration:
    ids = resolve_env_ids(names_in(spec.target)) if spec.target else list(env_ids)
    left_out = {env_id: todo for env_id in ids if (todo := missing(env_id))}
    there: set[str] = set()
    low = spec.seed * SEEDS
    with ExitStack() as stack:
        streams: list[dict[Hashable, Iterator[Text]]] = [{}, {}]
        for env_id, difficulty in itertools.product(ids, [spec.difficulty] if spec.difficulty else difficulties):
            if env_id in left_out:
                continue
            try:
                env = gymnasium.make(env_id, split="train", difficulty=difficulty)
            except Exception as error:  # an environment that needs keywords, or whose simulator does not start
                left_out[env_id] = str(error)
                continue
            stack.callback(env.close)
            for stream, first in zip(streams, (low + SEEDS // 2, low), strict=True):
                stream[env_id, difficulty] = _expert_texts(env, env_id, first, there, left_out)
        heldout = _evenly(streams[0], HELDOUT, set())
        samples = _evenly(streams[1], spec.samples, seen | {_key(text) for text in heldout})
    left_out = {env_id: reason for env_id, reason in left_out.items() if env_id not in there}
    if spec.target and left_out:
        env_id, reason = next(iter(left_out.items()))
        raise ValueError(f"calibration {spec}: there are no transcripts of {env_id}: {reason}")
    if not samples:
        reasons = "; ".join(f"{env_id}: {reason}" for env_id, reason in left_out.items())
        raise ValueError(
            f"there are no expert transcripts to calibrate on ({reasons}): "
            "give others, such as transcripts:quick or text:FILE"
        )
    return Calibration(tuple(samples), tuple(heldout), left_out)


def _expert_texts(
    env: gymnasium.Env[Any, Any], env_id: str, first: int, there: set[str], left_out: dict[str, str]
) -> Iterator[Conversation]:
    """The expert's transcripts from a seed on; notes whether there are any, and else why not."""
    failed = 0
    for seed in itertools.count(first):
        try:
            conversation = expert_conversation(env, seed)
        except Exception as error:  # a simulator may raise anything, and some games cannot be made
            failed += 1
            if failed == _PATIENCE:
                left_out[env_id] = f"{type(error).__name__}: {error}"
                return
            continue
        failed = 0
        there.add(env_id)
        yield conversation


def _evenly(streams: Mapping[Any, Iterator[Text]], count: int, seen: set[Hashable]) -> list[Text]:
    """``count`` texts that are not in ``seen``, one of each stream in turn; fewer if all of them end."""
    found: list[Text] = []
    alive = dict(streams)
    while alive and len(found) < count:
        for name, stream in list(alive.items()):
            if len(found) == count:
                break
            fresh = next((t for t in itertools.islice(stream, _REPEATS) if _key(t) not in seen), None)
            if fresh is None:
                del alive[name]
                continue
            seen.add(_key(fresh))
            found.append(fresh)
    return found


def _key(text: Text) -> Hashable:
    return text if isinstance(text, str) else json.dumps([list(text.messages), list(text.tools)])


def _text_groups(spec: Spec) -> dict[str, list[Text]]:
    file = Path(spec.target).expanduser()
    try:
        content = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8: {error}") from error
    if file.suffix == ".jsonl":
        texts = [_record(line, f"{file}, line {i}") for i, line in enumerate(content.splitlines(), 1) if line.strip()]
    else:
        texts = [part.strip() for part in re.split(r"\n[ \t]*\n", content) if part.strip()]
    texts = list({_key(text): text for text in texts}.values())
    random.Random(spec.seed).shuffle(texts)
    return {"": texts}


def _record(line: str, where: str) -> Text:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where} is no JSON: {error}") from error
    text = record.get("text") if isinstance(record, dict) else None
    if isinstance(text, str):
        return text
    messages = record.get("messages") if isinstance(record, dict) else None
    tools = record.get("tools") or [] if isinstance(record, dict) else []
    if not isinstance(messages, list) or not messages or not isinstance(tools, list):
        raise ValueError(f'{where}: expected {{"text": "…"}} or {{"messages": […]}}, with "tools" if there are any')
    for message in messages:
        if not isinstance(message, dict) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise ValueError(f"{where}: each message needs a role and a content, both text; this one is {message!r}")
    return Conversation([{"role": m["role"], "content": m["content"]} for m in messages], tools)


def _run_groups(spec: Spec) -> dict[str, list[Text]]:
    results = Results.load(Path(spec.target).expanduser())
    keys = sorted(key for key, value in results.returns().items() if value >= spec.min_return)
    random.Random(spec.seed).shuffle(keys)
    groups: dict[str, list[Text]] = {}
    for transcript in results.transcripts(keys):
        groups.setdefault(transcript.env_id, []).append(transcript.conversation)
    return dict(sorted(groups.items()))


def to_record(text: Text) -> Any:
    """A text as JSON; :func:`from_record` is the inverse."""
    return text if isinstance(text, str) else {"messages": list(text.messages), "tools": list(text.tools)}


def from_record(record: Any) -> Text:
    """The inverse of :func:`to_record`."""
    return record if isinstance(record, str) else Conversation(record["messages"], record["tools"])
