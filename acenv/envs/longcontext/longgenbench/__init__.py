"""LongGenBench: many questions at once, answered in one long text."""
