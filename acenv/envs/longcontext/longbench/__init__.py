"""LongBench: 21 tasks over long texts, scored as its own evaluator does."""
