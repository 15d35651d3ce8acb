"""Workflows: graphs of calls that are planned, not made."""
