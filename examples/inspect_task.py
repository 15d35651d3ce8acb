"""An acenv environment as a task of inspect-ai, with nano as the model; without arguments all of it runs offline.

python examples/inspect_task.py
python examples/inspect_task.py --model openai/gpt-4o-mini
"""

import argparse

import inspect_ai

from acenv.adapters.inspect_ai import make_model, make_task

parser = argparse.ArgumentParser()
parser.add_argument("--env", default="acenv/ToolSandbox-v0")
parser.add_argument("--seeds", type=int, default=10)
parser.add_argument("--model", help="a model of Inspect's; default: nano")
parser.add_argument("--logs", default="runs/inspect")
args = parser.parse_args()

task = make_task(args.env, range(args.seeds), difficulty="easy")
[log] = inspect_ai.eval(task, model=args.model or make_model("nano"), log_dir=args.logs, display="none")
print(f"{log.eval.task}: {log.status}, log in {log.location}")
for score in log.results.scores if log.results else []:
    print(f"{score.name:16} {score.metrics['mean'].value:.3f} ± {score.metrics['stderr'].value:.3f}")
