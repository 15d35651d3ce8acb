"""Environments on simulators of other people, which are extras."""
