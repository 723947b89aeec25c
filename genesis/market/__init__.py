"""Market data: bar store, datasets, sources, quality, funding, sentiment."""
