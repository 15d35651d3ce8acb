"""acenv's environments in other people's frameworks, and acenv's results in other people's trackers.

One module a framework; none is imported before it is used, and each names the versions that it was tested with:

- :mod:`acenv.adapters.trl`: episodes as rollouts of TRL's ``GRPOTrainer``
- :mod:`acenv.adapters.choices`: choosing among actions by number, for Stable-Baselines3 and whatever takes arrays
- :mod:`acenv.adapters.torchrl`: conversations as a TorchRL environment
- :mod:`acenv.adapters.openenv`: any environment behind an OpenEnv server, and a client for it
- :mod:`acenv.adapters.verifiers`: a taskset of Prime Intellect's ``verifiers``
- :mod:`acenv.adapters.inspect_ai`: tasks and a model provider of ``inspect-ai``
- :mod:`acenv.adapters.tracking`: callbacks for MLflow, Weights & Biases and Trackio
"""
