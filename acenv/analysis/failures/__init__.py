"""Failures by name: what went wrong in an episode, and in how many of a run's episodes, against another run."""

from acenv.analysis.failures.comparing import FailureComparison, FailureCount, compare_failures
from acenv.analysis.failures.finding import find_failures, primary_failure
from acenv.analysis.failures.kinds import DEFINITIONS, FAILURES, RECOVERABLE, Failure
from acenv.analysis.failures.listing import EpisodeFailures, list_failures

__all__ = [
    "DEFINITIONS",
    "FAILURES",
    "RECOVERABLE",
    "EpisodeFailures",
    "Failure",
    "FailureComparison",
    "FailureCount",
    "compare_failures",
    "find_failures",
    "list_failures",
    "primary_failure",
]
