"""An evaluation that is followed in a tracker: every episode as it ends, and the means.

    python examples/track_runs.py mlflow
    python examples/track_runs.py wandb     # offline; `wandb sync` uploads it
    python examples/track_runs.py trackio

The tracker's run is started here, with whatever project, server and key it takes; the callback only logs to it.
"""

import argparse
from pathlib import Path

import acenv
from acenv.adapters.tracking import to_mlflow, to_trackio, to_wandb

parser = argparse.ArgumentParser()
parser.add_argument("tracker", choices=["mlflow", "wandb", "trackio"])
parser.add_argument("--env", default="acenv/PDDL-v0")
parser.add_argument("--policy", default="nano")
parser.add_argument("--seeds", type=int, default=10)
parser.add_argument("--out", type=Path, default=Path("runs/tracked"))
args = parser.parse_args()
args.out.mkdir(parents=True, exist_ok=True)

if args.tracker == "mlflow":
    import mlflow

    mlflow.set_experiment("acenv")  # at MLFLOW_TRACKING_URI
    track = to_mlflow(mlflow.start_run(run_name=args.policy))
elif args.tracker == "wandb":
    import wandb

    track = to_wandb(wandb.init(project="acenv", name=args.policy, mode="offline", dir=args.out))
else:
    import trackio

    track = to_trackio(trackio.init(project="acenv", name=args.policy, embed=False))

with track:
    acenv.evaluate(args.env, args.policy, range(args.seeds), env_kwargs={"difficulty": "easy"}, progress=track)
print("\n".join(f"{name:32} {value:.3f}" for name, value in track.summary().items()))
