"""Breeding of risk genomes: simulated accounts, the search, and the test of its winner."""
