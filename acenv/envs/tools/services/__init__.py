"""Simulated services behind tools: weather, films, papers, to-do lists and sheets."""
