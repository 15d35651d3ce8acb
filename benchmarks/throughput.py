"""Episodes and tokens per second of the hf policy, beside other ways to let the same model play the same episodes.

    python benchmarks/throughput.py                                  # the built-in model
    python benchmarks/throughput.py --model PATH_OR_GGUF             # any checkpoint
    python benchmarks/throughput.py --inspect-python ENV/bin/python  # inspect-ai too, in an environment of its own

Every engine runs in a process of its own, one after another, in as many rounds as asked for. An episode is a
conversation of fixed user turns, which come from expert transcripts of an environment, tools and all; the model's own
answers stand between them. So all engines do the same work: the prompts are equal but for what the model itself said,
and all answers are greedy, of at most ``--new`` tokens.

* ``acenv``: ``acenv.evaluate`` with the hf policy: what this library does.
* ``one by one``: ``model.generate`` for one conversation at a time.
* ``lock-step``: padded ``model.generate`` for a batch of conversations, turn by turn.
* ``bare``: padded ``model.generate`` of the prompts and answer lengths that acenv had, sorted by length, with nothing
  around it: the limit for anything that reads whole prompts.
* ``inspect``: inspect-ai's provider for local models.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium

ENGINES = ("acenv", "one by one", "lock-step", "bare", "inspect")
EPISODES: list[dict[str, Any]] = []


class Scripted(gymnasium.Env[Any, Any]):
    """A conversation whose user says the turns of an episode, whatever is answered."""

    def __init__(self) -> None:
        from acenv.spaces import Messages, Text

        self.observation_space, self.action_space = Messages(), Text()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        script = EPISODES[seed or 0]
        self.turns: Iterator[str] = iter(script["user"])
        self.messages = [
            {"role": "system", "content": script["system"]},
            {"role": "user", "content": next(self.turns)},
        ]
        return list(self.messages), {"tools": []}

    def step(self, action: str) -> Any:
        self.messages.append({"role": "assistant", "content": action})
        following = next(self.turns, None)
        if following is not None:
            self.messages.append({"role": "user", "content": following})
        return list(self.messages), 0.0, following is None, False, {}


def write_episodes(path: Path, env: str, difficulty: str, count: int, turns: int) -> None:
    """Write the scripts of episodes: system text with the tools in it, and the user's turns."""
    from acenv.chat import CALL_FORM
    from acenv.transcripts import expert_conversations

    scripts: list[dict[str, Any]] = []
    seed = 0
    while len(scripts) < count:
        if seed > 50 * count:
            raise SystemExit(f"{env} has too few {difficulty} episodes of {turns} turns; ask for fewer turns")
        (conversation,) = expert_conversations([env], [seed], {"difficulty": difficulty})
        seed += 1
        said = [m["content"] for m in conversation.messages if m["role"] == "user"]
        system = "\n\n".join(m["content"] for m in conversation.messages if m["role"] == "system")
        tools = [json.dumps(tool.get("function", tool)) for tool in conversation.tools]
        if tools:
            system = "\n".join([f"{system}\n\n{CALL_FORM}", *tools])
        if len(said) >= turns:
            scripts.append({"system": system or "You are an agent.", "user": said[:turns]})
    path.write_text(json.dumps(scripts))


class Recorder:
    """A streaming policy that notes the prompt and the answer's length of every request."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.name, self.capacity = policy, policy.name, policy.capacity
        self.requests: dict[int, Any] = {}
        self.work: list[dict[str, Any]] = []

    def act(self, batch: Sequence[Any]) -> Any:
        raise NotImplementedError  # the loop streams

    def submit(self, batch: Sequence[Any]) -> None:
        self.requests |= {request.slot: request for request in batch}
        self.policy.submit(batch)

    def collect(self, timeout: float | None = None) -> Any:
        decided = self.policy.collect(timeout)
        for slot, decision in decided:
            if decision.error or decision.finish == "context":
                raise SystemExit(f"the policy failed: {decision.error or 'an episode does not fit into its context'}")
            messages = list(self.requests.pop(slot).messages)
            self.work.append({"messages": messages, "prompt": decision.usage.prompt_tokens})
            self.work[-1]["new"] = decision.usage.completion_tokens
        return decided

    def cancel(self) -> None:
        self.policy.cancel()


def run_acenv(policy: Any, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All episodes through the evaluation loop; gives the work that was done."""
    import acenv

    gymnasium.register("acenv/ScriptedForBenchmark-v0", entry_point=Scripted, disable_env_checker=True)
    recorder = Recorder(policy)
    acenv.evaluate("acenv/ScriptedForBenchmark-v0", recorder, range(len(EPISODES)))
    Path(arguments.work).write_text(json.dumps(recorder.work))
    return recorder.work


def generate(policy: Any, prompts: Sequence[list[int]], limits: Sequence[int], *, exact: bool) -> list[list[int]]:
    """A padded ``model.generate``; ``exact`` writes the longest limit without stopping."""
    import torch

    pad = policy.tokenizer.pad_token_id
    pad = policy.tokenizer.eos_token_id if pad is None else pad
    width = max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    most = max(limits)
    output = policy.model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=most,
        eos_token_id=sorted(policy.stop_ids),
        pad_token_id=pad,
        **({"min_new_tokens": most} if exact else {}),
    )
    answers = []
    for row in output[:, width:].tolist():
        stop = next((i for i, token in enumerate(row) if token in policy.stop_ids and not exact), len(row))
        answers.append(row[:stop])
    return answers


def encode(policy: Any, messages: Sequence[Any]) -> list[int]:
    """Token ids of a prompt, as the policy itself reads it."""
    text = policy.chat.render(messages, ())
    return list(policy.tokenizer(text, add_special_tokens=not policy.chat.has_template)["input_ids"])


def run_turns(policy: Any, arguments: argparse.Namespace, batch: int) -> list[dict[str, Any]]:
    """Episodes in groups of ``batch``, all at the same turn, with one padded ``generate`` a turn."""
    work = []
    for start in range(0, len(EPISODES), batch):
        envs = [Scripted() for _ in EPISODES[start : start + batch]]
        observations = [env.reset(seed=start + i)[0] for i, env in enumerate(envs)]
        over = False
        while not over:
            prompts = [encode(policy, messages) for messages in observations]
            answers = generate(policy, prompts, [arguments.new], exact=False)
            work += [{"prompt": len(p), "new": len(a)} for p, a in zip(prompts, answers, strict=True)]
            texts = [policy.tokenizer.decode(answer, skip_special_tokens=True) for answer in answers]
            steps = [env.step(text) for env, text in zip(envs, texts, strict=True)]
            observations, over = [step[0] for step in steps], steps[0][2]
    return work


def run_bare(policy: Any, arguments: argparse.Namespace) -> tuple[float, list[dict[str, Any]]]:
    """The work that acenv noted, sorted by length, in padded batches; gives the seconds without the preparation."""
    work = json.loads(Path(arguments.work).read_text())
    rows = sorted(((encode(policy, w["messages"]), max(1, w["new"])) for w in work), key=lambda r: (len(r[0]), r[1]))
    batches = [rows[i : i + arguments.capacity] for i in range(0, len(rows), arguments.capacity)]
    start = time.perf_counter()
    for rows in batches:
        generate(policy, [ids for ids, _ in rows], [new for _, new in rows], exact=True)
    return time.perf_counter() - start, work


def run_child(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one engine in this process."""
    import torch

    from acenv.policies.transformers import HFPolicy

    EPISODES.extend(json.loads(Path(arguments.scripts).read_text()))
    policy = HFPolicy(
        arguments.model, capacity=arguments.capacity, max_new_tokens=arguments.new, dtype=arguments.dtype, name="hf"
    )
    with torch.inference_mode():  # the first call allocates, compiles and picks kernels
        generate(policy, [[1] * 8], [2], exact=True)
    start = time.perf_counter()
    if arguments.engine == "acenv":
        work = run_acenv(policy, arguments)
    elif arguments.engine == "bare":
        seconds, work = run_bare(policy, arguments)
        return summary(work, seconds)
    else:
        work = run_turns(policy, arguments, 1 if arguments.engine == "one by one" else arguments.capacity)
    return summary(work, time.perf_counter() - start)


def summary(work: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    return {"seconds": seconds, "prompt": sum(w["prompt"] for w in work), "new": sum(w["new"] for w in work)}


def start_child(engine: str, arguments: argparse.Namespace, scripts: Path, work: Path) -> dict[str, Any]:
    """Run one engine in a process of its own and read what it measured."""
    options = {
        "--model": arguments.model,
        "--capacity": arguments.capacity,
        "--new": arguments.new,
        "--dtype": arguments.dtype,
        "--scripts": scripts,
    }
    command = [sys.executable, __file__, "--engine", engine, "--work", str(work)]
    if engine == "inspect":
        command = [arguments.inspect_python, str(Path(__file__).with_name("throughput_inspect.py"))]
    command += [str(part) for pair in options.items() for part in pair]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{engine} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


def find_model(model: str, folder: Path) -> str:
    from acenv.compression import dense_folder

    return str(dense_folder(model, folder / "dense"))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano", help="nano, a folder, or a .gguf file")
    parser.add_argument("--env", default="acenv/Household-v0", help="whose expert transcripts give the user's turns")
    parser.add_argument("--difficulty", default="hard")
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--capacity", type=int, default=16, help="conversations at once")
    parser.add_argument("--new", type=int, default=48, help="tokens to write, at most")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[*ENGINES])
    parser.add_argument("--inspect-python", help="an interpreter that has inspect-ai, torch and transformers")
    parser.add_argument("--json", type=Path, help="write the measurements to this file too")
    for name in ("--engine", "--scripts", "--work"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print a row for each engine: medians over the rounds, and how many times as quick acenv is."""
    arguments = parse_arguments()
    if arguments.engine:
        print(json.dumps(run_child(arguments)))
        return
    engines = [e for e in ENGINES if e in arguments.engines and (e != "inspect" or arguments.inspect_python)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        arguments.model = find_model(arguments.model, folder)
        scripts, work = folder / "episodes.json", folder / "work.json"
        write_episodes(scripts, arguments.env, arguments.difficulty, arguments.episodes, arguments.turns)
        runs: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
        for _ in range(arguments.rounds):
            for engine in engines:
                runs[engine].append(start_child(engine, arguments, scripts, work))
                print(f"  {engine}: {runs[engine][-1]}", file=sys.stderr, flush=True)
    seconds = {engine: statistics.median(run["seconds"] for run in measured) for engine, measured in runs.items()}
    print(
        f"{Path(arguments.model).name}, dtype {arguments.dtype}: {arguments.episodes} episodes of {arguments.turns} "
        f"turns, {arguments.capacity} at once, answers of at most {arguments.new} tokens"
    )
    print(f"{'engine':>11} {'seconds':>8} {'episodes/s':>10} {'written/s':>9} {'prompt/s':>9} {'acenv is':>9}")
    for engine, measured in runs.items():
        took = seconds[engine]
        new, prompt = measured[0]["new"], measured[0]["prompt"]
        factor = f"{took / seconds['acenv']:.2f} x" if "acenv" in seconds else ""
        print(
            f"{engine:>11} {took:8.1f} {arguments.episodes / took:10.2f} {new / took:9.0f} {prompt / took:9.0f} "
            f"{factor:>9}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"settings": vars(arguments), "runs": runs}, indent=1, default=str))


if __name__ == "__main__":
    main()
