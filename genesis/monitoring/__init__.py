"""Watching what runs: alerts that reach a person."""
