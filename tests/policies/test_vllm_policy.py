"""The ``vllm`` policy. What needs its engine runs in its own environment: ``make vllm``, then ``make test-vllm``."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.policies import NANO, load_policy
from acenv.types import EngineError, Policy, Request, StreamingPolicy, Usage

HAS_VLLM = importlib.util.find_spec("vllm") is not None
needs_vllm = pytest.mark.skipif(not HAS_VLLM, reason="vLLM is not in this environment: make vllm, then make test-vllm")
SMALL = {"dtype": "float32", "max_new_tokens": 32, "kv_cache_gib": 0.25}


def load(folder: Path = NANO, **options: Any) -> Any:
    return load_policy(f"vllm:{folder}", **{**SMALL, **options})


def say(slot: int, text: str, seed: int = 0, step: int = 0) -> Request:
    return Request(slot, seed, step, [{"role": "user", "content": text}])


def copy_of_nano(target: Path) -> Path:
    return Path(shutil.copytree(NANO, target / "copy"))


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    """What the four quick environments ask at all steps of an episode, with their tools."""
    transcripts = acenv.evaluate("quick", "oracle", range(2), env_kwargs={"difficulty": "easy"}).transcripts()
    asked = []
    for transcript in transcripts:
        turns = [i for i, message in enumerate(transcript.messages) if message["role"] == "assistant"]
        for step, turn in enumerate(turns):
            asked.append(Request(len(asked), 7, step, list(transcript.messages[:turn]), transcript.tools))
    return asked


@pytest.fixture(scope="module")
def greedy() -> Iterator[Any]:
    policy = load(logprobs=True)
    yield policy
    policy.close()


@pytest.fixture(scope="module")
def sampling() -> Iterator[Any]:
    policy = load(temperature=1.5, top_p=0.95, top_k=100, stop=["e"])
    yield policy
    policy.close()


# Before vLLM is looked for


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -1}, "temperature must be"),
        ({"dtype": "int8"}, "dtype must be auto"),
        ({"tensor_parallel_size": 0}, "at least 1"),
        ({"max_model_len": 1}, "at least 2"),
        ({"kv_cache_gib": 0}, "kv_cache_gib above 0"),
        ({"gpu_memory_utilization": 1.5}, "at most 1"),
        ({"device": "cpu"}, "unknown option 'device'"),
        ({"capacity": 0}, "capacity must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(**options)


def test_damaged_checkpoints_and_gguf_files_are_refused_before_vllm_is_imported(tmp_path: Path) -> None:
    folder = copy_of_nano(tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        load(folder)
    with pytest.raises(ValueError, match="there is no folder"):
        load(tmp_path / "no" / "where")
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ValueError, match=f"use gguf:{file}"):
        load(file)


@pytest.mark.skipif(HAS_VLLM, reason="vLLM is installed")
def test_without_vllm_the_command_that_installs_it_is_named() -> None:
    with pytest.raises(ImportError, match="make vllm"):
        load()


# With vLLM


@needs_vllm
def test_answers_are_those_of_the_transformers_engine_token_by_token(greedy: Any, requests: list[Request]) -> None:
    assert isinstance(greedy, Policy) and isinstance(greedy, StreamingPolicy)
    own = load_policy("nano", dtype="float32", max_new_tokens=32, logprobs=True).act(requests)
    decisions = greedy.act(requests)
    for ours, theirs in zip(decisions, own, strict=True):
        assert (ours.action, ours.usage, ours.finish, ours.error) == (
            theirs.action,
            theirs.usage,
            theirs.finish,
            theirs.error,
        )
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)
    assert {d.finish for d in decisions} == {"stop", "length"}
    # Alone, and with the beginnings that the prefix cache has by now.
    for i in range(0, len(requests), 5):
        assert greedy.act([requests[i]])[0].action == decisions[i].action


@needs_vllm
def test_a_long_answer_holds_up_no_short_one_and_can_be_taken_back(greedy: Any, requests: list[Request]) -> None:
    long, short = (next(i for i, d in enumerate(greedy.act(requests)) if d.finish == f) for f in ("length", "stop"))
    assert greedy.collect(0.0) == [] and greedy.collect() == []
    greedy.submit([requests[long], requests[short]])
    [(slot, decision)] = greedy.collect()
    assert slot == requests[short].slot and decision.finish == "stop"
    assert greedy.collect(0.0) == []
    greedy.cancel()
    assert greedy.collect() == []
    # Others that were submitted before are still given.
    greedy.submit([requests[short]])
    assert greedy.act([requests[long]])[0].finish == "length"
    assert [slot for slot, _ in greedy.collect()] == [requests[short].slot]


@needs_vllm
def test_samples_depend_on_seed_and_step_but_not_on_the_batch(sampling: Any) -> None:
    batch = [say(i, "tell me something", seed=3, step=i) for i in range(6)]
    together = sampling.act(batch)
    assert [sampling.act([request])[0] for request in batch[::-1]] == together[::-1]
    assert len({d.action for d in together}) > 1
    assert sampling.act([say(0, "tell me something", seed=3)])[0] == together[0]
    assert sampling.act([say(0, "tell me something", seed=4)])[0] != together[0]


@needs_vllm
def test_stop_texts_end_an_answer_and_are_cut_off(sampling: Any) -> None:
    decisions = sampling.act([say(i, f"write {i}", seed=i) for i in range(20)])
    stopped = [d for d in decisions if d.finish == "stop"]
    assert stopped and all("e" not in d.action for d in decisions)
    assert all(d.error is None and d.logprobs is None for d in decisions)


@needs_vllm
def test_a_full_context_is_reported_and_the_others_go_on(greedy: Any, requests: list[Request]) -> None:
    decisions = greedy.act([say(0, "x " * 4000), requests[1], say(2, "\ud800 lone \x00 🙂 <|end|>"), say(3, "")])
    assert [d.finish == "context" for d in decisions] == [True, False, False, False]
    assert decisions[0].usage.prompt_tokens > 2048 and decisions[0].usage.completion_tokens == 0
    assert all(d.error is None for d in decisions)
    assert greedy.act([]) == []
    # The last token of the context can still be written.
    size = greedy.act([say(0, "")])[0].usage.prompt_tokens
    step = greedy.act([say(0, " a" * 100)])[0].usage.prompt_tokens - size
    texts = [" a" * ((2047 - size) * 100 // step + i) for i in range(-2, 3)]
    ends = {d.usage.prompt_tokens: d for d in greedy.act([say(i, text) for i, text in enumerate(texts)])}
    assert all(d.finish == "context" for length, d in ends.items() if length >= 2048)
    assert all(d.usage.completion_tokens <= 2048 - length for length, d in ends.items() if length < 2048)
    assert {d.finish for d in ends.values()} > {"context"}


@needs_vllm
def test_the_description_names_what_changes_answers(greedy: Any, sampling: Any) -> None:
    one, two = greedy.describe(), sampling.describe()
    json.dumps(one)
    assert one["policy"] == "vllm" and one["versions"]["vllm"] and one["dtype"] == "float32"
    assert {name for name in one if one[name] != two[name]} == {"temperature", "top_p", "top_k", "stop"}
    assert one["checkpoint"] == load_policy("nano").describe()["checkpoint"]


@needs_vllm
def test_nan_ends_the_run_and_a_template_that_fails_only_its_episode(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of_nano(tmp_path)
    template = "{% if messages[-1].content == 'bad' %}{{ raise_exception('no') }}{% endif %}{{ messages[-1].content }}"
    (folder / "chat_template.jinja").write_text(template)
    state = load_file(folder / "model.safetensors")
    state["model.norm.weight"][0] = math.nan
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    policy = load(folder, capacity=3, max_model_len=64)
    assert policy.describe()["context"] == 64
    bad, long = policy.act([say(0, "bad"), say(1, "x " * 100)])
    assert "chat template cannot render" in str(bad.error) and long.finish == "context"
    with pytest.raises(EngineError, match="nan"):
        policy.act([say(0, "good")])
    with pytest.raises(EngineError, match="load it again"):
        policy.act([say(0, "good")])
    policy.close()


@needs_vllm
def test_what_vllm_cannot_run_is_said_in_its_words(tmp_path: Path) -> None:
    folder = copy_of_nano(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    bits = {"quant_method": "gptq", "bits": 3, "group_size": 32, "desc_act": False, "sym": True}
    config["quantization_config"] = bits
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"(?s)vLLM cannot load .*bits=3") as error:
        load(folder)
    assert "input_value" not in str(error.value)


SCRIPT = """
import os, signal, sys, psutil
import acenv
from acenv.types import EngineError, Request

def main(nano):
    policy = acenv.load_policy(f"vllm:{nano}", max_new_tokens=4, kv_cache_gib=0.25)
    children = psutil.Process().children(recursive=True)
    print(*[child.pid for child in children], flush=True)
    request = Request(0, 0, 0, [{"role": "user", "content": "hello"}])
    print(policy.act([request])[0].error, flush=True)
    for child in children:
        if "VLLM::Worker" in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)
            try:
                policy.act([request])
            except EngineError as error:
                print("died" in str(error), flush=True)
    raise SystemError("on purpose")

if __name__ == "__main__":
    main(sys.argv[1])
"""


@needs_vllm
@pytest.mark.parametrize("processes", ["0", "1"])
def test_no_process_is_left_behind_and_nothing_is_printed(processes: str, tmp_path: Path) -> None:
    import psutil

    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": processes, "OMP_NUM_THREADS": "1"}
    env.pop("VLLM_LOGGING_LEVEL", None)
    done = subprocess.run([sys.executable, script, NANO], env=env, capture_output=True, text=True, timeout=500)
    assert "SystemError: on purpose" in done.stderr
    said = done.stdout.splitlines()
    children = [int(pid) for pid in said[0].split()]
    if processes == "0":
        assert said == ["", "None"] and done.stderr.startswith("Traceback")
    else:
        assert len(children) >= 2 and said[1:3] == ["None", "True"]
    assert not any(psutil.pid_exists(pid) and _is_ours(pid) for pid in children)


def _is_ours(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "VLLM" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


@needs_vllm
def test_a_closed_policy_says_so() -> None:
    policy = load(capacity=2)
    assert policy.act([say(0, "hello")])[0].usage != Usage()
    policy.submit([say(0, "hello")])
    policy.close()
    policy.close()
    policy.cancel()
    with pytest.raises(EngineError, match="closed"):
        policy.submit([say(0, "hello")])
