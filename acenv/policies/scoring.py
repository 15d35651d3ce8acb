"""Teacher forcing: what a model computes for the assistant's tokens of conversations that are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acenv.chat import Chat
from acenv.types import Capture, Conversation, Message, TokenOutputs, Tool


def assistant_spans(
    chat: Chat, messages: Sequence[Message], tools: Sequence[Tool]
) -> tuple[str, list[tuple[int, int]]]:
    """Render a conversation and find the assistant's text in it.

    The text before an answer is what the policy saw when it acted: the rendering of the messages so far, with the
    generation prompt. Where the whole rendering does not begin with it (some templates change earlier turns), the
    answer's own text is searched for behind the previous one.

    Returns:
        The rendered text, and start and end of every assistant message in it; the mark that ends the turn is inside.

    Raises:
        ValueError: An answer cannot be found.
    """
    prepared = chat.prepare(messages, tools)
    text = chat.render_prepared(prepared, tools, add_generation_prompt=False)
    spans: list[tuple[int, int]] = []
    for i, message in enumerate(prepared):
        if message["role"] != "assistant":
            continue
        before = _rendered_prefix(chat, prepared[:i], tools, add_generation_prompt=True)
        behind = _rendered_prefix(chat, prepared[: i + 1], tools, add_generation_prompt=False)
        cursor = spans[-1][1] if spans else 0
        content = message["content"].strip()
        if (
            before is not None
            and behind is not None
            and text.startswith(before)
            and text.startswith(behind)
            and content in text[len(before) : len(behind)]
        ):
            spans.append((len(before), len(behind)))
            continue
        start = text.find(content, cursor)
        if start < 0 or not content:
            raise ValueError(
                f"cannot find the assistant's message {len(spans) + 1} in what the chat template renders: the template "
                "leaves it out or changes it, so the model's outputs cannot be matched with it"
            )
        spans.append((start, start + len(content)))
    return text, spans


def assistant_tokens(
    tokenizer: Any, chat: Chat, conversation: Conversation, stop_ids: frozenset[int]
) -> tuple[list[int], list[int]]:
    """A conversation's tokens, and for each the number of the assistant message that it belongs to, or -1.

    See :func:`marked_tokens`, which gives their texts too.
    """
    ids, turns, _ = marked_tokens(tokenizer, chat, conversation, stop_ids)
    return ids, turns


def marked_tokens(
    tokenizer: Any, chat: Chat, conversation: Conversation, stop_ids: frozenset[int]
) -> tuple[list[int], list[int], list[str]]:
    """A conversation's tokens, the assistant message that each belongs to (or -1), and the text of each.

    The token that ends a turn belongs to it, as the model has to write it; what the template puts behind does not.

    Raises:
        ValueError: See :func:`assistant_spans`.
    """
    text, spans = assistant_spans(chat, conversation.messages, conversation.tools)
    encoded = tokenizer(text, add_special_tokens=not chat.has_template, return_offsets_mapping=True, verbose=False)
    ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
    turns = [-1] * len(ids)
    position = 0
    for turn, (start, end) in enumerate(spans):
        while position < len(ids) and (offsets[position][1] <= start or offsets[position][0] == offsets[position][1]):
            position += 1
        while position < len(ids) and offsets[position][0] < end:
            turns[position] = turn
            position += 1
            if ids[position - 1] in stop_ids:
                break
        else:
            if position < len(ids) and ids[position] in stop_ids:
                turns[position] = turn
                position += 1
    return ids, turns, _texts(text, offsets, turns, spans)


def _texts(
    text: str, offsets: Sequence[tuple[int, int]], turns: Sequence[int], spans: Sequence[tuple[int, int]]
) -> list[str]:
    """The text of each token; those of a turn join to what was said in it.

    Tokenizers differ in whether a blank belongs to the token behind it: what is left over goes with that token. Of
    tokens that share a letter, as the bytes of an emoji do, the first has it.
    """
    texts = []
    place = 0
    for (_, end), turn in zip(offsets, turns, strict=True):
        if turn >= 0:
            place = max(place, spans[turn][0])
        texts.append(text[place:end])
        place = max(place, end)
    return texts


def teacher_forced(
    model: Any,
    tokenizer: Any,
    chat: Chat,
    conversations: Iterable[Conversation],
    capture: Sequence[Capture] | None,
    *,
    stop_ids: frozenset[int],
    context: int,
    layer: Callable[[NDArray[np.float32]], Any] | None = None,
) -> Iterator[TokenOutputs]:
    """Run a model over conversations, one at a time, so that nothing is padded and nothing depends on the batch.

    Args:
        model: A transformers causal language model.
        tokenizer: Its tokenizer, which must be a fast one (it gives the place of each token in the text).
        chat: The renderer of that tokenizer.
        conversations: What was said.
        capture: What to give out; ``None`` for hidden states, and the output layer in place of the logits.
        stop_ids: Tokens that end a turn.
        context: Tokens that fit into the model; longer conversations are cut on the right.
        layer: What to keep of the hidden states behind a layer; ``None`` keeps nothing.

    Raises:
        ValueError: The tokenizer is not a fast one, or see :func:`assistant_spans`.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"scoring needs a fast tokenizer, and {type(tokenizer).__name__} is none: save it as tokenizer.json"
        )
    plain: bool | None = None
    for conversation in conversations:
        ids, turns, texts = marked_tokens(tokenizer, chat, conversation, stop_ids)
        truncated = len(ids) > context
        ids, turns = ids[:context], turns[:context]
        # The very first token is predicted by nothing.
        targets = [i for i, turn in enumerate(turns) if turn >= 0 and i > 0]
        logits, hidden, head, layers = _outputs(model, ids, [i - 1 for i in targets], capture, layer, plain)
        plain = None if head is None else head.plain
        yield TokenOutputs(
            token_ids=np.array([ids[i] for i in targets], dtype=np.int64),
            turns=np.array([turns[i] for i in targets], dtype=np.int64),
            logits=logits,
            hidden=hidden,
            truncated=truncated,
            texts=[texts[i] for i in targets],
            head=head,
            layers=layers,
        )
        del logits, hidden, head, layers  # or they would stay in memory while the next ones are made


class Head:
    """The output layer of a model; see :class:`acenv.types.OutputLayer`."""

    def __init__(self, model: Any, like: Tensor, vocabulary: int, *, plain: bool) -> None:
        """Remember the model.

        Args:
            model: A transformers causal language model.
            like: What goes into its output layer, for the type and the device.
            vocabulary: Number of logits.
            plain: Whether the model gives out what the layer computes, as it is.
        """
        self._model, self._like, self.plain = model, like.new_empty(0), plain
        self.vocabulary = vocabulary
        weight = getattr(model.get_output_embeddings(), "weight", None)
        shape = (vocabulary, like.shape[-1])
        usable = plain and isinstance(weight, Tensor) and weight.is_floating_point() and tuple(weight.shape) == shape
        self.weight = weight if usable else None

    def __call__(self, hidden: NDArray[np.float32]) -> Tensor:
        """The logits of hidden states."""
        layer = self._model.get_output_embeddings()
        states = torch.from_numpy(hidden).to(self._like)[None]
        with torch.inference_mode():
            if self.plain:
                logits: Tensor = layer(states)[0].float()
                return logits
            # What the model does behind the layer (caps, scales) is its own business: let it do so, with our states in
            # place of those of a text of one token.
            hook = layer.register_forward_pre_hook(lambda _, inputs: (states, *inputs[1:]))
            try:
                token = torch.zeros((1, 1), dtype=torch.long, device=self._model.device)
                logits = self._model(input_ids=token, use_cache=False).logits[0].float()
                return logits
            finally:
                hook.remove()


def _outputs(
    model: Any,
    ids: list[int],
    rows: list[int],
    capture: Sequence[Capture] | None,
    layer: Callable[[NDArray[np.float32]], Any] | None,
    plain: bool | None,
) -> tuple[Any, Any, Head | None, list[Any]]:
    """Logits, last hidden states, output layer and what is kept of the layers, for some positions.

    ``plain`` is that of the model's last :class:`Head`, if there was one already.
    """
    output_layer = model.get_output_embeddings()
    index = torch.tensor(rows, dtype=torch.long, device=model.device)
    sparing = "logits_to_keep" in inspect.signature(model.forward).parameters
    streamed = capture is None
    # One row tells whether the model gives out what the layer computes. Once that is known none is needed, but layers
    # of other kinds may not like to be given nothing.
    least = 0 if plain and type(output_layer) is torch.nn.Linear else 1
    seen: list[Tensor] = []
    raw: list[Tensor] = []
    layers: list[Any] = []

    def take(_: Any, inputs: tuple[Any, ...]) -> Any:
        # What goes into the output layer is the last hidden state, whatever the architecture calls it.
        seen.append(inputs[0])
        return (inputs[0][:, :least], *inputs[1:]) if streamed else None

    def keep(_: Any, __: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        if layer is not None and rows:
            layers.append(layer(states.reshape(-1, states.shape[-1])[index].float().cpu().numpy()))

    hooks = [output_layer.register_forward_pre_hook(take)]
    if streamed:
        hooks.append(output_layer.register_forward_hook(lambda _, __, output: raw.append(output)))
        hooks += [module.register_forward_hook(keep) for module in (_layers(model) if layer is not None else ())]
    try:
        with torch.inference_mode():
            options = {"logits_to_keep": index} if sparing else {}
            output = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False, **options).logits[0]
    finally:
        for hook in hooks:
            hook.remove()
    like = seen[0]
    hidden = like.reshape(-1, like.shape[-1])
    hidden = hidden if sparing else hidden[index]
    states = hidden.float().cpu().numpy()
    if capture is None:
        if plain is None:
            plain = torch.equal(raw[0].reshape(output.shape).float(), output.float())
        return None, states, Head(model, hidden[None], output.shape[-1], plain=plain), layers
    logits = (output if sparing else output[index]).float().cpu().numpy() if "logits" in capture else None
    return logits, states if "hidden" in capture else None, None, []


def _layers(model: Any) -> Sequence[Any]:
    """The decoder's layers: the list of modules that is as long as the config says; nothing if there is none."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", 0)
    lists = (list(module) for module in model.modules() if isinstance(module, torch.nn.ModuleList))
    return next((modules for modules in lists if len(modules) == count > 0), [])


def _rendered_prefix(
    chat: Chat, prepared: Sequence[Message], tools: Sequence[Tool], *, add_generation_prompt: bool
) -> str | None:
    if not prepared:
        return ""
    try:
        return chat.render_prepared(prepared, tools, add_generation_prompt=add_generation_prompt)
    except ValueError:
        return None
