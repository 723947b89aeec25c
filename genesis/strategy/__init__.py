"""Strategies as expressions: nodes and kernels, genes and families, genomes, position policy."""
