"""Statistics of returns, and analyzers of what compression does inside a model."""

from acenv.analysis.comparison import Comparison, EnvComparison, compare, compare_all
from acenv.analysis.energy import energy, energy_shift, kl_divergence
from acenv.analysis.official import official_scores
from acenv.analysis.ranking import rank_agreement
from acenv.analysis.replay import EpisodeInternals, Replay, replay
from acenv.analysis.spectrum import GramAccumulator, SpectrumAccumulator, effective_rank, singular_value_rank
from acenv.analysis.statistics import Interval, bootstrap_mean, holm, mcnemar_exact, paired_bootstrap

__all__ = [
    "Comparison",
    "EnvComparison",
    "EpisodeInternals",
    "GramAccumulator",
    "Interval",
    "Replay",
    "SpectrumAccumulator",
    "bootstrap_mean",
    "compare",
    "compare_all",
    "effective_rank",
    "energy",
    "energy_shift",
    "holm",
    "kl_divergence",
    "official_scores",
    "mcnemar_exact",
    "paired_bootstrap",
    "rank_agreement",
    "replay",
    "singular_value_rank",
]
