"""Capabilities as Gymnasium environments, one folder each."""
