"""The hf policy as a stream: who joins when, and what is cached, decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.policies import load_policy
from acenv.policies.transformers import HFPolicy
from acenv.types import Decision, Message, Request, StreamingPolicy


def load(folder: Path, **options: Any) -> HFPolicy:
    return load_policy(f"hf:{folder}", **{"dtype": "float32", "max_new_tokens": 12, **options})  # type: ignore[return-value]


def request(slot: int, words: int, step: int = 0) -> Request:
    return Request(slot, 100 + slot, step, [{"role": "user", "content": f"{slot} " + "the cat sat on " * words}])


INSTRUCTIONS: Message = {"role": "system", "content": "the dog ran home and the cat sat on the mat: user ran " * 3}


def instructed(request: Request) -> Request:
    """The request of an environment whose episodes all begin with the same instructions."""
    return Request(request.slot, request.seed, request.step, [INSTRUCTIONS, *request.messages])


def next_turn(request: Request, decision: Decision, text: str) -> Request:
    said: list[Message] = [{"role": "assistant", "content": decision.action}, {"role": "user", "content": text}]
    return Request(request.slot, request.seed, request.step + 1, [*request.messages, *said])


def count_tokens(policy: HFPolicy) -> list[int]:
    """A list that grows by the number of tokens of every call of the model."""
    counts: list[int] = []
    policy.model.register_forward_pre_hook(
        lambda _, args, kwargs: counts.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    return counts


@pytest.fixture(scope="module")
def alone(tiny_checkpoint: Path) -> HFPolicy:
    return load(tiny_checkpoint, reuse_cache=False, capacity=1)


@pytest.fixture(scope="module")
def streams(tiny_checkpoint: Path) -> list[HFPolicy]:
    """The same model with room for all, with little room, with memory for little, and with 8-bit keys and values."""
    roomy, narrow = load(tiny_checkpoint, capacity=8), load(tiny_checkpoint, capacity=3)
    return [roomy, narrow, load(tiny_checkpoint, capacity=8, cache_bytes=100_000)]


TALK = st.lists(
    st.tuples(
        st.integers(0, 7),  # slot
        st.integers(0, 14),  # words
        st.booleans(),  # the next turn, or another episode
        st.integers(0, 3),  # how often to collect afterwards
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=25)
@given(TALK, st.integers(0, 2))
def test_no_order_of_joining_changes_an_answer(
    alone: HFPolicy, streams: list[HFPolicy], talk: list[tuple[int, int, bool, int]], which: int
) -> None:
    policy = streams[which]
    under_way: dict[int, Request] = {}
    last: dict[int, tuple[Request, Decision]] = {}
    known: dict[str, Decision] = {}

    def collect() -> None:
        for slot, decision in policy.collect():
            asked = under_way.pop(slot)
            key = repr(asked.messages)
            known[key] = known.get(key) or alone.act([asked])[0]
            assert decision == known[key]
            last[slot] = asked, decision

    for slot, words, goes_on, collects in talk:
        while slot in under_way:
            collect()
        asked = request(slot, words)
        if words % 2:
            asked = instructed(asked)
        if goes_on and slot in last and last[slot][1].finish != "context":
            asked = next_turn(*last[slot], f"and {words}")
        under_way[slot] = asked
        policy.submit([asked])
        for _ in range(collects):
            if under_way:
                collect()
    while under_way:
        collect()
    assert policy.collect() == []


def test_a_short_answer_is_not_held_up_by_a_long_one(tiny_checkpoint: Path, tmp_path: Path) -> None:
    policy = load(tiny_checkpoint, max_new_tokens=150)
    assert isinstance(policy, StreamingPolicy)
    counts = count_tokens(policy)
    nearly_full = "0 " + "!" * (256 - 3 - policy.count_tokens(policy.chat.render(request(0, 0).messages)))
    policy.submit([request(1, 1), Request(0, 0, 0, [{"role": "user", "content": nearly_full}])])
    [(slot, decision)] = policy.collect()
    assert slot == 0 and decision.finish == "length" and decision.usage.completion_tokens <= 4
    assert len(counts) <= 4 + 8
    policy.submit([request(2, 1)])  # joins at once
    before = len(counts)
    assert [slot for slot, _ in policy.collect(0.0)] == []  # no time: one step, and back
    assert len(counts) == before + 1 and counts[-1] > 2
    assert {slot for slot, _ in policy.collect()} | {slot for slot, _ in policy.collect()} == {1, 2}


def test_what_was_cancelled_is_never_answered(tiny_checkpoint: Path) -> None:
    policy = load(tiny_checkpoint)
    policy.submit([request(0, 3), request(1, 3)])
    policy.collect(0.0)
    policy.cancel()
    assert policy.collect() == []
    assert policy.act([request(0, 3)]) == load(tiny_checkpoint).act([request(0, 3)])


def test_act_leaves_what_was_submitted_for_collect(tiny_checkpoint: Path) -> None:
    policy = load(tiny_checkpoint)
    policy.submit([request(0, 2)])
    twice = [request(4, 3), request(4, 5)]  # of one slot
    fresh = load(tiny_checkpoint)
    assert policy.act(twice) == [fresh.act([r])[0] for r in twice]
    assert policy.collect() == [(0, fresh.act([request(0, 2)])[0])]


def test_a_turn_costs_its_new_tokens_and_not_its_history(tiny_checkpoint: Path) -> None:
    policy, forgets = (
        load(tiny_checkpoint, max_new_tokens=6),
        load(tiny_checkpoint, max_new_tokens=6, reuse_cache=False),
    )
    counts = count_tokens(policy)
    asked = [request(slot, 9 + slot) for slot in range(5)]
    read = 0
    for turn in range(4):
        decisions = policy.act(asked)
        assert decisions == forgets.act(asked)
        prompts = [
            len(policy.tokenizer(policy.chat.render(r.messages), add_special_tokens=False).input_ids) for r in asked
        ]
        new = sum(prompts) - read
        written = sum(max(0, d.usage.completion_tokens - 1) for d in decisions)
        # Broken characters are not read back as the tokens that were written, and the last token is always read.
        assert new <= sum(counts) <= new + written + 5 * 8
        read = sum(prompts) + sum(d.usage.completion_tokens for d in decisions)
        read -= 5  # the last token of an answer was not read yet
        asked = [next_turn(r, d, f"go {turn}") for r, d in zip(asked, decisions, strict=True)]
        counts.clear()
    assert policy.kept()[0] > 0 and forgets.kept() == (0, 0)


@pytest.mark.parametrize("bits", [None, 4])
def test_instructions_that_episodes_share_are_read_once(tiny_checkpoint: Path, bits: int | None) -> None:
    policy, forgets = (load(tiny_checkpoint, kv_bits=bits, reuse_cache=reuse) for reuse in (True, False))
    counts = count_tokens(policy)
    first, *others = [instructed(request(slot, 1 + slot)) for slot in range(6)]
    policy.submit([first])
    policy.collect(0.0)  # it is read, and under way
    own = counts[0]
    policy.submit(others)
    policy.collect(0.0)
    shared = len(policy.tokenizer(INSTRUCTIONS["content"], add_special_tokens=False).input_ids) // 32 * 32
    assert counts[1] <= 5 * (own - shared) + 5 * 5 * 8
    for _ in range(4):
        policy.collect(0.0)
    # All of the first prompt is the beginning of this one, and the model has written beyond it.
    longer = next_turn(first, Decision("the dog"), "and the cat")
    longer = Request(7, 1, 1, longer.messages)
    policy.submit([longer])
    found: dict[int, Decision] = {}
    while len(found) < 7:
        found |= dict(policy.collect())
    assert found == {r.slot: forgets.act([r])[0] for r in (first, *others, longer)}
    counts.clear()
    if bits is None:  # from what is kept, too
        policy.act([instructed(request(9, 1))])
        assert counts[0] <= own - shared


def test_a_template_that_changes_earlier_turns_is_read_anew_from_there(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """As templates do that cut thinking, or white space, out of earlier turns."""
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(tiny_checkpoint, folder)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{{ m.content[3:] | trim if m.role == 'assistant' and not loop.last else m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    policy, forgets = load(folder), load(folder, reuse_cache=False)
    asked = [request(slot, 3 + slot) for slot in range(4)]
    for turn in range(3):
        decisions = policy.act(asked)
        assert decisions == forgets.act(asked)
        asked = [next_turn(r, d, f"go {turn}") for r, d in zip(asked, decisions, strict=True)]


def test_memory_for_what_is_kept_is_bounded_and_what_was_forgotten_is_read_again(tiny_checkpoint: Path) -> None:
    token = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, width, bytes
    budget = 3 * 128 * token
    policy, forgets = load(tiny_checkpoint, cache_bytes=budget), load(tiny_checkpoint, reuse_cache=False)
    asked = [request(slot, 12) for slot in range(7)]
    for turn in range(3):
        decisions = policy.act(asked)
        assert decisions == forgets.act(asked)
        assert 0 < policy.kept()[1] <= budget
        asked = [next_turn(r, d, f"go {turn}") for r, d in zip(asked, decisions, strict=True)]
    nothing = load(tiny_checkpoint, cache_bytes=0)
    nothing.act(asked)
    assert nothing.kept() == (0, 0)
    with pytest.raises(ValueError, match="cache_bytes must be 0"):
        load(tiny_checkpoint, cache_bytes=-1)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_quantised_answers_depend_on_neither_batch_nor_cache(tiny_checkpoint: Path, bits: int) -> None:
    policy, forgets = (
        load(tiny_checkpoint, kv_bits=bits),
        load(tiny_checkpoint, kv_bits=bits, reuse_cache=False, capacity=3),
    )
    plain = load(tiny_checkpoint)
    asked = [request(slot, words) for slot, words in enumerate([1, 9, 3, 20, 3, 1, 14, 2, 6])]
    for turn in range(3):
        decisions = policy.act(asked)
        assert decisions == forgets.act(asked[::-1])[::-1]
        plain.act(asked)
        asked = [next_turn(r, d, f"go {turn}") for r, d in zip(asked, decisions, strict=True)]
    (tokens, packed), (same, spans) = policy.kept(), plain.kept()
    assert tokens > 0 and packed / tokens < spans / same / {8: 1.2, 4: 1.6, 2: 1.8}[bits]
    assert policy.describe()["kv_bits"] == bits and "kv_bits" not in plain.describe()


def test_fewer_bits_change_more(tiny_checkpoint: Path) -> None:
    asked = [request(slot, 20) for slot in range(6)]
    exact = load(tiny_checkpoint, logprobs=True, max_new_tokens=1).act(asked)
    off = []
    for bits in (8, 4, 2):
        rounded = load(tiny_checkpoint, logprobs=True, max_new_tokens=1, kv_bits=bits).act(asked)
        off.append(sum(abs(a.logprobs[0] - b.logprobs[0]) for a, b in zip(exact, rounded, strict=True)))  # type: ignore[index]
    assert 0 < off[0] < off[1] < off[2]


def test_logprobs_are_those_of_the_model(tiny_checkpoint: Path, tiny_model: Any) -> None:
    asked = [request(slot, words) for slot, words in enumerate([1, 9, 3])]
    for options in ({}, {"temperature": 0.7, "top_k": 5}):
        policy = load(tiny_checkpoint, logprobs=True, **options)
        for r, decision in zip(asked, policy.act(asked), strict=True):
            prompt = policy.tokenizer(policy.chat.render(r.messages), add_special_tokens=False).input_ids
            written = policy.tokenizer(decision.action, add_special_tokens=False).input_ids
            assert decision.logprobs is not None and len(decision.logprobs) == decision.usage.completion_tokens
            if len(written) != len(decision.logprobs):
                continue  # broken characters, which are not read back
            with torch.inference_mode():
                logits = tiny_model(torch.tensor([prompt + written])).logits[0, len(prompt) - 1 : -1]
            expected = logits.log_softmax(-1)[range(len(written)), written]
            torch.testing.assert_close(torch.tensor(decision.logprobs), expected, atol=1e-4, rtol=1e-4)
    assert load(tiny_checkpoint).act(asked)[0].logprobs is None


@pytest.fixture(scope="module")
def sliding_checkpoint(tiny_model: Any, tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that attends to the last 16 tokens only."""
    torch.manual_seed(0)
    like = {k: v for k, v in tiny_model.config.to_diff_dict().items() if k not in ("model_type", "architectures")}
    folder = tmp_path_factory.mktemp("checkpoints") / "sliding"
    model = transformers.MistralForCausalLM(transformers.MistralConfig(**like, sliding_window=16))
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


def test_models_with_a_cache_of_their_own_are_answered_in_whole_batches(sliding_checkpoint: Path) -> None:
    policy = load(sliding_checkpoint, logprobs=True)
    asked = [request(slot, words) for slot, words in enumerate([1, 9, 3, 20, 3, 1])]
    together = policy.act(asked)
    one_by_one = [policy.act([r])[0] for r in asked]
    assert [d.action for d in together] == [d.action for d in one_by_one]
    ids = policy.tokenizer(
        policy.chat.render(asked[3].messages), add_special_tokens=False, return_tensors="pt"
    ).input_ids
    written = policy.model.generate(ids, do_sample=False, max_new_tokens=12, eos_token_id=sorted(policy.stop_ids))
    assert policy.tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True) == together[3].action
    policy.submit(asked)
    streamed = dict(policy.collect())
    assert [streamed[slot].action for slot in range(6)] == [d.action for d in together]
    assert len(together[0].logprobs or ()) == 12
    with pytest.raises(ValueError, match="kv_bits=4.*sliding windows"):
        load(sliding_checkpoint, kv_bits=4)
    with pytest.raises(ValueError, match="kv_bits must be one of 8, 4, 2"):
        load(sliding_checkpoint, kv_bits=3)


def test_a_tokenizer_that_knows_more_tokens_than_the_model_is_an_error(
    tiny_checkpoint: Path, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    import copy
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(tiny_checkpoint, folder)
    larger = copy.deepcopy(tiny_tokenizer)
    larger.add_tokens(["zebra"])
    larger.save_pretrained(folder)
    policy = load(folder)
    good, bad = policy.act([request(0, 1), Request(1, 0, 0, [{"role": "user", "content": "a zebra"}])])
    assert good.error is None and bad.error is not None and "do not belong together" in bad.error
