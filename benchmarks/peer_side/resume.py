"""A run of which the last sample is missing, begun and resumed by inspect-ai or acenv; for ``peers.py``.

``resume.py inspect|acenv begin|resume FOLDER SAMPLES`` prints seconds (wall and processor) and how many samples acted.
In both a task is "7 + 7 = ?", the model is a function that costs nothing, and a sample is scored by its answer.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

ACTED = [0]


def inspect(stage: str, folder: Path, samples: int) -> int:
    import inspect_ai
    from inspect_ai import Task, task
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, ModelAPI, ModelOutput, modelapi
    from inspect_ai.scorer import match
    from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

    @modelapi(name="free")
    def free() -> Any:
        class Free(ModelAPI):
            async def generate(self, input: Any, tools: Any, tool_choice: Any, config: GenerateConfig) -> ModelOutput:
                ACTED[0] += 1
                return ModelOutput.from_content(self.model_name, "14")

        return Free

    @solver
    def last_fails() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            if (folder / "begin").exists() and state.sample_id == samples:
                raise RuntimeError("the machine went down here")
            return state

        return solve

    @task
    def additions() -> Task:
        data = [Sample(input=f"{i} + {i} = ?", target=str(2 * i), id=i) for i in range(1, samples + 1)]
        return Task(dataset=data, solver=[last_fails(), generate()], scorer=match(), fail_on_error=False)

    settings: dict[str, Any] = {
        "log_dir": str(folder),
        "display": "none",
        "max_samples": 64,
        "log_samples": True,
        "fail_on_error": False,
    }
    if stage == "begin":
        (folder / "begin").touch()
        (log,) = inspect_ai.eval(additions(), model="free/model", **settings)
    else:
        (folder / "begin").unlink()
        (path,) = folder.glob("*.eval")
        from inspect_ai.log import read_eval_log

        log = read_eval_log(str(path), header_only=True)
        log.status = "error"  # A run that was stopped says so; only that is taken up again.
        (log,) = inspect_ai.eval_retry(
            str(path), log_dir=str(folder), display="none", max_samples=64, fail_on_error=False
        )
    assert log.results is not None, log.error
    return log.results.completed_samples


def acenv(stage: str, folder: Path, samples: int) -> int:
    import gymnasium

    import acenv
    from acenv.envs.base import ConversationEnv, Outcome

    class AdditionEnv(ConversationEnv[int, None]):
        """Add a number to itself."""

        def sample_task(self, rng: Any) -> int:
            return int(rng.integers(10**9))

        def fingerprint(self, task: int) -> str:
            return repr(task)

        def open(self, task: int) -> Any:
            return None, [{"role": "user", "content": f"{task} + {task} = ?"}], []

        def apply(self, action: str) -> Outcome:
            return Outcome("", float(action == str(2 * self.task)), terminated=True)

        def expert_action(self) -> str:
            return str(2 * self.task)

    def free(messages: Any) -> str:
        ACTED[0] += 1
        return "14"

    gymnasium.register("acenv/Addition-v0", entry_point=AdditionEnv, disable_env_checker=True)
    upto = samples - 1 if stage == "begin" else samples
    return len(acenv.evaluate("acenv/Addition-v0", free, range(upto), out=folder))


def main() -> None:
    side, stage, folder, samples = sys.argv[1:]
    run = {"inspect": inspect, "acenv": acenv}[side]
    began, worked = time.perf_counter(), time.process_time()
    there = run(stage, Path(folder), int(samples))
    figures = {"wall": time.perf_counter() - began, "cpu": time.process_time() - worked, "acted": ACTED[0]}
    print(json.dumps({**figures, "samples": there}))


if __name__ == "__main__":
    main()
