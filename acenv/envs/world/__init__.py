"""Worlds of facts, acted on in words."""
