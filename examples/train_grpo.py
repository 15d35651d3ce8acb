"""GRPO repairs a model that pruning has broken, with an acenv environment as its only teacher.

    pip install "acenv[trl]"
    python examples/train_grpo.py

nano loses half of its return in tyreworld when half of its weights are pruned by magnitude. TRL's GRPOTrainer then
plays four tasks of the train split eight times a step, and reinforces what earned more than the others. What it learns
there holds for the test split, which has none of these tasks. (Pruned weights may grow back: this repairs what the
model does, not its sparsity.)
"""

import argparse
from pathlib import Path

from trl import GRPOConfig, GRPOTrainer

import acenv
from acenv.adapters.trl import episode_return, episodes, rollouts
from acenv.policies import load_policy

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, default=Path("runs/grpo"))
parser.add_argument("--env", default="acenv/PDDL-v0")
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--tasks", type=int, default=4, help="tasks of the train split, each played eight times a step")
parser.add_argument("--learning-rate", type=float, default=1e-4)
parser.add_argument("--episodes", type=int, default=60, help="test episodes before and after")
args = parser.parse_args()
task = {"difficulty": "easy", "domain": "tyreworld"}

# The patient
pruned = acenv.compress("nano", "magnitude:sparsity=0.5", args.out / "pruned")


def mean_return(checkpoint: Path) -> float:
    """Of greedy episodes of the test split, which has no task of the train split."""
    policy = load_policy(f"hf:{checkpoint}", max_new_tokens=24, dtype="float32")
    return acenv.evaluate(args.env, policy, range(args.episodes), env_kwargs=task).mean_returns()[args.env]


# The cure
config = GRPOConfig(
    output_dir=str(args.out / "trainer"),
    max_steps=args.steps,
    per_device_train_batch_size=args.tasks * 8,
    num_generations=8,
    max_completion_length=160,  # of an episode
    generation_kwargs={"max_new_tokens": 12},  # of a turn
    learning_rate=args.learning_rate,
    lr_scheduler_type="constant",
    adam_beta2=0.95,
    adam_epsilon=1e-4,  # or each token that never occurs moves as far as those that do
    logging_steps=1,
    save_strategy="no",
    report_to="none",
    use_cpu=True,
    bf16=False,
    gradient_checkpointing=False,
    seed=0,
)
trainer = GRPOTrainer(
    model=str(pruned),
    args=config,
    train_dataset=episodes(args.env, range(args.tasks)),
    rollout_func=rollouts(**task),
    reward_funcs=episode_return,
)
before = mean_return(pruned)
trainer.train()
trainer.save_model(str(args.out / "trained"))

for entry in trainer.state.log_history:
    if "reward" in entry:
        print(f"step {entry['step']:3}  return {entry['reward']:.3f}  loss {entry['loss']:+.4f}")
print(f"test return: pruned {before:.3f}, after GRPO {mean_return(args.out / 'trained'):.3f}")
