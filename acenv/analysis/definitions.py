"""What the words and figures of the pages mean, each with its source. Both pages take what they need."""

from __future__ import annotations

from collections.abc import Mapping

DEFINITIONS: Mapping[str, str] = {
    "Return": "Score of an episode in [0, 1], the sum of its rewards. Episodes that the machinery failed to finish are "
    "errors, never 0.",
    "Retention": "Mean return of the compressed model divided by the original's, on the same episodes (environment and "
    "seed).",
    "Overall": "Mean over the environments, each with the same weight.",
    "Interval": "95%, over pairs, with one more pair that was not seen, at the worst end of the scale (Gaffke, "
    "Mathematical Methods of Statistics 14(4), 2005; Learned-Miller and Thomas, arXiv 1905.06208): exact for returns "
    "that are 0 or 1, and right where nothing has changed in few episodes. Where environments were stopped early, a "
    "confidence sequence by betting, which holds whenever one stops (Waudby-Smith and Ramdas, JRSS B 86(1), 2024).",
    "p": "Test of a mean difference of 0, which is significant where that interval leaves out 0, and is the exact "
    "McNemar test where returns are 0 or 1; after Holm's correction over all methods and environments; the overall "
    "tests are a family of their own (Holm, Scandinavian Journal of Statistics 6, 1979).",
    "Noise floor": "The original against itself, with another batch size, dtype or seed of sampling: the bound of that "
    "difference's interval that is farther from 0. A fall inside the floor of batch size or seed is no loss of the "
    "method's; that of the dtype is told, and excuses nothing.",
    "Verdicts": "Loses: p < 0.05 overall, and the original does not fall as much against itself. Close: neither, and "
    "the interval rules out a loss of more than 0.05 of mean return. Loses in some: p < 0.05 in an environment. "
    "Undecided: the interval still allows a larger loss.",
    "Bits, sparsity, MB": "Measured in the stored checkpoint, not claimed: bits for each weight of the compressed "
    "layers, share of zeros among them, and 10⁶ bytes of weight files.",
    "Frontier": "The models that no smaller one equals in mean return.",
    "Needle heat map": "Mean score of the episodes whose fact is hidden at a depth (percent of the text) of a text of "
    "a length; cells are means of few episodes, and the intervals are in the table of retention.",
    "Effective rank": "exp of the entropy of the normalised spectrum of a matrix of outputs, tokens × width (Roy and "
    "Vetterli, EUSIPCO 2007; Wei et al., Diff-eRank, NeurIPS 2024; ACBench, arXiv 2505.19433).",
    "Jaccard": "|A ∩ B| / |A ∪ B| of the two models' k likeliest tokens at a position (ACBench).",
    "Kendall, Spearman": "Tau-b and rho between the two models' logits on the original's k likeliest tokens, mean over "
    "positions (ACBench).",
    "Energy": "−T logsumexp(logits / T) at T = 1; its shift is |E(original) − E(compressed)|, mean over positions "
    "(Liu et al., NeurIPS 2020; ACBench).",
    "KL": "Kullback–Leibler divergence of the compressed model's next-token distribution from the original's, mean "
    "over positions, in nats (Kullback and Leibler, 1951).",
    "Flip": "A token of the original's transcript for which the compressed model has another favourite than the "
    "original.",
    "Prediction": "Rank correlations (Spearman) of how far the internals have moved with the return lost; losses by "
    "isotonic regression on one of them, with jackknife+ intervals (Barber et al., Annals of Statistics 49, 2021).",
    "Failures": "Found by rules in the transcripts. An episode may show several kinds; counted are lost ones. p: exact "
    "McNemar test on the pairs in which one model alone was lost with that kind, after Holm's correction over "
    "the kinds.",
    "Attribution": "The share of a decision is the return that even the original could not win back after it: rollouts "
    "of the original from both sides of the decision (performance difference lemma, Kakade and Langford, ICML 2002). "
    "The shares of an episode sum to its loss.",
    "Cost": "Return for each 10⁹ bytes of weight files and of loaded weights, second and joule of an episode; seconds "
    "are processor time on a CPU and wall time with a GPU, joules are read from the machine's counters. What was not "
    "measured is left out.",
    "First difference": "The first message in which two transcripts of the same episode differ; up to there both "
    "models saw the same.",
}
"""Terms of the report, in the order of its sections."""

SWEEP_DEFINITIONS: Mapping[str, str] = {
    "Retained": "Mean return of the version divided by the original's, on the same episodes (environment and seed), "
    "each environment with the same weight.",
    "Bits, zeros asked": "What the method was asked for; beside it what was measured in the stored checkpoint.",
    "Noise": "Inside: the difference is no larger than that of the original from itself, which is the band in the "
    "charts.",
    **{term: DEFINITIONS[term] for term in ("Interval", "p", "Bits, sparsity, MB", "KL")},
}
"""Terms of the page of a sweep."""
