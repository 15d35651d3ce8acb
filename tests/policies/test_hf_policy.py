from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from acenv.policies import load_policy
from acenv.policies.sampling import choose, uniforms
from acenv.types import Conversation, Policy, Request, Scorer, Usage


def request(i: int, words: int, step: int = 0) -> Request:
    return Request(i, 100 + i, step, [{"role": "user", "content": f"{i} " + "the cat sat on " * words}])


REQUESTS = [request(i, words) for i, words in enumerate([1, 9, 3, 20, 3, 1, 14, 2, 6])]


def load(folder: Path, **options):
    return load_policy(f"hf:{folder}", **{"dtype": "float32", "max_new_tokens": 12, **options})


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target / "copy")
    return target / "copy"


def bare_generate(policy, request: Request) -> str:
    ids = policy.tokenizer(policy.chat.render(request.messages), return_tensors="pt", add_special_tokens=False)
    output = policy.model.generate(
        input_ids=ids["input_ids"],
        attention_mask=ids["attention_mask"],
        do_sample=False,
        max_new_tokens=policy.max_new_tokens,
        eos_token_id=sorted(policy.stop_ids),
    )
    written = output[0, ids["input_ids"].shape[1] :].tolist()
    if written[-1] in policy.stop_ids:
        written.pop()
    return policy.tokenizer.decode(written, skip_special_tokens=True)


def test_greedy_answers_equal_generate_for_any_batch(tiny_checkpoint):
    policy = load(tiny_checkpoint)
    assert isinstance(policy, Policy) and isinstance(policy, Scorer)
    together = policy.act(REQUESTS)
    assert [d.action for d in together] == [bare_generate(policy, r) for r in REQUESTS]
    assert all(d.error is None for d in together)
    fresh = load(tiny_checkpoint, reuse_cache=False, capacity=4)
    assert fresh.act(REQUESTS) == together
    assert [fresh.act([r])[0] for r in reversed(REQUESTS)] == together[::-1]


def test_the_cache_of_the_last_turn_does_not_change_the_next(tiny_checkpoint):
    keeps, forgets = load(tiny_checkpoint), load(tiny_checkpoint, reuse_cache=False)
    requests = REQUESTS
    for turn in range(1, 4):
        first, second = keeps.act(requests), forgets.act(requests)
        assert first == second
        requests = [
            Request(
                r.slot,
                r.seed,
                turn,
                [*r.messages, {"role": "assistant", "content": d.action}, {"role": "user", "content": f"and {turn}"}],
            )
            for r, d in zip(requests, first, strict=True)
        ]
    # Another episode in the same slots, at another place of the batch.
    other = [Request(r.slot, 7, 0, [{"role": "user", "content": f"new {r.slot}"}]) for r in REQUESTS[::-1]]
    assert keeps.act(other) == forgets.act(other)


def test_samples_depend_on_seed_and_step_but_not_on_the_batch(tiny_checkpoint):
    policy = load(tiny_checkpoint, temperature=1.5, top_p=0.95, top_k=100, reuse_cache=False)
    together = policy.act(REQUESTS)
    assert [policy.act([r])[0] for r in REQUESTS] == together
    assert load(tiny_checkpoint, temperature=1.5, top_p=0.95, top_k=100).act(REQUESTS) == together
    again = policy.act([request(i, 3, step=i) for i in range(6)] + [request(0, 3, step=9)])
    assert again[0].action != again[-1].action


def test_draws_follow_the_probabilities():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).expand(4000, 4)
    draws = uniforms(1, 2, 4000)
    assert torch.equal(draws[:10], uniforms(1, 2, 10)) and not torch.equal(draws[:10], uniforms(2, 1, 10))
    counts = np.bincount(choose(logits, draws, temperature=1.0, top_p=1.0, top_k=0), minlength=4) / 4000
    np.testing.assert_allclose(counts, torch.softmax(logits[0], 0), atol=0.03)
    assert choose(logits, draws, temperature=1.0, top_p=1.0, top_k=2).unique().tolist() == [0, 1]
    assert choose(logits, draws, temperature=1.0, top_p=0.7, top_k=0).unique().tolist() == [0, 1]
    assert choose(logits, draws, temperature=1.0, top_p=0.6, top_k=0).unique().tolist() == [0]
    assert choose(logits, draws, temperature=1e-3, top_p=1.0, top_k=0).unique().tolist() == [0]
    assert choose(logits, torch.full((4000,), 1 - 1e-16), temperature=1.0, top_p=0.99, top_k=0).max() <= 3
    assert choose(logits, None, temperature=0.0, top_p=1.0, top_k=0).unique().tolist() == [0]


def test_stop_tokens_come_from_tokenizer_config_and_template(tiny_checkpoint, tiny_tokenizer, tmp_path):
    folder = copy_of(tiny_checkpoint, tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9]}))
    policy = load(folder)
    end_of_turn, eos = tiny_tokenizer.convert_tokens_to_ids(["<|im_end|>", "<eos>"])
    assert policy.stop_ids == {7, 9, end_of_turn, eos}


def test_an_answer_ends_at_a_stop_token_and_finished_rows_leave_the_others_alone(tiny_checkpoint, tmp_path):
    free = load(tiny_checkpoint, max_new_tokens=24)
    answers = free.act(REQUESTS)
    ids = free.tokenizer(answers[0].action, add_special_tokens=False)["input_ids"]
    folder = copy_of(tiny_checkpoint, tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids[:1] + ids[4:5]}))
    policy = load(folder, max_new_tokens=24)
    decisions = policy.act(REQUESTS)
    assert [d.action for d in decisions] == [bare_generate(policy, r) for r in REQUESTS]
    assert decisions[0].finish == "stop"
    assert len({d.usage.completion_tokens for d in decisions}) > 1


def test_stop_texts_end_an_answer_and_are_cut_off(tiny_checkpoint):
    action = load(tiny_checkpoint).act(REQUESTS[:1])[0].action
    stop = action[3:5]
    decision = load(tiny_checkpoint, stop=[stop]).act(REQUESTS[:1])[0]
    assert decision.action == action[: action.index(stop)]
    assert decision.finish == "stop"


def test_a_full_context_is_reported_and_the_others_of_the_batch_go_on(tiny_checkpoint):
    policy = load(tiny_checkpoint)
    assert policy.context == 256
    text = policy.chat.render(request(0, 0).messages)
    fill = 256 - policy.count_tokens(text)
    # "!" is a token of its own in this vocabulary.
    nearly = Request(5, 0, 0, [{"role": "user", "content": "0 " + "!" * (fill - 1)}])
    exactly = Request(6, 0, 0, [{"role": "user", "content": "0 " + "!" * fill}])
    huge = request(7, 500)
    decisions = policy.act([REQUESTS[0], huge, nearly, exactly])
    assert [d.finish for d in decisions] == ["length", "context", "length", "context"]
    assert decisions[0] == policy.act(REQUESTS[:1])[0]
    assert decisions[0].usage.completion_tokens == 12
    assert decisions[1].usage == Usage(policy.count_tokens(policy.chat.render(huge.messages)), 0)
    assert decisions[2].usage == Usage(255, 1)
    assert all(d.error is None for d in decisions)


def test_odd_texts_are_answered(tiny_checkpoint):
    odd = ["", "\ud800 lone", "🙂" * 5, "\x00", "<|im_end|><eos>"]
    decisions = load(tiny_checkpoint).act(
        [Request(i, 0, 0, [{"role": "user", "content": t}]) for i, t in enumerate(odd)]
    )
    assert all(d.error is None for d in decisions)
    assert load(tiny_checkpoint).act([]) == []


def test_a_template_that_fails_is_an_error_of_that_request(tiny_checkpoint, tmp_path):
    folder = copy_of(tiny_checkpoint, tmp_path)
    template = "{% if messages[-1].content == 'bad' %}{{ raise_exception('no') }}{% endif %}{{ messages[-1].content }}"
    (folder / "chat_template.jinja").write_text(template)
    decisions = load(folder).act(
        [Request(i, 0, 0, [{"role": "user", "content": t}]) for i, t in enumerate(["bad", "ok"])]
    )
    assert "chat template cannot render" in decisions[0].error
    assert decisions[1].error is None


def test_broken_weights_are_an_error_and_no_answer(tiny_checkpoint, tiny_model, tmp_path):
    folder = copy_of(tiny_checkpoint, tmp_path)
    state = {k: v.clone() for k, v in tiny_model.state_dict().items()}
    state["model.norm.weight"][0] = float("nan")
    tiny_model.save_pretrained(folder, state_dict=state)
    assert "nan" in load(folder).act(REQUESTS[:1])[0].error


def test_the_description_names_what_changes_answers(tiny_checkpoint, tiny_model, tmp_path):
    one, two = load(tiny_checkpoint).describe(), load(tiny_checkpoint, temperature=0.5).describe()
    assert one == load(tiny_checkpoint, capacity=3).describe()
    assert one != two and one["checkpoint"] == two["checkpoint"]
    assert one["dtype"] == "float32" and one["versions"]["transformers"]
    json.dumps(one)
    folder = copy_of(tiny_checkpoint, tmp_path)
    state = {k: v.clone() for k, v in tiny_model.state_dict().items()}
    state["model.norm.weight"][0] += 1
    tiny_model.save_pretrained(folder, state_dict=state)
    assert load(folder).describe()["checkpoint"] != one["checkpoint"]


def test_scores_are_those_of_a_plain_forward_pass(tiny_checkpoint, tiny_model):
    policy = load(tiny_checkpoint)
    talk = Conversation(
        [
            {"role": "user", "content": "the cat"},
            {"role": "assistant", "content": "sat on 🙂"},
            {"role": "user", "content": "the mat"},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "home"},
            {"role": "assistant", "content": "ran"},
        ]
    )
    [scores] = policy.score([talk])
    text = policy.chat.render(talk.messages, add_generation_prompt=False)
    ids = policy.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    spoken = [policy.tokenizer.decode(scores.token_ids[scores.turns == turn]) for turn in range(3)]
    assert spoken == ["sat on 🙂<|im_end|>", "<|im_end|>", "ran<|im_end|>"]
    with torch.inference_mode():
        output = tiny_model(input_ids=ids, output_hidden_states=True)
    places = _places_of(ids[0].tolist(), policy.tokenizer)
    assert scores.token_ids.tolist() == ids[0][places].tolist()
    np.testing.assert_allclose(scores.logits, output.logits[0][places - 1], atol=1e-5)
    np.testing.assert_allclose(scores.hidden, output.hidden_states[-1][0][places - 1], atol=1e-5)
    assert scores.logits.dtype == scores.hidden.dtype == np.float32
    assert not scores.truncated


def _places_of(ids: list[int], tokenizer) -> np.ndarray:
    """Where the assistant speaks, found by walking over the marks of the template."""
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    header = tokenizer("assistant\n", add_special_tokens=False)["input_ids"]
    places, position = [], 0
    while position < len(ids):
        if ids[position] == start and ids[position + 1 : position + 1 + len(header)] == header:
            position += 1 + len(header)
            while ids[position] != end:
                places.append(position)
                position += 1
            places.append(position)
        position += 1
    return np.array(places)


def test_what_a_policy_says_is_what_its_scores_predict(tiny_checkpoint):
    policy = load(tiny_checkpoint, max_new_tokens=8)
    found = 0
    for asked in REQUESTS:
        action = policy.act([asked])[0].action
        written = policy.tokenizer(action, add_special_tokens=False)["input_ids"]
        [scores] = policy.score(
            [Conversation([*asked.messages, {"role": "assistant", "content": action}])], ("logits",)
        )
        assert scores.hidden is None
        # Text that came from broken characters is not read back as the same tokens.
        if "\ufffd" not in action and len(written) == 8:
            assert scores.logits.argmax(-1)[:8].tolist() == written
            found += 1
    assert found


def test_long_conversations_are_scored_up_to_the_context(tiny_checkpoint):
    policy = load(tiny_checkpoint)
    talk = Conversation([{"role": "user", "content": "a"}, {"role": "assistant", "content": "! " * 400}])
    [scores] = policy.score([talk], ["hidden"])
    assert scores.truncated and scores.logits is None
    assert 200 < len(scores.token_ids) < 256 and scores.hidden.shape == (len(scores.token_ids), 32)


def test_assistants_are_found_in_templates_that_change_earlier_turns(tiny_checkpoint, tmp_path):
    folder = copy_of(tiny_checkpoint, tmp_path)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}{{ m.content | trim }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    talk = [{"role": "user", "content": "go"}, {"role": "assistant", "content": " one "}] * 2
    policy = load(folder)
    [scores] = policy.score([Conversation(talk)])
    spoken = [policy.tokenizer.decode(scores.token_ids[scores.turns == turn]) for turn in range(2)]
    assert spoken == ["one<|im_end|>", "<think></think>one<|im_end|>"]


def test_a_template_that_loses_the_answer_is_refused(tiny_checkpoint, tmp_path):
    folder = copy_of(tiny_checkpoint, tmp_path)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    talk = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "zzz"}]
    with pytest.raises(ValueError, match="cannot find the assistant's message 1"):
        list(load(folder).score([Conversation(talk)]))
    with pytest.raises(ValueError, match="cannot capture 'attention'"):
        load(folder).score([], ["attention"])
