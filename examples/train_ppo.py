"""PPO of Stable-Baselines3 learns an errand of BabyAI, by choosing among a few commands.

    pip install "acenv[babyai,sb3]"
    python examples/train_ppo.py

The red ball is somewhere in the room, mostly out of sight: look around, and go to it once it is seen.
"""

import argparse

import numpy as np
from stable_baselines3 import PPO

from acenv.adapters.choices import ChoiceEnv

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=3000)
parser.add_argument("--episodes", type=int, default=100, help="test episodes before and after")
args = parser.parse_args()


def make(split: str) -> ChoiceEnv:
    commands = ["turn left", "move forward", "pick up", "toggle", "go to red ball 1"]
    return ChoiceEnv("acenv/BabyAI-v0", commands, level="GoToRedBallNoDists", split=split, max_steps=4)


def mean_return(model: PPO) -> float:
    env, returns = make("test"), []
    for seed in range(args.episodes):
        observation, _ = env.reset(seed=seed)
        returns.append(0.0)
        over = False
        while not over:
            action, _ = model.predict(observation, deterministic=False)
            observation, reward, terminated, truncated, _ = env.step(action)
            returns[-1] += reward
            over = terminated or truncated
    return float(np.mean(returns))


model = PPO("MlpPolicy", make("train"), n_steps=256, batch_size=64, learning_rate=1e-3, seed=0, device="cpu")
before = mean_return(model)
model.learn(args.steps)
print(f"test return: before {before:.3f}, after PPO {mean_return(model):.3f}")
